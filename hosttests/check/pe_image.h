// A PE image as prologue-bzimage makes it, small, written from Microsoft's text: what
// prologue-check's reader is tried on.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace check::test {

inline constexpr uint32_t kHeader = 0x40, kHeaders = 0x400, kStubAt = 0x600, kKernelAt = 0x800;
inline constexpr uint32_t kImageBytes = 0x5000, kFileBytes = 0xc00;

class PeImage {
public:
    PeImage() : bytes(kFileBytes, 0) {
        put<uint16_t>(0, 0x5a4d);
        put<uint32_t>(0x3c, kHeader);
        put<uint32_t>(kHeader, 0x4550);
        put<uint16_t>(kHeader + 4, 0x8664);
        put<uint16_t>(kHeader + 6, 4);
        put<uint16_t>(kHeader + 20, 160);
        put<uint16_t>(kHeader + 22, 0x206);
        put<uint16_t>(optional(0), 0x20b);
        put<uint32_t>(optional(16), 0x2048);
        put<uint32_t>(optional(32), 0x1000);
        put<uint32_t>(optional(36), 0x200);
        put<uint32_t>(optional(56), kImageBytes);
        put<uint32_t>(optional(60), kHeaders);
        put<uint16_t>(optional(68), 10);
        put<uint16_t>(optional(70), 0x100);
        put<uint32_t>(optional(108), 6);
        put<uint32_t>(optional(112 + 5 * 8), 0x1100);
        put<uint32_t>(optional(112 + 5 * 8 + 4), 12);
        section(0, ".sbat", 0x1000, 0x200, kHeaders, 0x200, 0x40000040);
        section(1, ".text", 0x2000, 0x200, kStubAt, 0x200, 0x60000020);
        section(2, ".data", 0x3000, 0x1000, 0, 0, 0xc0000080);
        section(3, ".kernel", 0x4000, 0x400, kKernelAt, 0x400, 0x40000040);
        put<uint64_t>(kStubAt, 0x62757453676c7250);
        put<uint32_t>(kStubAt + 24, 0x4000 - 0x2000);
        put<uint32_t>(kStubAt + 28, 0x400);
        put<uint64_t>(kStubAt + 32, 0x100000);
        put<uint64_t>(kStubAt + 40, 0x9000);
        put<uint32_t>(kStubAt + 48, 0x200);
    }

    static uint32_t optional(uint32_t at) { return kHeader + 24 + at; }

    template <class Number>
    void put(size_t at, Number value) {
        std::memcpy(&bytes.at(at + sizeof value - 1) + 1 - sizeof value, &value, sizeof value);
    }

    std::vector<uint8_t> bytes;

private:
    void section(unsigned index, const char* name, uint32_t address, uint32_t memory,
                 uint32_t place, uint32_t size, uint32_t rights) {
        const uint32_t at = optional(160) + 40 * index;
        std::memcpy(&bytes[at], name, std::strlen(name));
        put(at + 8, memory);
        put(at + 12, address);
        put(at + 16, size);
        put(at + 20, place);
        put(at + 36, rights);
    }
};

} // namespace check::test
