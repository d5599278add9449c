// Looks at the state that it is entered with: a line `state: <name> ok`, or the
// value that is wrong, for what has one right value; and as lines of their own
// the handoff, the memory map, the modules and all that the page tables map, for
// a test that knows what they should be. A command line of "drop-identity" takes
// the identity map away and raises #UD without it.
#include "../../arch/x86/cpu/cpu.h"
#include "console.h"
#include "paging_walk.h"
#include "prologue/handoff.h"
#include "prologue/wishes.h"

#ifndef KERNEL_PAGING
#define KERNEL_PAGING PROLOGUE_PAGING_FOUR
#endif

PROLOGUE_WISH_QEMU_EXIT;
#ifdef KERNEL_EVERY_HEADER
PROLOGUE_WISH_HEADERS(pvh, multiboot1, multiboot2, linux, vmd, freebsd, igvm);
#endif
#ifndef WISHES_ELSEWHERE // in an object of their own
PROLOGUE_WISH_PAGING(KERNEL_PAGING);
PROLOGUE_WISH_RELOCATABLE;
#endif

// Takes RSP, RFLAGS and RBP before a compiler can touch them.
asm(R"(
        .pushsection .text
        .globl  kernel_main
kernel_main:
        movq    %rsp, %rsi
        pushfq
        popq    %rdx
        movq    %rbp, %rcx
        call    state_main
        .popsection
)");

extern "C" {
[[gnu::visibility("hidden")]] extern const char __ehdr_start[];
[[noreturn]] void state_main(const prologue_handoff* handoff, uint64_t rsp, uint64_t rflags,
                             uint64_t rbp);
}

