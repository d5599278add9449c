// A payload, or a kernel at a random place, that looks at what has moved: its own bytes, its pointers, its .bss, and its modules'
// bytes, of which it prints sums; and at where it is.
#include "console.h"
#include "prologue/kernel.h"
#include "prologue/payload.h"

#ifdef KERNEL_RANDOM // linked with Prologue
PROLOGUE_WISH_RANDOM(PROLOGUE_RANDOM_PHYSICAL, PROLOGUE_RANDOM_VIRTUAL);
PROLOGUE_WISH_QEMU_EXIT;
#ifdef KERNEL_EVERY_HEADER
PROLOGUE_WISH_HEADERS(pvh, multiboot1, multiboot2, linux, vmd, freebsd, igvm);
#endif
#else
PROLOGUE_PAYLOAD;
#endif

namespace {

using kernel::print;
using kernel::print_decimal;
using kernel::print_hex;

constexpr unsigned kWords = 0x20000;

constexpr uint64_t word(uint64_t index) {
    return (index + 1) * 0x9e3779b97f4a7c15;
}

struct Words {
    uint64_t words[kWords];
};

// A MiB that is in the file.
constexpr Words made() {
    Words all = {};
    for (uint64_t i = 0; i != kWords; ++i)
        all.words[i] = word(i);
    return all;
}
constinit Words data = made();
uint64_t zeroes[kWords];

} // namespace

// One that a shared object finds by its symbol's name.
extern "C" {
extern uint64_t exported[4];
constinit uint64_t exported[4] = {word(0), word(1), word(2), word(3)};
}

namespace {

// What is relocated in a PIE: next to each other, and apart.
struct Pointers {
    const uint64_t* next[3];
    uint64_t between[70];
    const uint64_t* apart;
    const uint64_t* behind;
};
constinit const volatile Pointers pointers = {
    {&data.words[1], zeroes, &zeroes[9]}, {}, &exported[2], &data.words[kWords - 1]};

bool is_relocated() {
    return pointers.next[0] == &data.words[1] && pointers.next[1] == zeroes &&
           pointers.next[2] == &zeroes[9] && pointers.apart == &exported[2] &&
           *pointers.apart == word(2) && pointers.behind == &data.words[kWords - 1];
}

void print_place(const prologue_handoff* handoff) {
    print("place: ");
    print_hex(handoff->load_base);
    print(" ");
    print_hex(handoff->load_base + handoff->kernel_offset);
    print(" ");
    print_hex(handoff->direct_map);
    print("\n");
}

bool is_whole() {
    for (uint64_t i = 0; i != kWords; ++i)
        if (static_cast<volatile uint64_t&>(data.words[i]) != word(i) || zeroes[i] != 0)
            return false;
    return true;
}

// FNV-1a.
uint64_t sum(const prologue_handoff* handoff, const prologue_module& module) {
    const auto* const bytes = static_cast<const uint8_t*>(prologue_seen(handoff, module.start));
    uint64_t result = 0xcbf29ce484222325;
    for (uint64_t i = 0; i != module.bytes; ++i)
        result = (result ^ bytes[i]) * 0x100000001b3;
    return result;
}

} // namespace

void kernel_main(const prologue_handoff* handoff) {
    print_place(handoff);
    print(is_relocated() ? "pointers: right\n" : "pointers: wrong\n");
    print(is_whole() ? "image: whole\n" : "image: changed\n");
    for (uint64_t i = 0; i != handoff->module_count; ++i) {
        print("sum: ");
        print_hex(sum(handoff, handoff->modules[i]));
        print(" ");
        print(handoff->modules[i].cmdline);
        print("\n");
    }
    kernel::finish(PROLOGUE_EXIT_SUCCESS);
}
