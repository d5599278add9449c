// A payload that is a Linux bzImage, and the boot_params that Linux's 64-bit protocol gives
// it. Source: Linux, Documentation/arch/x86/boot.rst.
#pragma once
#pragma GCC visibility push(hidden)

#include "boot_params.h"
#include "prologue/handoff.h"

namespace prologue {

struct LinuxImage {
    uint64_t kernel_offset, kernel_bytes; // of the protected-mode part, in the file
    uint64_t preferred, alignment;        // of its place
    uint64_t init_bytes;                  // of memory that it wants there
    uint64_t most_cmdline;
    bool is_relocatable;
    bool reaches_above_4g; // boot_params, command line and initrd
};
inline constexpr uint64_t kLinuxEntry64 = 0x200; // in the protected-mode part

bool is_linux(const uint8_t* file, uint64_t bytes);

// Refuses what is cut off, older than protocol 2.12, or has no 64-bit entry.
LinuxImage read_linux(const uint8_t* file, uint64_t bytes);

struct LinuxGuest {
    const prologue_range* memory; // as it is when the kernel runs
    uint64_t memory_count;
    uint64_t cmdline_phys;
    Span initrd;          // empty where there is none
    SetupData* more_e820; // room for what boot_params has none, a RawRange each
    uint64_t more_e820_phys;
};

// A memory type's e820 number; RAM is RAM, whoever had it before the payload ran.
uint32_t e820_type_of(uint32_t type);

// Fills a zeroed page with the file's setup header and what the handoff says.
void fill_boot_params(BootParams& params, const uint8_t* file, const prologue_handoff& handoff,
                      const LinuxGuest& guest);

} // namespace prologue

#pragma GCC visibility pop
