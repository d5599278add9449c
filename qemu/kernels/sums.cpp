// A payload that looks at what has moved: its own bytes, its .bss, and its modules' bytes, of
// which it prints sums.
#include "console.h"
#include "prologue/kernel.h"
#include "prologue/payload.h"

PROLOGUE_PAYLOAD;

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

}  // namespace

void kernel_main(const prologue_handoff* handoff) {
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
