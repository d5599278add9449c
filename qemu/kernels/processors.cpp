// The demonstration kernel's other processors, where CPUS= is given: each comes to a function that
// returns at once, and halts.
#include "console.h"
#include "prologue/cpus.h"

namespace kernel {
namespace {

constexpr unsigned kMost = 64;
constexpr uint64_t kStack = 4096;

prologue_cpu list[kMost];
alignas(4096)
    uint8_t memory[PROLOGUE_CPUS_SHARED_BYTES + (kMost - 1) * (kStack + PROLOGUE_CPU_OWN_BYTES)];

void second_main(prologue_cpu*) {}

} // namespace

// This one, and those that have come.
void report_processors(const prologue_handoff& handoff) {
    prologue_cpus cpus = {.handoff = &handoff, .cpu = list, .room = kMost};
    prologue_cpus_start start = {.entry = second_main,
                                 .stack_bytes = kStack,
                                 .memory = memory,
                                 .memory_bytes = sizeof memory};
    if (prologue_find_cpus(&cpus) == PROLOGUE_CPUS_DONE)
        (void)prologue_start_cpus(&cpus, &start);
    print("cpus: ");
    print_decimal(1 + start.started);
    print("\n");
}

} // namespace kernel