namespace {

using kernel::print;
using kernel::print_decimal;
using kernel::print_hex;
using prologue::read_msr;

// The contract, from the manuals' numbers and the public header.
constexpr uint64_t kCr0 = 0x80010033; // PG WP NE ET MP PE
constexpr uint64_t kCr4 = 0x660;      // OSXMMEXCPT OSFXSR MCE PAE
constexpr uint64_t kCr4La57 = 1 << 12;
constexpr uint64_t kEfer = 0xd00;        // NXE LMA LME
constexpr uint64_t kStatusFlags = 0x8d5; // OF SF ZF AF PF CF: anything
constexpr uint64_t kFlags = 0x2;
constexpr uint32_t kMxcsr = 0x1f80;
constexpr uint16_t kFpuControl = 0x37f;
constexpr uint32_t kMsrPat = 0x277, kMsrEfer = 0xc0000080;
constexpr uint32_t kMsrFsBase = 0xc0000100, kMsrGsBase = 0xc0000101;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kExceptions = 32;

constexpr unsigned kBssWords = 8192;
uint64_t bss[kBssWords];
volatile uint64_t data[] = {1, 2, 3, 0x0123456789abcdef};
const volatile uint64_t rodata[] = {0xfedcba9876543210, 4, 5, 6};

bool all_good = true;

void check(const char* name, uint64_t seen, uint64_t expected) {
    print("state: ");
    print(name);
    if (seen == expected) {
        print(" ok\n");
        return;
    }
    all_good = false;
    print(" ");
    print_hex(seen);
    print(", not ");
    print_hex(expected);
    print("\n");
}

// `seen` is shown where it does not lie in [start, end).
void check_within(const char* name, uint64_t seen, uint64_t start, uint64_t end) {
    check(name, seen, seen >= start && seen < end ? seen : start);
}

#define READ(instruction, type)                                                                    \
    [] {                                                                                           \
        type value = 0;                                                                            \
        asm volatile(instruction : "=rm"(value) : : "memory");                                     \
        return value;                                                                              \
    }()
#define READ_TO_MEMORY(instruction, type)                                                          \
    [] {                                                                                           \
        type value = {};                                                                           \
        asm volatile(instruction : "=m"(value));                                                   \
        return value;                                                                              \
    }()
#define READ_CONTROL(name)                                                                         \
    [] {                                                                                           \
        uint64_t value;                                                                            \
        asm volatile("mov %%" name ", %0" : "=r"(value));                                          \
        return value;                                                                              \
    }()

struct TablePointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

void check_segments(uint64_t image, uint64_t image_end) {
    check("cs", READ("mov %%cs, %0", uint16_t), PROLOGUE_SELECTOR_CODE64);
    check("ss", READ("mov %%ss, %0", uint16_t), PROLOGUE_SELECTOR_DATA);
    check("ds", READ("mov %%ds, %0", uint16_t), PROLOGUE_SELECTOR_DATA);
    check("es", READ("mov %%es, %0", uint16_t), PROLOGUE_SELECTOR_DATA);
    check("fs", READ("mov %%fs, %0", uint16_t), PROLOGUE_SELECTOR_DATA);
    check("gs", READ("mov %%gs, %0", uint16_t), PROLOGUE_SELECTOR_DATA);
    check("fs-base", read_msr(kMsrFsBase), 0);
    check("gs-base", read_msr(kMsrGsBase), 0);
    check("tr", READ("str %0", uint16_t), PROLOGUE_SELECTOR_TSS);
    const auto gdt = READ_TO_MEMORY("sgdt %0", TablePointer);
    check_within("gdtr", gdt.base, image, image_end - gdt.limit);
    check("gdtr-limit", gdt.limit, PROLOGUE_SELECTOR_TSS + 15);
    const auto idt = READ_TO_MEMORY("sidt %0", TablePointer);
    check_within("idtr", idt.base, image, image_end - idt.limit);
    check("idtr-limit", idt.limit, 16 * kExceptions - 1);
}

void check_registers(const prologue_handoff& handoff, uint64_t rsp, uint64_t rflags, uint64_t rbp) {
    check("rflags", rflags & ~kStatusFlags, kFlags);
    check("rsp", rsp, handoff.stack_top - 8); // 16-byte aligned before the call
    check("rsp-aligned", (rsp + 8) % 16, 0);
    check("rbp", rbp, 0);
    check("cr0", READ_CONTROL("cr0"), kCr0);
    check("cr3", READ_CONTROL("cr3"), handoff.page_tables_phys);
    check("cr4", READ_CONTROL("cr4"), kCr4 | (handoff.paging_levels == 5 ? kCr4La57 : 0));
    check("cr8", READ_CONTROL("cr8"), 0);
    check("efer", read_msr(kMsrEfer), kEfer);
    check("pat", read_msr(kMsrPat), PROLOGUE_PAT);
    check("mxcsr", READ_TO_MEMORY("stmxcsr %0", uint32_t), kMxcsr);
    check("fcw", READ_TO_MEMORY("fnstcw %0", uint16_t), kFpuControl);
    check("fsw", READ_TO_MEMORY("fnstsw %0", uint16_t), 0);
}

void check_image() {
    uint64_t dirty = 0;
    for (unsigned i = 0; i != kBssWords; ++i)
        dirty += bss[i] != 0;
    check("bss", dirty, 0);
    check("data", data[0] + data[1] + data[2] + data[3], 0x0123456789abcdef + 6);
    check("rodata", rodata[0] + rodata[1] + rodata[2] + rodata[3], 0xfedcba9876543210 + 15);
    bss[1] = data[0];
    asm volatile("" : : : "memory");
    check("bss-writable", bss[1], data[0]);
    bss[1] = 0;
}

// Arithmetic that needs what CR0, CR4 and MXCSR allow.
void check_sse() {
    double value = 0.75;
    asm volatile("movsd %0, %%xmm15; addsd %%xmm15, %%xmm15; movsd %%xmm15, %0"
                 : "+m"(value)
                 :
                 : "xmm15");
    check("sse", value == 1.5, 1);
}

uint32_t type_at(const prologue_handoff& handoff, uint64_t phys) {
    for (uint64_t i = 0; i != handoff.memory_count; ++i)
        if (phys >= handoff.memory[i].start && phys < handoff.memory[i].end)
            return handoff.memory[i].type;
    return 0;
}

// What `pointer` points to lies, to its last byte, in memory that Prologue has
// marked as its own, and is seen through the direct map.
void check_place(const prologue_handoff& handoff, const char* name, const void* pointer,
                 uint64_t bytes) {
    const uint64_t phys = reinterpret_cast<uint64_t>(pointer) - handoff.direct_map;
    check(name, type_at(handoff, phys), PROLOGUE_MEMORY_PROLOGUE);
    if (bytes != 0)
        check(name, type_at(handoff, phys + bytes - 1), PROLOGUE_MEMORY_PROLOGUE);
}

void check_places(const prologue_handoff& handoff) {
    check_place(handoff, "place-handoff", &handoff, handoff.size);
    check_place(handoff, "place-memory-map", handoff.memory,
                handoff.memory_count * sizeof *handoff.memory);
    check_place(handoff, "place-cmdline", handoff.cmdline, handoff.cmdline_bytes + 1);
    if (handoff.module_count != 0)
        check_place(handoff, "place-modules", handoff.modules,
                    handoff.module_count * sizeof *handoff.modules);
    for (uint64_t i = 0; i != handoff.module_count; ++i)
        check_place(handoff, "place-module-cmdline", handoff.modules[i].cmdline,
                    handoff.modules[i].cmdline_bytes + 1);
    if (handoff.boot.environment != nullptr)
        check_place(handoff, "place-environment", handoff.boot.environment,
                    handoff.boot.environment_bytes + 1);
    if (handoff.efi.memory_map != nullptr) {
        check_place(handoff, "place-efi-map", handoff.efi.memory_map, handoff.efi.memory_map_bytes);
        check("efi-map-alignment", reinterpret_cast<uintptr_t>(handoff.efi.memory_map) % 8, 0);
    }
    check("place-page-tables", type_at(handoff, handoff.page_tables_phys),
          PROLOGUE_MEMORY_PROLOGUE);
}

uint64_t length(const char* text) {
    uint64_t bytes = 0;
    while (text[bytes] != 0)
        ++bytes;
    return bytes;
}

void check_handoff(const prologue_handoff& handoff) {
    check("magic", handoff.magic, PROLOGUE_HANDOFF_MAGIC);
    check("version", handoff.version, PROLOGUE_HANDOFF_VERSION);
    check("size", handoff.size, sizeof handoff);
    check("load-base", handoff.load_base + handoff.kernel_offset,
          reinterpret_cast<uint64_t>(__ehdr_start));
    check("cmdline-bytes", handoff.cmdline_bytes, length(handoff.cmdline));
    for (uint64_t i = 0; i != handoff.module_count; ++i)
        check("module-cmdline-bytes", handoff.modules[i].cmdline_bytes,
              length(handoff.modules[i].cmdline));
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    check_within("tsc", handoff.tsc, 1, uint64_t{high} << 32 | low);
}

// The spare pages are what the header says: part of the image, and zero.
void check_spare(const prologue_handoff& handoff) {
    check("spare-aligned", (handoff.spare_start | handoff.spare_end) % kPage, 0);
    check_within("spare", handoff.spare_start, kPage, handoff.spare_end);
    uint64_t strange = 0, dirty = 0;
    for (uint64_t page = handoff.spare_start; page < handoff.spare_end; page += kPage)
        strange += type_at(handoff, page) != PROLOGUE_MEMORY_KERNEL;
    const auto* word = reinterpret_cast<const uint64_t*>(handoff.direct_map + handoff.spare_start);
    for (uint64_t left = (handoff.spare_end - handoff.spare_start) / 8; left != 0; --left)
        dirty += *word++ != 0;
    check("spare-type", strange, 0);
    check("spare-zero", dirty, 0);
}

// The first and the last word of each range that is free keep what is written.
void check_memory(const prologue_handoff& handoff) {
    uint64_t lost = 0;
    for (uint64_t i = 0; i != handoff.memory_count; ++i) {
        const prologue_range& range = handoff.memory[i];
        if (range.type != PROLOGUE_MEMORY_USABLE)
            continue;
        const uint64_t words[] = {range.start, range.end - 8};
        for (const uint64_t phys : words) {
            auto* word = reinterpret_cast<volatile uint64_t*>(handoff.direct_map + phys);
            const uint64_t before = *word;
            *word = ~before;
            lost += *word != ~before;
            *word = before;
        }
    }
    check("memory", lost, 0);
}

void line(const char* key, uint64_t value) {
    print("handoff: ");
    print(key);
    print(" ");
    print_hex(value);
    print("\n");
}

void report_handoff(const prologue_handoff& handoff) {
    line("loader", handoff.loader);
    line("entry_mode", handoff.entry_mode);
    line("loader_magic", handoff.loader_magic);
    line("loader_info_phys", handoff.loader_info_phys);
    line("paging_levels", handoff.paging_levels);
    line("load_base", handoff.load_base);
    line("load_end", handoff.load_end);
    line("kernel_offset", handoff.kernel_offset);
    line("direct_map", handoff.direct_map);
    line("direct_map_bytes", handoff.direct_map_bytes);
    line("identity_bytes", handoff.identity_bytes);
    line("page_size", handoff.page_size);
    line("stack_bottom", handoff.stack_bottom);
    line("stack_top", handoff.stack_top);
    line("module_count", handoff.module_count);
    if (handoff.loader_info_phys >= kPage) // address 0 is nobody's
        line("loader_info_word",
             *reinterpret_cast<const uint32_t*>(handoff.direct_map + handoff.loader_info_phys));
}

// zlib's: two sums over the bytes.
uint32_t adler32(const uint8_t* bytes, uint64_t count) {
    uint32_t low = 1, high = 0;
    for (; count != 0; --count) {
        low = (low + *bytes++) % 65521;
        high = (high + low) % 65521;
    }
    return high << 16 | low;
}

void report_memory(const prologue_handoff& handoff) {
    for (uint64_t i = 0; i != handoff.memory_count; ++i) {
        const prologue_range& range = handoff.memory[i];
        print("memory: ");
        print_hex(range.start);
        print(" ");
        print_hex(range.end);
        print(" ");
        print_decimal(range.type);
        print("\n");
    }
}

void report_modules(const prologue_handoff& handoff) {
    for (uint64_t i = 0; i != handoff.module_count; ++i) {
        const prologue_module& module = handoff.modules[i];
        const auto* bytes = reinterpret_cast<const uint8_t*>(handoff.direct_map + module.start);
        print("module: ");
        print_decimal(module.bytes);
        print(" ");
        print_hex(adler32(bytes, module.bytes));
        print(" ");
        print(module.cmdline);
        print("\n");
    }
}

void report_mapping(const Mapping& mapping) {
    print("map: ");
    print_hex(mapping.virt);
    print(" ");
    print_hex(mapping.virt + mapping.bytes);
    print(" ");
    print_hex(mapping.phys);
    print(mapping.writable ? " rw" : " r-");
    print(mapping.executable ? "x " : "- ");
    print_decimal(mapping.caching);
    print("\n");
}

// What is mapped, and that no entry has a bit that nobody asked for.
void check_tables(const prologue_handoff& handoff) {
    TableWalk walk(handoff.direct_map, handoff.paging_levels, report_mapping);
    walk.all(READ_CONTROL("cr3"));
    check("table-entries", walk.first_odd_entry(), 0);
}

bool same(const char* a, const char* b) {
    for (; *a == *b; ++a, ++b)
        if (*a == 0)
            return true;
    return false;
}

void print_result() {
    print(all_good ? "result: ok\n" : "result: bad\n");
}

[[noreturn]] void drop_identity(const prologue_handoff& handoff) {
    auto* top = reinterpret_cast<volatile uint64_t*>(handoff.direct_map + handoff.page_tables_phys);
    top[0] = 0;
    asm volatile("mov %0, %%cr3" : : "r"(handoff.page_tables_phys) : "memory");
    check_handoff(handoff);
    check_memory(handoff);
    check_tables(handoff);
    print_result();
    asm volatile("ud2");
    __builtin_unreachable();
}

} // namespace

void state_main(const prologue_handoff* given, uint64_t rsp, uint64_t rflags, uint64_t rbp) {
    const prologue_handoff& handoff = *given;
    check_handoff(handoff);
    if (same(handoff.cmdline, "drop-identity"))
        drop_identity(handoff);
    check_segments(handoff.load_base + handoff.kernel_offset,
                   handoff.load_end + handoff.kernel_offset);
    check_registers(handoff, rsp, rflags, rbp);
    check_image();
    check_sse();
    check_places(handoff);
    check_spare(handoff);
    check_memory(handoff);
    check_tables(handoff);
    report_handoff(handoff);
    report_memory(handoff);
    report_modules(handoff);
    print("cmdline: ");
    print(handoff.cmdline);
    print("\n");
    print_result();
    kernel::finish(PROLOGUE_EXIT_SUCCESS);
}
