// Compressed payloads of any bytes: refused, or as many bytes as they say.
#include "fuzzing.h"
#include "payload/unpack.h"
#include "refusing.h"

namespace prologue::test {
namespace {

constexpr uint64_t kMost = 1 << 20;

// "hello", stored, by fixed codes, and as LZ4's frame.
std::vector<Input> seeds() {
    return {{0x1f, 0x8b, 8,   0,   0,   0,   0,    0,    4,    3,    1, 5, 0, 0xfa,
             0xff, 'h',  'e', 'l', 'l', 'o', 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0},
            {0x1f, 0x8b, 8, 0, 0,    0,    0,    0,    2, 3, 0xcb, 0x48, 0xcd,
             0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0,    0},
            {4,    0x22, 0x4d, 0x18, 0x68, 0x40, 5,   0,   0,   0,   0, 0, 0, 0,
             0xd3, 5,    0,    0,    0x80, 'h',  'e', 'l', 'l', 'o', 0, 0, 0, 0}};
}

} // namespace
} // namespace prologue::test

using namespace prologue;
using namespace prologue::test;

BEGINS_WITH(seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    (void)refusal_of([&] {
        const bool gzip = is_gzip(data, size);
        if (!gzip && !is_lz4(data, size))
            return;
        const uint64_t bytes = (gzip ? gzip_size : lz4_size)(data, size);
        std::vector<uint8_t> whole(bytes < kMost ? bytes : kMost);
        (gzip ? unpack_gzip : unpack_lz4)(data, size, whole.data(), whole.size());
    });
    return 0;
}
