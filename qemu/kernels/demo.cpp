// The demonstration kernel: prints what its loader really handed over, one
// `key: value` a line (docs/report.md), and ends.
#include "console.h"
#include "prologue/handoff.h"
#include "prologue/payload.h"
#include "prologue/wishes.h"

#ifdef KERNEL_PAGING
PROLOGUE_WISH_PAGING(KERNEL_PAGING);
#elif !defined(KERNEL_PAYLOAD)
PROLOGUE_WISH_PAGING(PROLOGUE_PAGING_FOUR);
#endif

#ifdef KERNEL_PAYLOAD
PROLOGUE_PAYLOAD;
#else
PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_RELOCATABLE;
#endif
#ifdef KERNEL_RANDOM
PROLOGUE_WISH_RANDOM(PROLOGUE_RANDOM_PHYSICAL, PROLOGUE_RANDOM_VIRTUAL);
#endif
#ifdef KERNEL_ACCEPT
PROLOGUE_WISH_SNP_ACCEPT(KERNEL_ACCEPT);
#endif
#ifdef KERNEL_SEV
PROLOGUE_WISH_SEV(KERNEL_SEV);
#endif
#ifdef KERNEL_EVERY_HEADER
PROLOGUE_WISH_HEADERS(pvh, multiboot1, multiboot2, linux, vmd, freebsd, igvm);
#endif

namespace kernel {
// processors.cpp, in a kernel that it is linked into.
[[gnu::weak]] void report_processors(const prologue_handoff&) {}
} // namespace kernel

#ifdef KERNEL_BOOT_SERVICES
namespace kernel {
void use_boot_services(const prologue_handoff* handoff); // services.cpp
}
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
    case PROLOGUE_LOADER_VMD:
        return "vmd";
    case PROLOGUE_LOADER_FREEBSD:
        return "freebsd";
    case PROLOGUE_LOADER_EFI:
        return "efi";
    case PROLOGUE_LOADER_IGVM:
        return "igvm";
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
    case PROLOGUE_MEMORY_SOFT_RESERVED:
        return "soft-reserved";
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

// Faults where it cannot be read.
void read_ends(const prologue_handoff& handoff, const prologue_module& module) {
    if (module.bytes == 0 || module.start + module.bytes > handoff.direct_map_bytes ||
        module.start < 4096)
        return;
    const auto* bytes = reinterpret_cast<const volatile char*>(handoff.direct_map + module.start);
    (void)bytes[0];
    (void)bytes[module.bytes - 1];
}

void report_modules(const prologue_handoff& handoff) {
    for (uint64_t i = 0; i != handoff.module_count; ++i) {
        const prologue_module& module = handoff.modules[i];
        read_ends(handoff, module);
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

// What only some loaders tell has its line only there.
void report_boot(const prologue_boot& boot) {
    if (boot.howto != 0)
        line_hex("howto", boot.howto);
    if (boot.device != 0)
        line_hex("boot-device", boot.device);
    const prologue_console& console = boot.console;
    if (console.device != 0) {
        print("console: ");
        print_hex(console.device);
        print(console.flags & PROLOGUE_CONSOLE_IN_MEMORY ? " memory " : " port ");
        print_hex(console.address);
        print(" ");
        print_decimal(console.speed);
        print(" ");
        print_decimal(console.frequency);
        print("\n");
    }
    if (boot.mac_bytes != 0) {
        print("mac:");
        for (unsigned i = 0; i != boot.mac_bytes; ++i) {
            print(" ");
            print_hex(boot.mac[i]);
        }
        print("\n");
    }
}

void report_environment(const prologue_boot& boot) {
    const char* const end = boot.environment + boot.environment_bytes;
    for (const char* at = boot.environment; at != end;) {
        line("environment", at);
        while (*at++ != 0) {
        }
    }
}

// UEFI 2.10, section 7.2.3.
struct EfiDescriptor {
    uint32_t type;
    uint64_t start, virtual_start, pages, attributes;
};

void report_efi_memory(const EfiDescriptor& descriptor) {
    print("efi-memory: ");
    print_hex(descriptor.start);
    print(" ");
    print_hex(descriptor.start + descriptor.pages * 4096);
    print(" ");
    print_decimal(descriptor.type);
    print("\n");
}

void report_efi(const prologue_efi& efi) {
    if (efi.bits == 0)
        return;
    print("efi: ");
    print_decimal(efi.bits);
    print(" ");
    print_hex(efi.system_table_phys);
    print(" ");
    print_decimal(efi.memory_map_bytes);
    print(" ");
    print_decimal(efi.descriptor_bytes);
    print("\n");
    const auto* const map = static_cast<const char*>(efi.memory_map);
    for (uint64_t at = 0; at != efi.memory_map_bytes; at += efi.descriptor_bytes)
        report_efi_memory(*reinterpret_cast<const EfiDescriptor*>(map + at));
}

void report_framebuffer(const prologue_framebuffer& framebuffer) {
    print("framebuffer: ");
    print_hex(framebuffer.phys);
    const uint32_t numbers[] = {framebuffer.width, framebuffer.height, framebuffer.pitch,
                                framebuffer.bits_per_pixel};
    for (const uint32_t number : numbers) {
        print(" ");
        print_decimal(number);
    }
    print("\n");
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
    report_boot(handoff.boot);
    report_environment(handoff.boot);
    line_hex("rsdp", handoff.rsdp_phys);
    report_efi(handoff.efi);
    if (handoff.left_out != 0)
        line_hex("left-out", handoff.left_out);
    line("sev", sev_name(handoff.sev.status));
    line_hex("c-bit", handoff.sev.c_bit_mask);
    line_hex("ghcb", handoff.sev.ghcb_phys);
    line_hex("smbios", handoff.smbios_phys);
    report_framebuffer(handoff.framebuffer);
}

} // namespace

void kernel_main(const prologue_handoff* handoff) {
    if (handoff->magic != PROLOGUE_HANDOFF_MAGIC || handoff->size < sizeof *handoff) {
        line("result", "not a handoff");
        kernel::finish(PROLOGUE_EXIT_FATAL);
    }
    report(*handoff);
    kernel::report_processors(*handoff);
#ifdef KERNEL_BOOT_SERVICES
    kernel::use_boot_services(handoff);
#endif
    line("result", "ok");
    kernel::finish(PROLOGUE_EXIT_SUCCESS);
}
