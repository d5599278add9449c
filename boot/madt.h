// Who is there: the processors that ACPI's MADT lists.
#pragma once
#pragma GCC visibility push(hidden)

#include "prologue/cpus.h"

namespace prologue {

// Reads physical memory: false where it cannot. Tables lie anywhere, and are no RAM of ours.
struct PhysReader {
    bool (*read)(void* context, uint64_t phys, void* to, uint64_t bytes);
    void* context;

    template <class T>
    bool get(uint64_t phys, T& to) const {
        return read(context, phys, &to, sizeof to);
    }
};

// Fills the list behind the boot processor, which stands there already, and the addresses that
// the MADT tells.
prologue_cpus_result read_madt(const PhysReader& memory, uint64_t rsdp, prologue_cpus& cpus);

} // namespace prologue

#pragma GCC visibility pop
