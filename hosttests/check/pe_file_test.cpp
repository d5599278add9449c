#include "pe_image.h"

#include "checks.h"

#include <gtest/gtest.h>

namespace check::test {
namespace {

Findings findings_of(std::vector<uint8_t> bytes) {
    bytes.shrink_to_fit(); // so that a read behind its end is seen
    return check_pe(PeFile(std::move(bytes)), std::nullopt);
}

TEST(PeFileTest, FindsNothingWrongWithARightOne) {
    const PeImage image;
    EXPECT_TRUE(findings_of(image.bytes).empty());
    const PeFile file(image.bytes);
    ASSERT_EQ(file.sections.size(), 4u);
    EXPECT_EQ(file.sections[3].name, ".kernel");
    EXPECT_EQ(file.entry(efi_firmware), 0x100200u);
    EXPECT_EQ(file.entry(qemu_pvh), std::nullopt);
}

TEST(PeFileTest, NamesEachCut) {
    const PeImage image;
    for (size_t length = 0; length != image.bytes.size(); ++length) {
        const std::vector<uint8_t> cut(image.bytes.begin(),
                                       image.bytes.begin() + static_cast<ptrdiff_t>(length));
        EXPECT_EQ(PeFile::is_one(cut), length >= 2) << length;
        EXPECT_TRUE(findings_of(cut).has(Rule::pe_cut)) << length;
    }
}

TEST(PeFileTest, BelievesNoByteOfTheHeaders) {
    for (size_t at = 2; at != kHeaders; ++at)
        for (const uint8_t value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
            PeImage image;
            image.bytes[at] = value;
            findings_of(image.bytes); // whatever it finds
        }
}

TEST(PeFileTest, AddsNothingThatWraps) {
    PeImage image;
    image.put<uint32_t>(PeImage::optional(160) + 3 * 40 + 8, ~0u);  // bytes in memory
    image.put<uint32_t>(PeImage::optional(160) + 3 * 40 + 16, ~0u); // in the file
    const Findings findings = findings_of(image.bytes);
    EXPECT_TRUE(findings.has(Rule::pe_cut));
    EXPECT_TRUE(findings.has(Rule::pe_image_size));
}

} // namespace
} // namespace check::test
