// LZ4's frame, with its content's size and, where it has them, its checksums but for those of blocks.
#include "phys_memory.h"
#include "refusals.h"
#include "unpack.h"

namespace prologue {
namespace {

constexpr uint32_t kMagic = 0x184d2204;
enum Flag : uint8_t { kHasDictionary = 1, kHasSum = 4, kHasSize = 8, kSumsBlocks = 16 };
constexpr uint8_t kVersionBits = 0xc2, kVersion = 0x40;    // and a reserved bit
constexpr uint64_t kFlags = 4, kSize = 6, kHeadBytes = 15; // with the size, and the head's checksum
constexpr uint32_t kStored = 1u << 31;
constexpr unsigned kLeastMatch = 4, kMore = 15;

[[noreturn]] void refuse_lz4(const char* what, uint64_t a = 0, uint64_t b = 0) {
    refuse_in(what, Refusal::lz4, a, b);
}

// XXH32 with a seed of 0 (xxhash_spec.md).
class Sum {
public:
    static uint32_t of(const uint8_t* at, uint64_t bytes) {
        const uint8_t* const end = at + bytes;
        uint32_t sum = k5;
        if (bytes >= 16) {
            uint32_t lanes[] = {k1 + k2, k2, 0, 0 - k1};
            for (; end - at >= 16;)
                for (uint32_t& lane : lanes) {
                    lane = turned(lane + word(at) * k2, 13) * k1;
                    at += 4;
                }
            sum = turned(lanes[0], 1) + turned(lanes[1], 7) + turned(lanes[2], 12) +
                  turned(lanes[3], 18);
        }
        sum += static_cast<uint32_t>(bytes);
        for (; end - at >= 4; at += 4)
            sum = turned(sum + word(at) * k3, 17) * k4;
        for (; at != end; ++at)
            sum = turned(sum + *at * k5, 11) * k1;
        sum = (sum ^ sum >> 15) * k2;
        sum = (sum ^ sum >> 13) * k3;
        return sum ^ sum >> 16;
    }

private:
    static constexpr uint32_t k1 = 0x9e3779b1, k2 = 0x85ebca77, k3 = 0xc2b2ae3d, k4 = 0x27d4eb2f,
                              k5 = 0x165667b1;
    static uint32_t word(const uint8_t* at) { return read_unaligned<uint32_t>(at); }
    static uint32_t turned(uint32_t value, unsigned bits) {
        return value << bits | value >> (32 - bits);
    }
};

struct Block {
    const uint8_t *at, *end;

    uint8_t byte() {
        if (at == end)
            refuse_lz4("a block is cut off");
        return *at++;
    }
    // A count of 15 goes on in bytes, until one that is not 255.
    uint64_t count(unsigned low) {
        uint64_t count = low;
        if (low == kMore)
            for (uint8_t more = 255; more == 255; count += more)
                more = byte();
        return count;
    }
};

struct Output {
    uint8_t* to;
    uint64_t size, done = 0;

    void check(uint64_t count) const {
        if (count > size - done)
            refuse_lz4("it has more bytes than it says", done + count, size);
    }
    void copy(Block& from, uint64_t count) {
        check(count);
        if (count > static_cast<uint64_t>(from.end - from.at))
            refuse_lz4("a block is cut off");
        for (; count != 0; --count)
            to[done++] = *from.at++;
    }
    void repeat(uint64_t distance, uint64_t count) {
        check(count);
        if (distance == 0 || distance > done)
            refuse_lz4("a distance leads before its begin", distance, done);
        for (; count != 0; --count, ++done)
            to[done] = to[done - distance];
    }
};

// The last sequence of a block is literals alone.
void read_block(Block block, Output& out) {
    for (;;) {
        const uint8_t token = block.byte();
        out.copy(block, block.count(token >> 4));
        if (block.at == block.end)
            return;
        const unsigned low = block.byte(), distance = low | block.byte() << 8;
        out.repeat(distance, kLeastMatch + block.count(token & 15));
    }
}

} // namespace

bool is_lz4(const uint8_t* file, uint64_t bytes) {
    return bytes >= 4 && read_unaligned<uint32_t>(file) == kMagic;
}

uint64_t lz4_size(const uint8_t* file, uint64_t bytes) {
    if (bytes < kHeadBytes)
        refuse_lz4("it is cut off");
    const uint8_t flags = file[kFlags];
    if ((flags & kVersionBits) != kVersion || (flags & (kHasDictionary | kSumsBlocks)) != 0)
        refuse_lz4("its version, or a flag, is not served", flags);
    if ((flags & kHasSize) == 0)
        refuse_lz4("it does not say its size");
    const uint8_t sum = static_cast<uint8_t>(Sum::of(file + kFlags, kHeadBytes - 1 - kFlags) >> 8);
    if (file[kHeadBytes - 1] != sum)
        refuse_lz4("its head's checksum is another", sum, file[kHeadBytes - 1]);
    return read_unaligned<uint64_t>(file + kSize);
}

void unpack_lz4(const uint8_t* file, uint64_t bytes, uint8_t* to, uint64_t size) {
    Output out = {to, size};
    uint64_t at = kHeadBytes;
    const auto word = [&] {
        if (bytes - at < 4)
            refuse_lz4("it is cut off");
        at += 4;
        return read_unaligned<uint32_t>(file + at - 4);
    };
    for (uint32_t block = word(); block != 0; block = word()) {
        const uint64_t count = block & ~kStored;
        if (count > bytes - at)
            refuse_lz4("it is cut off");
        Block data = {file + at, file + at + count};
        if ((block & kStored) != 0)
            out.copy(data, count);
        else
            read_block(data, out);
        at += count;
    }
    if (out.done != size)
        refuse_lz4("it has less bytes than it says", out.done, size);
    if ((file[kFlags] & kHasSum) == 0)
        return;
    const uint32_t sum = Sum::of(to, size), due = word();
    if (sum != due)
        refuse_lz4("its checksum is another", sum, due);
}

} // namespace prologue
