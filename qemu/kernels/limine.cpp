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

    constexpr Request(uint64_t a, uint64_t b, uint64_t first = 0, uint64_t most = 0,
                      uint64_t least = 0)
        : id{kCommon[0], kCommon[1], a, b},
          revision(most),
          answer(nullptr),
          more{first, most, least} {}
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
    uint64_t revision, first, second, third, fourth;
};
struct Processor {
    uint32_t acpi_id, apic_id;
    uint64_t reserved;
    void (*volatile go)(Processor*);
    uint64_t extra;
};
struct Processors {
    uint64_t revision;
    uint32_t flags, own_apic_id;
    uint64_t count;
    Processor** list;
};
struct OwnFile {
    uint64_t revision;
    const File* file;
};

extern "C" void limine_entry();

#ifdef KERNEL_LEVELS
constexpr uint64_t kFive = 1, kLeast = KERNEL_LEVELS == 5;
#else
constexpr uint64_t kFive = 0, kLeast = 0;
#endif

// What lies outside of these marks is no request.
[[gnu::used, gnu::section(".limine_requests_start")]] constinit volatile uint64_t first_mark[] = {
    0xf6b8f4b39de7d1ae, 0xfab91a6940fcb9cf, 0x785c6ed015d3e316, 0x181e920a7852b9d9};
#define REQUEST [[gnu::used, gnu::section(".limine_requests")]] constinit
REQUEST volatile uint64_t base_revision[] = {0xf9562b2d5c95a6c8, 0x6a7b384944536bdc, 3};
REQUEST Request<Texts> bootloader(0xf55038d8e2a1202f, 0x279426fcf5f59740);
REQUEST Request<Texts> cmdline(0x4b161536e598651e, 0xb390ad4a2f1f303a);
REQUEST Request<Numbers> stack(0x224ef0460a8e8926, 0xe1cb0fc25f46ea3d, 0x20000);
REQUEST Request<Numbers> hhdm(0x48dcf1cb8ad2b852, 0x63984e959a98244b);
REQUEST Request<List<Screen>> screens(0x9d5827dcd881dd75, 0xa3148604f6fab11b);
REQUEST Request<Numbers> paging(0x95c1a0edab0944cb, 0xa4e5cb3842f7488a, kFive, kFive, kLeast);
REQUEST Request<List<Entry>> memory(0x67cf3d9d378a806f, 0xe304acdfc50c3c62);
REQUEST Request<List<File>> modules(0x3e7e279702be32af, 0xca1c4f3bd1280cee);
REQUEST Request<Numbers> rsdp(0xc5e77b6b397e7b43, 0x27637845accdcf3c);
REQUEST Request<Numbers> address(0x71ba76863cc55f63, 0xb2644a48c516a487);
REQUEST Request<Processors> processors(0x95a67b819a1b857e, 0xa0b61b723b6a73e0);
REQUEST Request<OwnFile> own_file(0xad97e90e83f1ed67, 0x31eb5d1c5ff23b69);
REQUEST Request<Numbers> firmware(0x8c2f75d90bef28a8, 0x7045a4688eac00c3);
REQUEST Request<Numbers> smbios(0x9e9046f11e095391, 0xaa4a520fefbde5ee);
REQUEST Request<Numbers> efi_table(0x5ceba5163eaaf6d6, 0x0a6981610cf65fcc);
REQUEST Request<Numbers> efi_map(0x7df62a431d6872d5, 0xa4fcdfb3e57306c8);
REQUEST Request<Numbers> time(0x502746e184c088aa, 0xfbc5ec83e6327893);
REQUEST struct {
    uint64_t id[4] = {kCommon[0], kCommon[1], 0x13d86c035a1cd3e1, 0x2b0caa89d8f3026a};
    uint64_t revision = 0;
    const uint64_t* volatile answer = nullptr;
    void (*entry)() = limine_entry;
} entry;
REQUEST Request<Numbers> unknown(0x1111111111111111, 0x2222222222222222);

[[gnu::used, gnu::section(".limine_requests_end")]] constinit volatile uint64_t last_mark[] = {
    0xadc0e0531bb10d03, 0x9572709f31764c62};
[[gnu::used]] constinit const volatile uint64_t no_request[] = {
    kCommon[0], kCommon[1], 0x48dcf1cb8ad2b852, 0x63984e959a98244b, 0, 0};

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

uint64_t cr3() {
    uint64_t value;
    asm volatile("movq %%cr3, %0" : "=r"(value));
    return value;
}

constinit uint32_t came = 0, wrong = 0;

// Another processor, on a stack of its own, as large as was asked for.
[[noreturn]] void other(Processor* self) {
    auto* const deep = static_cast<volatile uint8_t*>(__builtin_frame_address(0)) - 0x1f000;
    *deep = static_cast<uint8_t>(self->extra);
    for (unsigned i = 0; i != 100000; ++i)
        asm volatile("pause");
    const bool is_right = *deep == static_cast<uint8_t>(self->extra) && self->extra != 0 &&
                          processors.answer->list[self->extra] == self && cr3() == self->reserved;
    __atomic_fetch_add(is_right ? &came : &wrong, 1, __ATOMIC_SEQ_CST);
    for (;;)
        asm volatile("hlt");
}

void report_processors() {
    const Processors& all = *processors.answer;
    line("processors", all.count);
    line("own", all.list[0]->apic_id == all.own_apic_id);
    for (uint64_t i = 1; i != all.count; ++i) {
        all.list[i]->extra = i;
        all.list[i]->reserved = cr3();
        __atomic_store_n(&all.list[i]->go, other, __ATOMIC_SEQ_CST);
    }
    while (__atomic_load_n(&came, __ATOMIC_SEQ_CST) + __atomic_load_n(&wrong, __ATOMIC_SEQ_CST) !=
           all.count - 1)
        asm volatile("pause");
    line("came", came);
}

// The answers that need not be there.
void line_if(const char* key, const Request<Numbers>& request) {
    line(key, request.answer != nullptr ? request.answer->first | request.answer->second : 0);
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
    line("entry-answered", entry.answer != nullptr);
    line("file", own_file.answer->file->bytes);
    line("magic", *reinterpret_cast<const uint32_t*>(own_file.answer->file->address));
    line("firmware", firmware.answer->first);
    line_if("smbios", smbios);
    line_if("efi-table", efi_table);
    line("efi-map", efi_map.answer != nullptr ? efi_map.answer->second / efi_map.answer->third : 0);
    line("time", time.answer != nullptr ? time.answer->first : 0);
    report_memory();
    report_modules();
    report_screen();
    report_processors();
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

        .globl  elf_entry
elf_entry: // not where it asks to be entered
        movl    $2, %eax
        movw    $0x501, %dx
        outl    %eax, %dx
        hlt
)");
