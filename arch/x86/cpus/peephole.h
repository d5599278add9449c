// One page of the image's that shows any physical page: tables of the firmware's, the local APIC,
// pages that are borrowed. Whatever the kernel maps, the image is mapped.
#pragma once
#pragma GCC visibility push(hidden)

#include "cpu.h"
#include "page_tables.h"
#include "prologue/cpus.h"

namespace prologue {

// The kernel's tables, and where physical memory is seen in those that are loaded.
struct KernelTables {
    uint64_t window;        // virtual address of physical 0
    uint64_t kernel_offset; // of the image: virtual - physical
    uint64_t c_bit_mask;    // of an SEV guest's private memory; 0 in others

    uint64_t root_of(uint64_t cr3) const { return cr3 & kTableAddress & ~c_bit_mask; }

    uint64_t phys_of(const void* thing) const {
        return reinterpret_cast<uintptr_t>(thing) - kernel_offset;
    }
    // The entry of the 4 KiB page at `virt` below that top-level table; null where there is none,
    // or where the few tables of our own do not do to split a larger page.
    uint64_t* page_entry(uint64_t root, uint64_t virt) const;
};

class Peephole {
public:
    explicit Peephole(const KernelTables& tables);
    ~Peephole(); // shows what it showed before

    // Is the image mapped there?
    bool is_there() const { return entry_ != nullptr; }

    // The page that holds that address, at its offset in it; until the next call.
    void* see(uint64_t phys) { return show(phys, c_bit_mask_); }
    // Registers in memory: uncached, and a device's.
    volatile uint32_t* see_registers(uint64_t phys) {
        return static_cast<volatile uint32_t*>(show(phys, PTE_CACHE_DISABLE | PTE_WRITE_THROUGH));
    }

    // For read_madt.
    bool read(uint64_t phys, void* to, uint64_t bytes);

private:
    void* show(uint64_t phys, uint64_t bits);

    uint64_t c_bit_mask_;
    uint64_t* entry_;
    uint64_t before_ = 0;
    uint64_t most_; // physical memory that the CPU addresses
};

unsigned levels_now();
KernelTables tables_of(const prologue_cpus& cpus);

} // namespace prologue

#pragma GCC visibility pop
