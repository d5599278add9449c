#include "confidential_images.h"

#include "loader_images.h"

namespace prologue::test::confidential {

void put_blob(FakeMemory& memory, uint64_t at) {
    memory.put_bytes(at, "AMDE\1\0\0\0", 8);
    memory.put<uint64_t>(at + kSecrets, kSecretsPage);
    memory.put<uint32_t>(at + kSecretsBytes, 0x1000);
    memory.put<uint64_t>(at + kCpuid, kCpuidPage);
    memory.put<uint32_t>(at + kCpuidBytes, 0x1000);
}

void put_efi(FakeMemory& memory, unsigned tables) {
    constexpr uint8_t kGuid[] = {0x5f, 0x1f, 0x7b, 0x06, 0x26, 0xcf, 0xc5, 0x44,
                                 0x85, 0x54, 0x93, 0xd7, 0x77, 0x91, 0x2d, 0x42};
    memory.put_bytes(kSystemTable, "IBI SYST", 8);
    memory.put<uint64_t>(kSystemTable + kTableCount, tables);
    memory.put<uint64_t>(kSystemTable + kTableList, kTables);
    for (unsigned i = 0; i != tables; ++i) {
        const uint64_t at = kTables + i * kTableBytes;
        uint8_t guid[sizeof kGuid];
        std::memcpy(guid, kGuid, sizeof guid);
        guid[15] = static_cast<uint8_t>(guid[15] + tables - 1 - i); // the last byte tells
        memory.put_bytes(at, guid, sizeof guid);
        memory.put<uint64_t>(at + sizeof guid, kBlob + 0x100 * (tables - 1 - i));
    }
}

void put_boot_params(FakeMemory& memory) {
    using namespace linux_boot;
    memory.put_bytes(kInfo + kMagic, "HdrS", 4);
    memory.put<uint16_t>(kInfo + kVersion, 0x20f);
    memory.put_bytes(kInfo + kEfiSignature, "EL64", 4);
    memory.put<uint32_t>(kInfo + kEfiSystemTable, kSystemTable);
}

void put_setup_data(FakeMemory& memory, unsigned pieces) {
    using namespace linux_boot;
    memory.put_bytes(kInfo + kMagic, "HdrS", 4);
    memory.put<uint16_t>(kInfo + kVersion, 0x20f);
    memory.put<uint64_t>(kInfo + kSetupData, kData);
    for (unsigned i = 0; i != pieces; ++i) {
        const uint64_t at = kData + 0x20 * i;
        const bool last = i + 1 == pieces;
        memory.put<uint64_t>(at, last ? 0 : at + 0x20);
        memory.put<uint32_t>(at + kDataType, last ? 7 : 9);
        memory.put<uint32_t>(at + kDataBytes, 4);
        memory.put<uint32_t>(at + kDataPayload, last ? kBlob : 0xdeadbee0);
    }
}

void put_multiboot2(FakeMemory& memory) {
    memory.put<uint32_t>(kInfo, 48);
    memory.put<uint32_t>(kInfo + 8, 1); // a command line, of an odd length
    memory.put<uint32_t>(kInfo + 12, 11);
    memory.put_bytes(kInfo + 16, "hi\0", 3);
    memory.put<uint32_t>(kInfo + 24, 12);
    memory.put<uint32_t>(kInfo + 28, 16);
    memory.put<uint64_t>(kInfo + 32, kSystemTable);
    memory.put<uint32_t>(kInfo + 40, 0);
    memory.put<uint32_t>(kInfo + 44, 8);
}

} // namespace prologue::test::confidential
