// Where an SNP guest's two pages are, as who loaded it tells: AMD's confidential computing blob.
// It is found by Linux's boot_params, directly, by setup_data or by its EFI fields; or by
// Multiboot 2's EFI tag. UEFI has it in its configuration table. Sources: Linux,
// arch/x86/include/asm/sev.h (cc_blob_sev_info), boot.rst; edk2, ConfidentialComputingSevSnpBlob.h;
// UEFI 2.10, sections 4.3 and 4.6.
#pragma once
#pragma GCC visibility push(hidden)

#include "phys_memory.h"

namespace prologue {

struct ConfidentialPages {
    bool told = false;             // there is a blob,
    bool wrong = false;            // or what should lead to one leads nowhere, or to no blob
    Span blob, cpuid, secrets;     // a page each of the two, whatever length is told
    Span information;              // what led there: the loader's,
    Span system_table, efi_tables; // and UEFI's
};

// Nothing is told where the contract has no word for it. In 32-bit mode nothing above 4 GiB
// can be seen, and what would lie there is wrong.
ConfidentialPages find_confidential_pages(PhysMemory& memory, uint32_t magic, uint64_t info);

// The image, and where in it there is room for the two pages, for which its notes ask.
struct ImageWithPages {
    Span span;
    uint64_t cpuid, secrets;
};

// Is each of the two clear of the other, of what led there, and of the image, but for its own
// place in that? Otherwise one would be written to, or be read as something else.
bool lie_apart(const ConfidentialPages& pages, const ImageWithPages& image);

} // namespace prologue

#pragma GCC visibility pop
