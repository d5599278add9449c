// What the kernel gets to know: boot_params, as its Linux entry takes them, with a
// piece of setup_data of our own. All of it lies in pages that are ours.
#pragma once
#pragma GCC visibility push(hidden)

#include "boot_params.h"
#include "load_options.h"
#include "memory_descriptors.h"

namespace prologue::efi {

class Information {
public:
    // Takes the memory, and writes the command line.
    Information(Firmware& firmware, Text16 options);

    void put_initrd(Span initrd);
    void put_tables(const SystemTable& system);
    void put_seed(const Firmware& firmware); // of the firmware's generator, if it has one
    ScreenInfo& screen() { return params_->screen; }

    // The firmware's map as it is now, and its key. Where the boot services are left running,
    // `own` is all that is usable.
    uint64_t put_map(uint32_t free = kE820Usable, Span own = {});

    // For a kernel that goes on with them.
    void leave_running(Firmware& firmware);

    Span span() const { return span_; }

private:
    void chain(SetupData& piece, uint32_t type, uint64_t bytes);

    Span span_;
    BootParams* params_;
    StubPiece* stub_piece_;
    ConfidentialComputingPiece* blob_piece_;
    SeedPiece* seed_piece_;
    SetupData* more_memory_; // and then the ranges that boot_params have no room for
    SetupData* last_ = nullptr;
    MemoryDescriptors map_;
};

} // namespace prologue::efi

#pragma GCC visibility pop
