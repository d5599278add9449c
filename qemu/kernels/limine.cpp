// A kernel that knows nothing of Prologue: it asks by the Limine protocol, as that one's template
// does, for each feature that the loader image serves, and tells what it was answered.
#include "console.h"

#include <stdint.h>

namespace {

using kernel::print;
using kernel::print_decimal;
using kernel::print_hex;

constexpr uint64_t kCommon[] = {0xc7b1dd30df4c8b88, 0x0a82e883a194f07b};

template <class Answer>
struct Request {
    uint64_t id[4];
    uint64_t revision;
    Answer* volatile answer;
    uint64_t more[3];

    constexpr Request(uint64_t a, uint64_t b, uint64_t first = 0)
        : id{kCommon[0], kCommon[1], a, b},
          revision(0),
          answer(nullptr),
          more{first, 0, 0} {}
};

template <class T>
struct List {
    uint64_t revision, count;
    T** things;
};
struct Entry {
    uint64_t start, bytes, type;
};
struct File {
    uint64_t revision;
    const char* address;
    uint64_t bytes;
    const char *path, *string;
};
struct Screen {
    volatile uint32_t* address;
    uint64_t width, height, pitch;
    uint16_t bits;
    uint8_t model;
};
struct Texts {
    uint64_t revision;
    const char *first, *second;
};
struct Numbers {
    uint64_t revision, first, second;
};

#define REQUEST [[gnu::used, gnu::section(".limine_requests")]] constinit
REQUEST volatile uint64_t base_revision[] = {0xf9562b2d5c95a6c8, 0x6a7b384944536bdc, 3};
REQUEST Request<Texts> bootloader(0xf55038d8e2a1202f, 0x279426fcf5f59740);
REQUEST Request<Texts> cmdline(0x4b161536e598651e, 0xb390ad4a2f1f303a);
REQUEST Request<Numbers> stack(0x224ef0460a8e8926, 0xe1cb0fc25f46ea3d, 0x20000);
REQUEST Request<Numbers> hhdm(0x48dcf1cb8ad2b852, 0x63984e959a98244b);
REQUEST Request<List<Screen>> screens(0x9d5827dcd881dd75, 0xa3148604f6fab11b);
REQUEST Request<Numbers> paging(0x95c1a0edab0944cb, 0xa4e5cb3842f7488a);
REQUEST Request<List<Entry>> memory(0x67cf3d9d378a806f, 0xe304acdfc50c3c62);
REQUEST Request<List<File>> modules(0x3e7e279702be32af, 0xca1c4f3bd1280cee);
REQUEST Request<Numbers> rsdp(0xc5e77b6b397e7b43, 0x27637845accdcf3c);
REQUEST Request<Numbers> address(0x71ba76863cc55f63, 0xb2644a48c516a487);
REQUEST Request<Numbers> unknown(0x1111111111111111, 0x2222222222222222);

constinit const uint64_t* const volatile pointer = &stack.revision;

void line(const char* key, uint64_t value) {
    print(key);
    print(": ");
    print_hex(value);
    print("\n");
}

void line(const char* key, const char* value) {
    print(key);
    print(": ");
    print(value);
    print("\n");
}

// What lies at the image's first byte, by both of its addresses.
bool is_where_it_says() {
    const auto* const seen = reinterpret_cast<const uint64_t*>(hhdm.answer->first +
                                                               address.answer->first);
    const auto* const own = reinterpret_cast<const uint64_t*>(address.answer->second);
    for (unsigned i = 0; i != 512; ++i)
        if (seen[i] != own[i])
            return false;
    return pointer == &stack.revision;
}

void report_screen() {
    if (screens.answer == nullptr)
        return;
    const Screen& screen = *screens.answer->things[0];
    screen.address[0] = 0x123456;
    screen.address[screen.pitch / 4 * screen.height - 1] = 0x654321;
    line("screen", screen.width);
    line("pixel", screen.address[0]);
}

void report_modules() {
    for (uint64_t i = 0; modules.answer != nullptr && i != modules.answer->count; ++i) {
        const File& file = *modules.answer->things[i];
        line("module", file.bytes);
        line("string", file.string);
        line("bytes",
             uint64_t(uint8_t(file.address[0])) << 8 | uint8_t(file.address[file.bytes - 1]));
    }
}

void report_memory() {
    for (uint64_t i = 0; i != memory.answer->count; ++i) {
        const Entry& entry = *memory.answer->things[i];
        print("memory: ");
        print_hex(entry.start);
        print(" ");
        print_hex(entry.start + entry.bytes);
        print(" ");
        print_decimal(entry.type);
        print("\n");
    }
}

} // namespace

extern "C" [[noreturn]] void report(const uint64_t* registers, uint64_t stack_pointer) {
    print("\n"); // behind what firmware has left on its line
    line("revision", base_revision[2]);
    line("loaded-by", base_revision[1]);
    uint64_t any = 0;
    for (unsigned i = 0; i != 14; ++i)
        any |= registers[i];
    line("registers", any);
    line("return-address", *reinterpret_cast<const uint64_t*>(stack_pointer));
    auto* const deep = reinterpret_cast<volatile uint8_t*>(stack_pointer - 0x1f000);
    *deep = 1; // the stack that was asked for is there
    line("bootloader", bootloader.answer->first);
    line("cmdline", cmdline.answer->first);
    line("paging", paging.answer->first);
    line("hhdm", hhdm.answer->first);
    line("rsdp", rsdp.answer != nullptr ? rsdp.answer->first : 0);
    line("physical", address.answer->first);
    line("virtual", address.answer->second);
    line("unknown", reinterpret_cast<uint64_t>(unknown.answer));
    report_memory();
    report_modules();
    report_screen();
    line("where", is_where_it_says() ? "right" : "wrong");
    kernel::finish(0x10);
}

// All general registers, RSP apart, and the stack pointer as they are at entry.
asm(R"(
        .globl  limine_entry
limine_entry:
        pushq   %r15
        pushq   %r14
        pushq   %r13
        pushq   %r12
        pushq   %r11
        pushq   %r10
        pushq   %r9
        pushq   %r8
        pushq   %rbp
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        pushq   %rcx
        pushq   %rax
        movq    %rsp, %rdi
        leaq    14*8(%rsp), %rsi
        call    report
)");
