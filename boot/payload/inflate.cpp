// gzip, by canonical codes that are read a bit at a time: RFC 1951, 3.2.2.
#include "phys_memory.h"
#include "refusals.h"
#include "unpack.h"

namespace prologue {
namespace {

constexpr uint64_t kHeadBytes = 10, kTailBytes = 8; // of the tail: CRC32, size
constexpr uint8_t kDeflate = 8;
enum Flag : uint8_t { kHeadCrc = 2, kExtra = 4, kName = 8, kComment = 16, kUnknownFlags = 0xe0 };

constexpr unsigned kMostBits = 15, kLiterals = 288, kDistances = 30, kLengthCodes = 19;
constexpr unsigned kEndOfBlock = 256;

[[noreturn]] void refuse_gzip(const char* what, uint64_t a = 0, uint64_t b = 0) {
    refuse_in(what, Refusal::gzip, a, b);
}

struct Input {
    const uint8_t *at, *end;
    uint32_t hold = 0;
    unsigned held = 0; // bits

    uint8_t byte() {
        if (at == end)
            refuse_gzip("it is cut off");
        return *at++;
    }
    uint32_t bits(unsigned count) {
        for (; held < count; held += 8)
            hold |= uint32_t{byte()} << held;
        const uint32_t value = hold & ((1u << count) - 1);
        hold >>= count;
        held -= count;
        return value;
    }
    void align() { hold = held = 0; }
};

struct Output {
    uint8_t* to;
    uint64_t size, done = 0;

    void put(uint8_t byte) {
        if (done == size)
            refuse_gzip("it has more bytes than it says", size);
        to[done++] = byte;
    }
    void repeat(uint64_t distance, unsigned count) {
        if (distance > done)
            refuse_gzip("a distance leads before its begin", distance, done);
        for (; count != 0; --count)
            put(to[done - distance]);
    }
};

// How many codes there are of each length, and their symbols in the order of codes.
struct Code {
    uint16_t counts[kMostBits + 1];
    uint16_t symbols[kLiterals];

    // With codes left over it is taken where there is one of one bit, as RFC 1951 has it for
    // distances, or none.
    void build(const uint8_t* lengths, unsigned count) {
        for (uint16_t& of_length : counts)
            of_length = 0;
        for (unsigned i = 0; i != count; ++i)
            ++counts[lengths[i]];
        const unsigned used = count - counts[0];
        counts[0] = 0;
        int left = 1;
        uint16_t next[kMostBits + 1] = {};
        for (unsigned bits = 1; bits <= kMostBits; ++bits) {
            left = 2 * left - counts[bits];
            if (left < 0)
                refuse_gzip("a code has too many symbols", bits);
            if (bits != kMostBits)
                next[bits + 1] = static_cast<uint16_t>(next[bits] + counts[bits]);
        }
        if (left != 0 && used > 1)
            refuse_gzip("a code is not complete", used);
        for (unsigned i = 0; i != count; ++i)
            if (lengths[i] != 0)
                symbols[next[lengths[i]]++] = static_cast<uint16_t>(i);
    }

    unsigned read(Input& in) const {
        unsigned code = 0, first = 0, index = 0;
        for (unsigned bits = 1; bits <= kMostBits; ++bits) {
            code |= in.bits(1);
            const unsigned count = counts[bits];
            if (code - first < count)
                return symbols[index + (code - first)];
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        refuse_gzip("a code is none");
    }
};

struct Codes {
    Code literals, distances;
};

void read_stored(Input& in, Output& out) {
    in.align();
    const unsigned low = in.byte(), count = low | in.byte() << 8;
    const unsigned low_not = in.byte(), count_not = low_not | in.byte() << 8;
    if ((count ^ count_not) != 0xffff)
        refuse_gzip("a stored block's length is not what it should be", count, count_not);
    for (unsigned i = 0; i != count; ++i)
        out.put(in.byte());
}

void build_fixed(Codes& codes) {
    uint8_t lengths[kLiterals];
    for (unsigned i = 0; i != kLiterals; ++i)
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    codes.literals.build(lengths, kLiterals);
    for (unsigned i = 0; i != kDistances; ++i)
        lengths[i] = 5;
    codes.distances.counts[0] = 0;
    for (unsigned i = 1; i <= kMostBits; ++i)
        codes.distances.counts[i] = i == 5 ? kDistances : 0; // two of 32 are not there
    for (unsigned i = 0; i != kDistances; ++i)
        codes.distances.symbols[i] = static_cast<uint16_t>(i);
}

void read_codes(Input& in, Codes& codes) {
    constexpr uint8_t kOrder[kLengthCodes] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                              11, 4,  12, 3, 13, 2, 14, 1, 15};
    const unsigned literals = in.bits(5) + 257, distances = in.bits(5) + 1;
    const unsigned given = in.bits(4) + 4;
    if (literals > 286 || distances > kDistances)
        refuse_gzip("a block has too many codes", literals, distances);
    uint8_t lengths[kLiterals + kDistances] = {};
    for (unsigned i = 0; i != given; ++i)
        lengths[kOrder[i]] = static_cast<uint8_t>(in.bits(3));
    codes.literals.build(lengths, kLengthCodes);

