// What firmware gives an SNP guest: the CPUID page (SNP ABI 56860, 8.17.2.6), the secrets page
// (8.17.2.5); and Linux's blob that tells of them.
#pragma once

#include <stdint.h>

#include "arch.h"

namespace sevhost {

struct CpuidEntry {
    uint32_t eax_in, ecx_in;
    uint64_t xcr0_in, xss_in;
    uint32_t eax, ebx, ecx, edx;
    uint64_t reserved;
};
static_assert(sizeof(CpuidEntry) == 48);

constexpr unsigned kMaxCpuidEntries = 64;

struct CpuidPage {
    uint32_t count, reserved1;
    uint64_t reserved2;
    CpuidEntry entries[kMaxCpuidEntries];
};
static_assert(sizeof(CpuidPage) <= kPageBytes);

struct SecretsPage {
    uint32_t version, flags, family_model_stepping, reserved;
    uint8_t visible_workarounds[16];
    uint8_t keys[4][32];
};
constexpr uint32_t kSecretsVersion = 2;

struct CcBlob { // Linux: arch/x86/include/asm/sev.h, cc_blob_sev_info
    uint32_t magic;
    uint16_t version, reserved;
    uint64_t secrets;
    uint32_t secrets_bytes, reserved1;
    uint64_t cpuid;
    uint32_t cpuid_bytes, reserved2;
};
static_assert(sizeof(CcBlob) == 40);
constexpr uint32_t kCcBlobMagic = 0x45444d41; // "AMDE"

// ELF notes of a guest's image that say where the pages are to be: a physical address of 64
// bits each. PVH has no field for it; the notes are this host's own (docs/sevhost.md).
constexpr char kSnpNoteOwner[] = "SEV-SNP";
constexpr uint32_t kNoteCpuidPage = 1;
constexpr uint32_t kNoteSecretsPage = 2;
constexpr uint32_t kNoteBlob = 3;

} // namespace sevhost
