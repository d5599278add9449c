// A payload that is a Linux bzImage, and the boot_params that Linux's 64-bit and 32-bit protocols
// give it. Source: Linux, Documentation/arch/x86/boot.rst.
#pragma once
#pragma GCC visibility push(hidden)

#include "boot_params.h"
#include "contract.h"
#include "prologue/handoff.h"

namespace prologue {

struct LinuxImage {
    uint64_t kernel_offset, kernel_bytes; // of the protected-mode part, in the file
    uint64_t preferred, alignment;        // of its place
    uint64_t init_bytes;                  // of memory that it wants there
    uint64_t most_cmdline;
    uint64_t initrd_limit; // no initrd may lie above it
    bool is_relocatable;
    Contract contract;
    uint64_t entry; // in the protected-mode part

    bool is_32_bit() const { return contract == Contract::linux32; }
};

bool is_linux(const uint8_t* file, uint64_t bytes);

// Refuses what is cut off or older than protocol 2.10. Without a wish it is the 64-bit protocol for
// those that have an entry for it, and the 32-bit one for others.
LinuxImage read_linux(const uint8_t* file, uint64_t bytes, Contract wished = Contract::none);

// The pages that SNP's launch has filled, and what leads there, below 4 GiB. All but the piece of
// setup_data, which Linux reads as RAM, are reserved: what is so, it takes for the host's but for
// these. Without a piece this is no SNP guest.
struct Confidential {
    uint64_t cpuid_phys, secrets_phys;
    ConfidentialBlob* blob;
    uint64_t blob_phys;
    ConfidentialComputingPiece* piece;
    uint64_t piece_phys;
};

struct LinuxGuest {
    const prologue_range* memory; // as it is when the kernel runs
    uint64_t memory_count;
    uint64_t cmdline_phys;
    Span initrd;          // empty where there is none
    SetupData* more_e820; // room for what boot_params has none, a RawRange each
    uint64_t more_e820_phys;
    Confidential confidential;
};

// A memory type's e820 number; RAM is RAM, whoever had it before the payload ran.
uint32_t e820_type_of(uint32_t type);

// Fills a zeroed page with the file's setup header and what the handoff says.
void fill_boot_params(BootParams& params, const uint8_t* file, const prologue_handoff& handoff,
                      const LinuxGuest& guest);

} // namespace prologue

#pragma GCC visibility pop
