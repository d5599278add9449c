// SNP's reverse map: what PVALIDATE, RMPADJUST and the host's own changes do to it.
#include "reverse_map.h"

#include <gtest/gtest.h>

#include <vector>

namespace sevhost {
namespace {

constexpr GuestPhys kStart = 2 << 20; // of the second region, behind a hole
constexpr uint64_t kBytes = 4 << 20;
constexpr GuestPhys kPage = kStart + 0x5000, kLarge = kStart;

class SevReverseMap : public testing::Test {
protected:
    SevReverseMap() : map(memory) {
        memory.add({0, 0xa0000, bytes_.data(), bytes_.data()});
        memory.add({kStart, kBytes, bytes_.data(), bytes_.data()});
        for (unsigned i = 0; i != memory.count(); ++i) {
            states_[i].resize(ReverseMap::bytes_for(memory[i]));
            map.create(i, states_[i].data());
        }
    }
    unsigned count_validated() const {
        unsigned count = 0;
        for (GuestPhys page = kStart; page != kStart + kBytes; page += kPageBytes)
            count += map.is_validated(page);
        return count;
    }

    GuestMemory memory;
    ReverseMap map;

private:
    std::vector<uint8_t> bytes_ = std::vector<uint8_t>(1);
    std::vector<uint8_t> states_[2];
};

TEST_F(SevReverseMap, BeginsPrivateAndNotValidated) {
    EXPECT_TRUE(map.is_assigned(0));
    EXPECT_TRUE(map.is_assigned(kStart + kBytes - 1));
    EXPECT_EQ(map.check(kPage, Backing::private_), PageCheck::not_validated);
    EXPECT_EQ(map.check(kPage, Backing::shared), PageCheck::not_shared);
}

TEST_F(SevReverseMap, ValidatedPageMayBeUsed) {
    const Adjusted done = map.pvalidate(kPage, false, true);
    EXPECT_EQ(done.code, kAdjustSuccess);
    EXPECT_FALSE(done.unchanged);
    EXPECT_FALSE(done.not_the_guests);
    EXPECT_EQ(map.check(kPage, Backing::private_), PageCheck::allowed);
    EXPECT_EQ(map.check(kPage + 0xfff, Backing::private_), PageCheck::allowed);
    EXPECT_EQ(count_validated(), 1u);
}

TEST_F(SevReverseMap, ValidatingTwiceIsToldByTheCarry) {
    map.pvalidate(kPage, false, true);
    const Adjusted again = map.pvalidate(kPage, false, true);
    EXPECT_EQ(again.code, kAdjustSuccess);
    EXPECT_TRUE(again.unchanged);
    EXPECT_FALSE(map.pvalidate(kPage, false, false).unchanged);
    EXPECT_TRUE(map.pvalidate(kPage, false, false).unchanged);
    EXPECT_EQ(map.check(kPage, Backing::private_), PageCheck::not_validated);
}

TEST_F(SevReverseMap, LargePageIsValidatedWhole) {
    map.assign(kLarge, kLargePageBytes);
    EXPECT_TRUE(map.is_large(kPage));
    EXPECT_FALSE(map.pvalidate(kLarge, true, true).unchanged);
    EXPECT_EQ(count_validated(), 512u);
    EXPECT_TRUE(map.pvalidate(kLarge, true, true).unchanged);
}

TEST_F(SevReverseMap, LargeValidationOfSmallPagesIsASizeMismatch) {
    EXPECT_EQ(map.pvalidate(kLarge, true, true).code, kAdjustFailSizeMismatch);
    EXPECT_EQ(map.rmpadjust(kLarge, true, 1).code, kAdjustFailSizeMismatch);
    EXPECT_EQ(count_validated(), 0u);
}

TEST_F(SevReverseMap, SmallValidationOfALargePageTakesItApart) {
    map.assign(kLarge, kLargePageBytes);
    map.pvalidate(kLarge, true, true);
    EXPECT_FALSE(map.pvalidate(kPage, false, false).unchanged);
    EXPECT_EQ(count_validated(), 511u) << "the others stay as they are";
    EXPECT_FALSE(map.is_large(kLarge));
    EXPECT_EQ(map.pvalidate(kLarge, true, true).code, kAdjustFailSizeMismatch);
}

TEST_F(SevReverseMap, LargePageMustBeAligned) {
    EXPECT_EQ(map.pvalidate(kLarge + kPageBytes, true, true).code, kAdjustFailInput);
    EXPECT_EQ(map.rmpadjust(kLarge + kPageBytes, true, 1).code, kAdjustFailInput);
}

TEST_F(SevReverseMap, WhereNoMemoryIsTheInputIsWrong) {
    EXPECT_EQ(map.pvalidate(0xa0000, false, true).code, kAdjustFailInput);
    EXPECT_EQ(map.pvalidate(kStart + kBytes, false, true).code, kAdjustFailInput);
    EXPECT_EQ(map.rmpadjust(0xa0000, false, 1).code, kAdjustFailInput);
}

TEST_F(SevReverseMap, SharedPageIsTheHosts) {
    map.pvalidate(kPage, false, true);
    map.share(kPage, kPageBytes);
    EXPECT_EQ(map.check(kPage, Backing::shared), PageCheck::allowed);
    EXPECT_EQ(map.check(kPage, Backing::private_), PageCheck::not_private);
    EXPECT_TRUE(map.pvalidate(kPage, false, true).not_the_guests);
    EXPECT_TRUE(map.rmpadjust(kPage, false, 1).not_the_guests);
}

TEST_F(SevReverseMap, PageThatComesBackIsNotValidated) {
    map.pvalidate(kPage, false, true);
    map.share(kPage, kPageBytes);
    map.assign(kPage, kPageBytes);
    EXPECT_EQ(map.check(kPage, Backing::private_), PageCheck::not_validated);
    EXPECT_FALSE(map.pvalidate(kPage, false, true).unchanged);
}

TEST_F(SevReverseMap, PageThatIsTheGuestsAlreadyStaysAsItIs) {
    map.pvalidate(kPage, false, true);
    map.assign(kPage, kPageBytes);
    EXPECT_TRUE(map.is_validated(kPage));
}

TEST_F(SevReverseMap, SharingOnePageTakesALargeOneApart) {
    map.assign(kLarge, kLargePageBytes);
    map.pvalidate(kLarge, true, true);
    map.share(kPage, kPageBytes);
    EXPECT_EQ(count_validated(), 511u);
    EXPECT_FALSE(map.is_large(kLarge));
    EXPECT_EQ(map.check(kPage + kPageBytes, Backing::private_), PageCheck::allowed);
}

TEST_F(SevReverseMap, LargePageIsSharedWhole) {
    map.share(kLarge, kLargePageBytes);
    EXPECT_FALSE(map.is_assigned(kLarge));
    EXPECT_FALSE(map.is_assigned(kLarge + kLargePageBytes - 1));
    EXPECT_TRUE(map.is_assigned(kLarge + kLargePageBytes));
}

TEST_F(SevReverseMap, PsmashLosesTheSizeOnly) {
    map.assign(kLarge, kLargePageBytes);
    map.pvalidate(kLarge, true, true);
    map.smash(kPage);
    EXPECT_FALSE(map.is_large(kLarge));
    EXPECT_EQ(count_validated(), 512u);
}

TEST_F(SevReverseMap, RightsAreForLessPrivilegedLevelsOnly) {
    map.pvalidate(kPage, false, true);
    EXPECT_EQ(map.rmpadjust(kPage, false, 0).code, kAdjustFailPermission);
    EXPECT_EQ(map.rmpadjust(kPage, false, 1).code, kAdjustSuccess);
}

TEST_F(SevReverseMap, APageIsAVmsaByTheFirstLevelsWordOnly) {
    EXPECT_FALSE(map.is_vmsa(kPage));
    EXPECT_EQ(map.rmpadjust(kPage, false, 1, true).code, kAdjustSuccess);
    EXPECT_TRUE(map.is_vmsa(kPage));
    EXPECT_EQ(map.rmpadjust(kPage, false, 1).code, kAdjustSuccess);
    EXPECT_FALSE(map.is_vmsa(kPage));
    map.set_vmpl(1);
    EXPECT_EQ(map.rmpadjust(kPage, false, 2, true).code, kAdjustSuccess);
    EXPECT_FALSE(map.is_vmsa(kPage));
}

TEST_F(SevReverseMap, AVmsaThatIsInUseStaysOne) {
    map.rmpadjust(kPage, false, 1, true);
    map.set_in_use(kPage, true);
    EXPECT_EQ(map.rmpadjust(kPage, false, 1).code, kAdjustFailInUse);
    EXPECT_TRUE(map.is_vmsa(kPage));
    map.set_in_use(kPage, false);
    EXPECT_EQ(map.rmpadjust(kPage, false, 1).code, kAdjustSuccess);
}

TEST_F(SevReverseMap, APageThatTheHostTakesIsNoVmsa) {
    map.rmpadjust(kPage, false, 1, true);
    map.share(kPage, kPageBytes);
    map.assign(kPage, kPageBytes);
    EXPECT_FALSE(map.is_vmsa(kPage));
}

TEST_F(SevReverseMap, BelowTheFirstLevelNothingIsValidated) {
    map.set_vmpl(1);
    EXPECT_EQ(map.pvalidate(kPage, false, true).code, kAdjustFailPermission);
    EXPECT_EQ(map.rmpadjust(kPage, false, 1).code, kAdjustFailPermission);
    EXPECT_EQ(map.rmpadjust(kPage, false, 2).code, kAdjustSuccess);
    EXPECT_FALSE(map.is_validated(kPage));
}

} // namespace
} // namespace sevhost
