// An IGVM file, made here field by field as Microsoft's igvm_defs has it; and what the SEV host
// makes of one that is cut, changed or makes no sense.
#include "igvm_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace sevhost::igvm {
namespace {

using Bytes = std::vector<uint8_t>;

template <typename T>
void append(Bytes& to, T value) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    to.insert(to.end(), bytes, bytes + sizeof value);
}

template <typename... Fields>
Bytes spell(Fields... fields) {
    Bytes bytes;
    (append(bytes, fields), ...);
    return bytes;
}

// By a table, and not as the reader does it.
uint32_t crc_of(const Bytes& bytes) {
    uint32_t table[256], crc = 0xffffffff;
    for (uint32_t i = 0; i != 256; ++i) {
        table[i] = i;
        for (int bit = 0; bit != 8; ++bit)
            table[i] = (table[i] & 1 ? 0xedb88320u : 0) ^ table[i] >> 1;
    }
    for (uint8_t byte : bytes)
        crc = table[(crc ^ byte) & 0xff] ^ crc >> 8;
    return ~crc;
}

constexpr uint32_t kPlatform = 0x1, kPolicy = 0x101, kArea = 0x301, kPage = 0x302, kInsert = 0x303,
                   kContext = 0x304, kMap = 0x30c;

struct Made {
    uint32_t version = 1;
    Bytes headers;
    unsigned pages = 2;

    void add(uint32_t kind, Bytes fields) {
        append(headers, kind);
        append(headers, static_cast<uint32_t>(fields.size()));
        fields.resize((fields.size() + 7) / 8 * 8);
        headers.insert(headers.end(), fields.begin(), fields.end());
    }

    uint32_t fixed_bytes() const { return version == 2 ? 32 : 24; }
    uint32_t data_at() const { return 4096; }

    Bytes fixed(uint32_t checksum) const {
        Bytes bytes = spell(uint32_t{0x4d564749}, version, fixed_bytes(),
                            static_cast<uint32_t>(headers.size()), data_at() + pages * 4096,
                            checksum);
        if (version == 2)
            for (uint32_t word : {0u, 4096u})
                append(bytes, word);
        return bytes;
    }

    Bytes whole() const {
        Bytes measured = fixed(0);
        measured.insert(measured.end(), headers.begin(), headers.end());
        Bytes bytes = fixed(crc_of(measured));
        bytes.insert(bytes.end(), headers.begin(), headers.end());
        bytes.resize(data_at());
        for (unsigned i = 0; i != pages; ++i)
            bytes.insert(bytes.end(), 4096, static_cast<uint8_t>(0xa0 + i));
        return bytes;
    }
};

constexpr uint64_t kVmsaAt = 0xfffffffff000;

Bytes platform(uint32_t mask, uint8_t type) {
    return spell(mask, uint8_t{0}, type, uint16_t{1}, uint64_t{0});
}
Bytes page(uint64_t gpa, uint32_t offset, uint32_t flags = 0, uint16_t type = 0) {
    return spell(gpa, uint32_t{6}, offset, flags, type, uint16_t{0});
}
Bytes context(uint32_t offset, uint16_t index = 0) {
    return spell(kVmsaAt, uint32_t{4}, offset, index, uint16_t{0});
}
Bytes area(uint64_t bytes, uint32_t offset = 0) {
    return spell(bytes, uint32_t{0}, offset);
}

Made sample(uint32_t version = 1) {
    Made made;
    made.version = version;
    made.add(kPlatform, platform(2, 5));
    made.add(kPlatform, platform(4, 2));
    made.add(kPolicy, spell(uint64_t{0x30000}, uint32_t{4}, uint32_t{0}));
    made.add(kArea, area(0x4000));
    made.add(kMap, spell(uint32_t{0}, uint32_t{8}));
    made.add(kInsert, spell(uint64_t{0x20000}, uint32_t{6}, uint32_t{0}));
    made.add(kPage, page(0x100000, 4096));
    made.add(kPage, page(0x101000, 0));
    made.add(0x80000399, Bytes(12, 0xff)); // not known, and may be left out
    made.add(kContext, context(8192));
    return made;
}

std::string wrong(const Bytes& bytes) {
    const File file = read_file(bytes.data(), bytes.size());
    return file.wrong != nullptr ? file.wrong : "";
}

