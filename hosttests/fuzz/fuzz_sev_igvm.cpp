// The SEV host's reader of IGVM files: a file's bytes, whatever they are. Checksum and size are
// put right for most inputs, so that what lies behind them is reached.
#include "fuzzing.h"
#include "igvm_file.h"

#include <cstring>

namespace sevhost::igvm {
namespace {

using prologue::test::Input;
using prologue::test::must;

constexpr uint32_t kFixedBytes = 24, kChecksumAt = 20;

uint32_t checksum_of(const Input& file, uint64_t end) {
    uint32_t crc = ~0u;
    for (uint64_t i = 0; i != end; ++i) {
        crc ^= i >= kChecksumAt && i < kFixedBytes ? 0 : file[i];
        for (unsigned bit = 0; bit != 8; ++bit)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

// Version 1, headers right behind the fixed ones, so many of them as the input says.
void put_right(Input& file) {
    uint32_t words[6];
    std::memcpy(words, file.data(), sizeof words);
    words[0] = 0x4d564749, words[1] = 1, words[2] = kFixedBytes;
    words[3] %= static_cast<uint32_t>(file.size() - kFixedBytes + 1);
    words[4] = static_cast<uint32_t>(file.size());
    std::memcpy(file.data(), words, sizeof words);
    words[5] = checksum_of(file, kFixedBytes + words[3]);
    std::memcpy(file.data(), words, sizeof words);
}

void read_all(const File& file, const Header& header) {
    switch (header.kind) {
    case Kind::supported_platform:
        (void)header.as<SupportedPlatform>();
        break;
    case Kind::guest_policy:
    case Kind::parameter_area:
        (void)header.as<ParameterArea>();
        break;
    case Kind::parameter_insert:
        must(header.as<ParameterInsert>().gpa % kPageBytes == 0, "areas lie on pages");
        break;
    case Kind::memory_map:
        (void)header.as<Parameter>();
        break;
    case Kind::page_data:
        if (const uint8_t* const page = file.page(header.as<PageData>().file_offset))
            must(page[0] + page[kPageBytes - 1] >= 0, "pages are there");
        break;
    case Kind::vp_context: {
        const uint8_t* const page = file.page(header.as<VpContext>().file_offset);
        must(page != nullptr && page[0] + page[kPageBytes - 1] >= 0, "registers are there");
        break;
    }
    }
}

void fuzz_file(const uint8_t* data, size_t size) {
    Input bytes(data, data + size);
    if (size > kFixedBytes && (data[kChecksumAt] & 7) != 0)
        put_right(bytes);
    const File file = read_file(bytes.data(), bytes.size());
    if (file.wrong != nullptr) {
        must(file.wrong[0] != 0, "what is wrong is named");
        return;
    }
    Header header;
    uint64_t headers = 0;
    for (uint64_t at = file.headers; next_header(file, at, header); ++headers)
        read_all(file, header);
    must(headers <= size / 8, "each header has its bytes");
    (void)mask_for(file, Platform::snp);
}

void add_header(Input& to, uint32_t kind, Input fields) {
    const uint32_t head[] = {kind, static_cast<uint32_t>(fields.size())};
    fields.resize((fields.size() + 7) / 8 * 8);
    to.insert(to.end(), reinterpret_cast<const uint8_t*>(head),
              reinterpret_cast<const uint8_t*>(head + 2));
    to.insert(to.end(), fields.begin(), fields.end());
}

// One of each kind, for platforms of both sorts, and pages behind them.
std::vector<Input> seeds() {
    Input file(kFixedBytes, 0xff);
    add_header(file, 0x1, {2, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    add_header(file, 0x101, Input(16, 0));
    add_header(file, 0x301, {0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    add_header(file, 0x30c, Input(8, 0));
    add_header(file, 0x303, Input(16, 0));
    Input page(24, 0), context(20, 0);
    page[9] = context[13] = 0x10; // at 4096 in the file
    page[13] = 0x10, page[9] = 0;
    add_header(file, 0x302, page);
    add_header(file, 0x304, context);
    const auto headers = static_cast<uint32_t>(file.size() - kFixedBytes);
    std::memcpy(file.data() + 12, &headers, sizeof headers);
    file.resize(8192, 0xa5);
    return {file, Input(file.begin(), file.begin() + 100)};
}

} // namespace
} // namespace sevhost::igvm

BEGINS_WITH(sevhost::igvm::seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    sevhost::igvm::fuzz_file(data, size);
    return 0;
}
