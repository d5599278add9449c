// A kernel that knows nothing of Prologue, entered in 64-bit mode with what 32-bit kernels are told:
// Multiboot 2's information, or PVH's. It tells what it found.
#include "console.h"

#include <stdint.h>

namespace {

using kernel::print;
using kernel::print_decimal;
using kernel::print_hex;

constexpr uint64_t kMultiboot2 = 0x36d76289;
constexpr uint32_t kPvh = 0x336ec578;

void line(const char* key, uint64_t value) {
    print(key);
    print(": ");
    print_hex(value);
    print("\n");
}

void text(const char* key, const char* value) {
    print(key);
    print(": ");
    print(value);
    print("\n");
}

template <class T>
T at(uint64_t phys) {
    return *reinterpret_cast<const volatile T*>(phys);
}

void module(uint64_t start, uint64_t bytes, uint64_t string) {
    line("module", bytes);
    line("bytes", uint64_t{at<uint8_t>(start)} << 8 | at<uint8_t>(start + bytes - 1));
    text("string", reinterpret_cast<const char*>(string));
}

void range(uint64_t start, uint64_t bytes, uint32_t type) {
    print("memory: ");
    print_hex(start);
    print(" ");
    print_hex(start + bytes);
    print(" ");
    print_decimal(type);
    print("\n");
}

// The name of the first section behind the empty one: its place in a section that no segment loads.
void sections(uint64_t content) {
    line("sections", at<uint32_t>(content));
    const uint64_t headers = content + 12, bytes = at<uint32_t>(content + 4);
    const uint64_t names = headers + bytes * at<uint32_t>(content + 8);
    text("section",
         reinterpret_cast<const char*>(at<uint64_t>(names + 16) + at<uint32_t>(headers + bytes)));
}

void tag(uint64_t phys, uint32_t type, uint32_t bytes) {
    switch (type) {
    case 1:
        return text("cmdline", reinterpret_cast<const char*>(phys + 8));
    case 2:
        return text("bootloader", reinterpret_cast<const char*>(phys + 8));
    case 3:
        return module(at<uint32_t>(phys + 8), at<uint32_t>(phys + 12) - at<uint32_t>(phys + 8),
                      phys + 16);
    case 4:
        line("lower", at<uint32_t>(phys + 8));
        return line("upper", at<uint32_t>(phys + 12));
    case 6:
        for (uint64_t entry = phys + 16; entry < phys + bytes; entry += at<uint32_t>(phys + 8))
            range(at<uint64_t>(entry), at<uint64_t>(entry + 8), at<uint32_t>(entry + 16));
        return;
    case 8:
        return line("screen", at<uint32_t>(phys + 20));
    case 9:
        return sections(phys + 8);
    case 13:
        return line("smbios", at<uint8_t>(phys + 8));
    case 14:
    case 15:
        return line("rsdp", at<uint64_t>(phys + 8));
    case 21:
        return line("base", at<uint32_t>(phys + 8));
    }
    line("tag", type);
}

void read_multiboot2(uint64_t info) {
    const uint64_t end = info + at<uint32_t>(info);
    uint64_t next = info + 8;
    for (; next < end && at<uint32_t>(next) != 0; next += (at<uint32_t>(next + 4) + 7) & ~7u)
        tag(next, at<uint32_t>(next), at<uint32_t>(next + 4));
    line("end", next + 8 - end);
}

void read_pvh(uint64_t info) {
    text("cmdline", reinterpret_cast<const char*>(at<uint64_t>(info + 24)));
    const uint64_t rsdp = at<uint64_t>(info + 32);
    line("rsdp-place", rsdp);
    for (uint32_t i = 0; i != at<uint32_t>(info + 12); ++i) {
        const uint64_t entry = at<uint64_t>(info + 16) + 32 * i;
        module(at<uint64_t>(entry), at<uint64_t>(entry + 8), at<uint64_t>(entry + 16));
    }
    for (uint32_t i = 0; i != at<uint32_t>(info + 48); ++i) {
        const uint64_t entry = at<uint64_t>(info + 40) + 24 * i;
        range(at<uint64_t>(entry), at<uint64_t>(entry + 8), at<uint32_t>(entry + 16));
    }
}

constinit uint64_t zero[1024] = {}, one = 1;

} // namespace

extern "C" [[noreturn]] void report(uint64_t magic, uint64_t info, uint64_t others,
                                    const uint64_t* stack) {
    print("\n"); // behind what firmware has left on its line
    line("magic", magic);
    line("others", others);
    line("stack", reinterpret_cast<uint64_t>(stack) % 16);
    line("code", reinterpret_cast<uint64_t>(&report) >> 32);
    if (magic == kMultiboot2)
        read_multiboot2(info);
    else if (at<uint32_t>(info) == kPvh)
        read_pvh(info);
    uint64_t sum = 0;
    for (const volatile uint64_t& word : zero)
        sum |= word;
    line("image", sum << 1 | one); // .bss is clear, and .data is there
    kernel::finish(0x10);
}

// RAX, RBX, all other general registers, RSP apart, in one, and the stack pointer.
asm(R"(
        .globl  informed_entry
informed_entry:
        orq     %rcx, %rdx
        orq     %rsi, %rdx
        orq     %rdi, %rdx
        orq     %rbp, %rdx
        orq     %r8, %rdx
        orq     %r9, %rdx
        orq     %r10, %rdx
        orq     %r11, %rdx
        orq     %r12, %rdx
        orq     %r13, %rdx
        orq     %r14, %rdx
        orq     %r15, %rdx
        movq    %rax, %rdi
        movq    %rbx, %rsi
        movq    %rsp, %rcx
        call    report
)");

#ifdef KERNEL_PVH64
asm(R"(
        .section .note.prologue, "a", @note
        .balign 4
        .long   4, 8, 18
        .asciz  "Xen"
        .quad   informed_entry
)");
#else
// Its tags: the information that it needs; where 64-bit code is entered, by UEFI elsewhere; modules
// in whole pages; and one that nobody knows, and that need not be.
asm(R"(
        .section .rodata.multiboot2, "a"
        .balign 8
header: .long   0xe85250d6, 0, header_end - header, -(0xe85250d6 + header_end - header)
information:
        .short  1, 0
        .long   28, 1, 3, 4, 6, 9
        .balign 8
        .short  9, 1
        .long   12, informed_entry - 0xffffffff80000000
        .balign 8
        .short  6, 0
        .long   8
        .balign 8
        .short  999, 1
        .long   8
        .short  0, 0
        .long   8
header_end:
)");
#endif
