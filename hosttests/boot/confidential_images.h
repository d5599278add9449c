// AMD's confidential computing blob, and all that leads to it, byte by byte from the
// specifications. Where each lies in a FakeMemory of kMemory bytes.
#pragma once

#include "seams.h"

#include <cstdint>

namespace prologue::test::confidential {

inline constexpr uint64_t kInfo = 0x40; // boot_params, or Multiboot 2's
inline constexpr uint64_t kSystemTable = 0xd90, kTables = 0xe18;
inline constexpr uint64_t kData = 0xe94; // the first piece of setup_data
inline constexpr uint64_t kBlob = 0x1004;
inline constexpr uint64_t kMemory = 0x2000;
inline constexpr uint64_t kSecretsPage = 0x20000, kCpuidPage = 0x21000; // nobody looks at them

// UEFI 2.10: EFI_SYSTEM_TABLE, EFI_CONFIGURATION_TABLE.
inline constexpr uint64_t kTableCount = 104, kTableList = 112, kTableBytes = 24;
// boot_params.
inline constexpr uint64_t kCcBlobAddress = 0x13c, kEfiSystemTable = 0x1c4;
// The blob.
inline constexpr uint64_t kSecrets = 8, kSecretsBytes = 16, kCpuid = 24, kCpuidBytes = 32;

void put_blob(FakeMemory& memory, uint64_t at = kBlob);
// A system table with so many configuration tables, the blob's the last.
void put_efi(FakeMemory& memory, unsigned tables = 3);
void put_boot_params(FakeMemory& memory);                 // with the EFI fields
void put_setup_data(FakeMemory& memory, unsigned pieces); // the blob's the last
void put_multiboot2(FakeMemory& memory);                  // with the EFI tag

} // namespace prologue::test::confidential