    uint8_t last = 0;
    for (unsigned i = 0; i != literals + distances;) {
        const unsigned symbol = codes.literals.read(in);
        unsigned times = 1;
        if (symbol < 16) {
            last = static_cast<uint8_t>(symbol);
        } else if (symbol == 16) {
            if (i == 0)
                refuse_gzip("a length is repeated that is not there");
            times = 3 + in.bits(2);
        } else {
            last = 0;
            times = symbol == 17 ? 3 + in.bits(3) : 11 + in.bits(7);
        }
        if (times > literals + distances - i)
            refuse_gzip("a block has too many lengths", i + times, literals + distances);
        for (; times != 0; --times)
            lengths[i++] = last;
    }
    if (lengths[kEndOfBlock] == 0)
        refuse_gzip("a block has no end");
    codes.literals.build(lengths, literals);
    codes.distances.build(lengths + literals, distances);
}

void read_block(Input& in, Output& out, const Codes& codes) {
    for (;;) {
        const unsigned symbol = codes.literals.read(in);
        if (symbol == kEndOfBlock)
            return;
        if (symbol < kEndOfBlock) {
            out.put(static_cast<uint8_t>(symbol));
            continue;
        }
        // Lengths from 3 and distances from 1 on: groups, each of twice the reach of the one
        // before it (3.2.5).
        const unsigned group = symbol - 257;
        if (group > 28)
            refuse_gzip("a length is none", symbol);
        unsigned length = 3 + group;
        if (group == 28) {
            length = 258;
        } else if (group >= 8) {
            const unsigned extra = group / 4 - 1;
            length = 3 + ((4 + group % 4) << extra) + in.bits(extra);
        }
        const unsigned far = codes.distances.read(in);
        uint64_t distance = 1 + far;
        if (far >= 4) {
            const unsigned extra = far / 2 - 1;
            distance = 1 + ((2u + far % 2) << extra) + in.bits(extra);
        }
        out.repeat(distance, length);
    }
}

uint32_t crc32(const uint8_t* bytes, uint64_t count) {
    uint32_t table[16];
    for (uint32_t i = 0; i != 16; ++i) {
        table[i] = i;
        for (unsigned bit = 0; bit != 4; ++bit)
            table[i] = table[i] >> 1 ^ ((table[i] & 1) != 0 ? 0xedb88320 : 0);
    }
    uint32_t crc = ~0u;
    for (; count != 0; --count) {
        crc ^= *bytes++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

void skip_text(Input& in) {
    while (in.byte() != 0) {
    }
}

void skip_head(Input& in) {
    const uint8_t* const head = in.at;
    for (unsigned i = 0; i != kHeadBytes; ++i)
        (void)in.byte();
    const uint8_t flags = head[3];
    if (head[2] != kDeflate || (flags & kUnknownFlags) != 0)
        refuse_gzip("its method, or a flag, is unknown", head[2], flags);
    if ((flags & kExtra) != 0) {
        const unsigned low = in.byte(), count = low | in.byte() << 8;
        for (unsigned i = 0; i != count; ++i)
            (void)in.byte();
    }
    if ((flags & kName) != 0)
        skip_text(in);
    if ((flags & kComment) != 0)
        skip_text(in);
    if ((flags & kHeadCrc) != 0) {
        (void)in.byte();
        (void)in.byte();
    }
}

} // namespace

bool is_gzip(const uint8_t* file, uint64_t bytes) {
    return bytes >= 2 && file[0] == 0x1f && file[1] == 0x8b;
}

uint64_t gzip_size(const uint8_t* file, uint64_t bytes) {
    if (bytes < kHeadBytes + kTailBytes)
        refuse_gzip("it is cut off");
    return read_unaligned<uint32_t>(file + bytes - 4);
}

void unpack_gzip(const uint8_t* file, uint64_t bytes, uint8_t* to, uint64_t size) {
    if (bytes < kHeadBytes + kTailBytes)
        refuse_gzip("it is cut off");
    Input in = {file, file + bytes - kTailBytes};
    Output out = {to, size};
    Codes codes;
    skip_head(in);
    for (bool is_last = false; !is_last;) {
        is_last = in.bits(1) != 0;
        switch (in.bits(2)) {
        case 0:
            read_stored(in, out);
            continue;
        case 1:
            build_fixed(codes);
            break;
        case 2:
            read_codes(in, codes);
            break;
        default:
            refuse_gzip("a block's kind is none");
        }
        read_block(in, out, codes);
    }
    if (in.at != in.end || out.done != size)
        refuse_gzip("it does not end where it should", out.done, size);
    const uint32_t sum = crc32(to, size), due = read_unaligned<uint32_t>(in.end);
    if (sum != due)
        refuse_gzip("its checksum is another", sum, due);
}

} // namespace prologue
