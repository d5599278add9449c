// A kernel in the upper half, with a layout, descriptor tables and page tables of
// its own. All that is left of Prologue's, once it runs, is the handoff.
#include <prologue/cpus.h>
#include <prologue/kernel.h>
#include <prologue/wishes.h>

#include "console.h"
#include "cpu.h"
#include "descriptors.h"
#include "frames.h"
#include "paging.h"

PROLOGUE_WISH_STACK(0x8000);

// For tests in QEMU with -device isa-debug-exit,iobase=0xf4,iosize=4: ends it.
// Delete this, and the call of leave_qemu, for any other machine.
PROLOGUE_WISH_QEMU_EXIT;
static void leave_qemu() {
    out8(PROLOGUE_EXIT_PORT, PROLOGUE_EXIT_SUCCESS);
}

namespace {

using console::Hex;
using console::print;

// Where the kernel sees its initial RAM disk: behind the room for RAM.
constexpr uint64_t kInitrd = 0xffffc00000000000;

const char* type_name(uint32_t type) {
    switch (type) {
    case PROLOGUE_MEMORY_USABLE:
        return "free";
    case PROLOGUE_MEMORY_LOADER:
        return "the loader's";
    case PROLOGUE_MEMORY_PROLOGUE:
        return "the handoff";
    case PROLOGUE_MEMORY_MODULE:
        return "modules";
    case PROLOGUE_MEMORY_ACPI:
        return "ACPI tables";
    case PROLOGUE_MEMORY_NVS:
        return "ACPI's own";
    case PROLOGUE_MEMORY_KERNEL:
        return "kernel";
    case PROLOGUE_MEMORY_BAD:
        return "bad";
    default:
        return "reserved";
    }
}

void print_memory(const prologue_handoff& handoff) {
    for (uint64_t i = 0; i != handoff.memory_count; ++i) {
        const prologue_range& range = handoff.memory[i];
        print("memory: ", Hex{range.start}, " to ", Hex{range.end}, ": ", type_name(range.type));
    }
}

// The module that `initrd=NAME` on the command line names; without that, the first.
const prologue_module* find_initrd(const prologue_handoff& handoff) {
    uint64_t bytes;
    if (const char* const name = prologue_option(&handoff, "initrd", &bytes))
        return prologue_find_module(&handoff, name);
    return handoff.module_count != 0 ? handoff.modules : nullptr;
}

// Maps it for reading, wherever the loader has put it. Modules need not be aligned.
void use_initrd(const prologue_module& module, PageTables& tables) {
    const uint64_t start = module.start & -4096ull;
    const uint64_t end = (module.start + module.bytes + 4095) & -4096ull;
    tables.map(kInitrd, start, end - start, PageTables::kReadOnly);
    const char* const text = reinterpret_cast<const char*>(kInitrd + module.start % 4096);
    uint64_t line = 0;
    while (line != module.bytes && text[line] != '\n')
        ++line;
    print("initrd: ", module.bytes, " bytes: ", console::Text{text, line});
}

// Where each of the others begins, on a stack of its own and on the tables that are loaded.
constexpr uint32_t kMostProcessors = 16;
constexpr uint64_t kSecondStack = 0x2000;
uint32_t processors = 1;
void second_main(prologue_cpu*) {
    __atomic_add_fetch(&processors, 1, __ATOMIC_RELAXED);
}

// Page tables are seen where RAM is: map_ram has it where Prologue had.
void start_processors(const prologue_handoff& handoff) {
    static prologue_cpu list[kMostProcessors];
    alignas(4096) static uint8_t memory[PROLOGUE_CPUS_SHARED_BYTES +
                                        kMostProcessors * (kSecondStack + PROLOGUE_CPU_OWN_BYTES)];
    static prologue_cpus cpus = {};
    static prologue_cpus_start start = {};
    cpus.handoff = &handoff;
    cpus.cpu = list;
    cpus.room = kMostProcessors;
    start.entry = second_main;
    start.stack_bytes = kSecondStack;
    start.memory = memory;
    start.memory_bytes = sizeof memory;
    if (prologue_find_cpus(&cpus) == PROLOGUE_CPUS_DONE)
        prologue_start_cpus(&cpus, &start);
    for (uint32_t i = 1; i < cpus.count; ++i)
        while (__atomic_load_n(&list[i].state, __ATOMIC_ACQUIRE) == PROLOGUE_CPU_RUNNING)
            asm volatile("pause");
    print("processors: ", uint64_t{__atomic_load_n(&processors, __ATOMIC_RELAXED)}, " of ",
          uint64_t{cpus.found});
}

}  // namespace

void kernel_main(const prologue_handoff* handoff) {
    console::init();
    if (!prologue_handoff_is_good(handoff)) {
        print("this is no handoff of Prologue's, or an older one");
        halt();
    }
    load_descriptors();
    asm volatile("int3");  // comes back: exceptions are the kernel's

    Frames frames(*handoff);
    PageTables tables(*handoff, frames);
    tables.map_image();
    tables.map_ram();
    tables.load();
    print("page tables: ", frames.taken(), " pages");

    print("command line: ", handoff->cmdline);
    print_memory(*handoff);
    if (const prologue_module* const initrd = find_initrd(*handoff))
        use_initrd(*initrd, tables);
    start_processors(*handoff);
    print("result: ok");

    leave_qemu();
    halt();
}