TEST(IgvmFile, IsReadHeaderByHeader) {
    for (uint32_t version : {1u, 2u}) {
        const Bytes bytes = sample(version).whole();
        const File file = read_file(bytes.data(), bytes.size());
        ASSERT_EQ(file.wrong, nullptr) << file.wrong;
        std::vector<uint32_t> kinds;
        Header header;
        for (uint64_t at = file.headers; next_header(file, at, header);) {
            kinds.push_back(static_cast<uint32_t>(header.kind));
            if (header.kind == Kind::page_data && header.as<PageData>().gpa == 0x100000) {
                EXPECT_EQ(file.page(header.as<PageData>().file_offset)[4095], 0xa0);
            }
            if (header.kind == Kind::page_data && header.as<PageData>().gpa == 0x101000) {
                EXPECT_EQ(file.page(header.as<PageData>().file_offset), nullptr);
            }
            if (header.kind == Kind::vp_context) {
                EXPECT_EQ(header.as<VpContext>().gpa, kVmsaAt);
                EXPECT_EQ(file.page(header.as<VpContext>().file_offset)[0], 0xa1);
            }
        }
        EXPECT_EQ(kinds, (std::vector<uint32_t>{kPlatform, kPlatform, kPolicy, kArea, kMap, kInsert,
                                                kPage, kPage, 0x80000399, kContext}));
    }
}

TEST(IgvmFile, APlatformIsKnownByItsType) {
    const Bytes bytes = sample().whole();
    const File file = read_file(bytes.data(), bytes.size());
    EXPECT_EQ(mask_for(file, Platform::es), 2u);
    EXPECT_EQ(mask_for(file, Platform::snp), 4u);
    EXPECT_EQ(mask_for(file, Platform::native), 0u);
    EXPECT_EQ(mask_for(file, Platform::sev), 0u);
}

// Each cut in memory of its own, so that a read behind it is ASan's to see.
TEST(IgvmFile, CutAtEveryByteIsNamed) {
    for (uint32_t version : {1u, 2u}) {
        const Bytes bytes = sample(version).whole();
        for (size_t end = 0; end != bytes.size(); ++end) {
            const Bytes cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(end));
            EXPECT_NE(wrong(cut), "") << end;
        }
    }
}

// As if the tool that wrote it had ended there: size and checksum are right.
TEST(IgvmFile, CutAtEveryByteOfItsHeadersItIsNamedOrShorter) {
    const Made whole = sample();
    std::set<size_t> ends = {0};
    Header header;
    const Bytes bytes = whole.whole();
    const File file = read_file(bytes.data(), bytes.size());
    for (uint64_t at = file.headers; next_header(file, at, header);)
        ends.insert(at - file.headers);
    for (size_t end = 0; end != whole.headers.size(); ++end) {
        Made cut = whole;
        cut.headers.resize(end);
        EXPECT_EQ(wrong(cut.whole()).empty(), ends.count(end) != 0) << end;
    }
}

TEST(IgvmFile, AChangedByteOfItsHeadersIsNamed) {
    const Bytes bytes = sample(2).whole();
    const size_t headers_end = 32 + sample(2).headers.size();
    for (size_t at = 0; at != headers_end; ++at) {
        Bytes changed = bytes;
        changed[at] ^= 0x10;
        EXPECT_NE(wrong(changed), "") << at;
    }
}

TEST(IgvmFile, WhatMakesNoSenseIsNamed) {
    const struct {
        uint32_t kind;
        Bytes fields;
        const char* what;
    } cases[] = {
        {kPage, page(0x100800, 4096),
         "a page at no page's address, or with flags that are not served"},
        {kPage, page(0x100000, 4096, 1),
         "a page at no page's address, or with flags that are not served"},
        {kPage, page(0x100000, 8), "a page that is not in the file"},
        {kPage, page(0x100000, 8193), "a page that is not in the file"},
        {kPage, page(0x100000, 0xfffffff0), "a page that is not in the file"},
        {kContext, context(0), "registers that are not in the file"},
        {kContext, context(8193), "registers that are not in the file"},
        {kContext, context(4096, 1), "registers of another processor than the first"},
        {kArea, area(0x1001), "a parameter area that is not whole pages of zeros"},
        {kArea, area(0x1000, 4096), "a parameter area that is not whole pages of zeros"},
        {kInsert, spell(uint64_t{0x20001}, uint32_t{6}, uint32_t{0}),
         "a parameter area at no page's address"},
        {0x399, Bytes(8), "a header of a kind that this host does not know"},
        {kMap, Bytes(16), "a header of another length than its kind has"},
        {kPlatform, platform(8, 0), "a header behind those that it should stand before"},
    };
    for (const auto& one : cases) {
        Made made = sample();
        made.add(one.kind, one.fields);
        EXPECT_EQ(wrong(made.whole()), one.what);
    }
}

TEST(IgvmFile, AnotherVersionOrArchitectureIsNamed) {
    for (uint32_t version : {0u, 3u}) {
        Made made = sample();
        made.version = version;
        EXPECT_EQ(wrong(made.whole()), "a version that is neither 1 nor 2");
    }
    Bytes arm = sample(2).whole();
    arm[24] = 1;
    EXPECT_EQ(wrong(arm), "not x86-64, or pages that have not 4096 bytes");
}

} // namespace
} // namespace sevhost::igvm
