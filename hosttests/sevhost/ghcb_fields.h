// A GHCB page as a guest fills it; the offsets are spelt again from AMD's specification
// (56421, 2.6), where the valid bitmap has a bit for each 8 bytes from the page's start.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace sevhost::test {

enum Field : unsigned {
    kFieldCpl = 0x0cb,
    kFieldRax = 0x1f8,
    kFieldRcx = 0x308,
    kFieldRdx = 0x310,
    kFieldRbx = 0x318,
    kFieldExitCode = 0x390,
    kFieldExitInfo1 = 0x398,
    kFieldExitInfo2 = 0x3a0,
    kFieldScratch = 0x3a8,
    kFieldXcr0 = 0x3e8,
    kFieldBitmap = 0x3f0,
    kFieldBuffer = 0x800,
    kFieldVersion = 0xffa,
    kFieldUsage = 0xffc,
};

struct FilledPage {
    std::vector<uint8_t> bytes = std::vector<uint8_t>(4096);

    FilledPage(uint64_t code, uint64_t info1 = 0, uint64_t info2 = 0, uint16_t version = 2) {
        set(kFieldExitCode, code).set(kFieldExitInfo1, info1).set(kFieldExitInfo2, info2);
        std::memcpy(bytes.data() + kFieldVersion, &version, sizeof version);
    }
    // Writes a field, and marks it valid.
    FilledPage& set(unsigned offset, uint64_t value) {
        write(offset, value);
        bytes[kFieldBitmap + offset / 64] |= static_cast<uint8_t>(1u << offset / 8 % 8);
        return *this;
    }
    FilledPage& write(unsigned offset, uint64_t value) {
        const unsigned size = offset == kFieldCpl ? 1 : 8;
        std::memcpy(bytes.data() + offset, &value, size);
        return *this;
    }
    FilledPage& invalidate(unsigned offset) {
        bytes[kFieldBitmap + offset / 64] &= static_cast<uint8_t>(~(1u << offset / 8 % 8));
        return *this;
    }
};

} // namespace sevhost::test
