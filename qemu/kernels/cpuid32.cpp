// Tells what CPUID was in 32-bit mode, where cpuid32_entry.S has executed it: a line a leaf.
#include "console.h"
#include "cpuid32.h"
#include "prologue/handoff.h"
#include "prologue/wishes.h"

PROLOGUE_WISH_QEMU_EXIT;

namespace {

using kernel::print;
using kernel::print_hex;

struct Result {
    uint32_t eax, ebx, ecx, edx, esi, edi, ebp, eflags;
    uint32_t by_protocol[4];
};

constexpr uint32_t kLeaves[] = {CPUID32_LEAVES};
constexpr const char* kSegments[] = {"based", "flat"};
constexpr unsigned kLeafCount = sizeof kLeaves / sizeof kLeaves[0];

}  // namespace

extern "C" Result cpuid32_results[2 * kLeafCount];
Result cpuid32_results[2 * kLeafCount];

void kernel_main(const prologue_handoff*) {
    bool right = true;
    for (unsigned i = 0; i != 2 * kLeafCount; ++i) {
        const Result& r = cpuid32_results[i];
        const uint32_t answer[] = {r.eax, r.ebx, r.ecx, r.edx};
        bool same = r.esi == CPUID32_SI && r.edi == CPUID32_DI && r.ebp == CPUID32_BP &&
                    (r.eflags & CPUID32_FLAGS) == CPUID32_FLAGS;
        print("leaf ");
        print_hex(kLeaves[i % kLeafCount]);
        print(" ");
        print(kSegments[i / kLeafCount]);
        for (unsigned n = 0; n != 4; ++n) {
            same &= answer[n] == r.by_protocol[n];
            print(" ");
            print_hex(answer[n]);
        }
        print(same ? ": ok\n" : ": wrong\n");
        right &= same;
    }
    print(right ? "result: ok\n" : "result: wrong\n");
    kernel::finish(right ? PROLOGUE_EXIT_SUCCESS : PROLOGUE_EXIT_FATAL);
}
