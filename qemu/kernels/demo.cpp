// The demonstration kernel: prints what its loader really handed over, one
// `key: value` a line (docs/report.md), and ends.
#include "console.h"
#include "prologue/handoff.h"
#include "prologue/wishes.h"

#ifndef KERNEL_PAGING
#define KERNEL_PAGING PROLOGUE_PAGING_FOUR
#endif

PROLOGUE_WISH_PAGING(KERNEL_PAGING);
PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_RELOCATABLE;
#ifdef KERNEL_EVERY_HEADER
PROLOGUE_WISH_HEADERS(pvh, multiboot1, multiboot2, linux);
#endif

namespace {

using kernel::print;
using kernel::print_decimal;
using kernel::print_hex;

const char* loader_name(uint32_t loader) {
    switch (loader) {
    case PROLOGUE_LOADER_PVH:
        return "pvh";
    case PROLOGUE_LOADER_MULTIBOOT1:
        return "multiboot1";
    case PROLOGUE_LOADER_LINUX:
        return "linux";
    case PROLOGUE_LOADER_MULTIBOOT2:
        return "multiboot2";
    }
    return "unknown";
}

const char* mode_name(uint32_t mode) {
    switch (mode) {
    case PROLOGUE_ENTRY_PROTECTED32:
        return "protected32";
    case PROLOGUE_ENTRY_PAGED32:
        return "paged32";
    case PROLOGUE_ENTRY_COMPAT32:
        return "compat32";
    case PROLOGUE_ENTRY_LONG64:
        return "long64";
    }
    return "unknown";
}

const char* type_name(uint32_t type) {
    switch (type) {
    case PROLOGUE_MEMORY_USABLE:
        return "usable";
    case PROLOGUE_MEMORY_LOADER:
        return "loader";
    case PROLOGUE_MEMORY_PROLOGUE:
        return "prologue";
    case PROLOGUE_MEMORY_MODULE:
        return "module";
    case PROLOGUE_MEMORY_ACPI:
        return "acpi";
    case PROLOGUE_MEMORY_NVS:
        return "nvs";
    case PROLOGUE_MEMORY_RESERVED:
        return "reserved";
    case PROLOGUE_MEMORY_BAD:
        return "bad";
    case PROLOGUE_MEMORY_KERNEL:
        return "kernel";
    case PROLOGUE_MEMORY_UNACCEPTED:
        return "unaccepted";
    }
    return "unknown";
}

const char* sev_name(uint64_t status) {
    if (status & PROLOGUE_SEV_STATUS_SNP)
        return "snp";
    if (status & PROLOGUE_SEV_STATUS_ES)
        return "es";
    return status == 0 ? "none" : "sev";
}

void line(const char* key, const char* value) {
    print(key);
    print(": ");
    print(value);
    print("\n");
}

void line_hex(const char* key, uint64_t value) {
    print(key);
    print(": ");
    print_hex(value);
    print("\n");
}

void report_memory(const prologue_handoff& handoff) {
    for (uint64_t i = 0; i != handoff.memory_count; ++i) {
        const prologue_range& range = handoff.memory[i];
        print("memory: ");
        print_hex(range.start);
        print(" ");
        print_hex(range.end);
        print(" ");
        print(type_name(range.type));
        print("\n");
    }
}

void report_modules(const prologue_handoff& handoff) {
    for (uint64_t i = 0; i != handoff.module_count; ++i) {
        const prologue_module& module = handoff.modules[i];
        print("module: ");
        print_decimal(i);
        print(" ");
        print_hex(module.start);
        print(" ");
        print_decimal(module.bytes);
        print(" ");
        print(module.cmdline);
        print("\n");
    }
}

void report(const prologue_handoff& handoff) {
    line("loader", loader_name(handoff.loader));
    line("entry-mode", mode_name(handoff.entry_mode));
    line_hex("load-base", handoff.load_base);
    line("paging", handoff.paging_levels == 5 ? "5-level" : "4-level");
    line("page-size", handoff.page_size == 1u << 30 ? "1G" : "2M");
    line("cmdline", handoff.cmdline);
    report_memory(handoff);
    report_modules(handoff);
    line_hex("rsdp", handoff.rsdp_phys);
    line("sev", sev_name(handoff.sev.status));
    line_hex("c-bit", handoff.sev.c_bit_mask);
    line_hex("ghcb", handoff.sev.ghcb_phys);
}

}  // namespace

void kernel_main(const prologue_handoff* handoff) {
    if (handoff->magic != PROLOGUE_HANDOFF_MAGIC || handoff->size < sizeof *handoff) {
        line("result", "not a handoff");
        kernel::finish(PROLOGUE_EXIT_FATAL);
    }
    report(*handoff);
    line("result", "ok");
    kernel::finish(PROLOGUE_EXIT_SUCCESS);
}
