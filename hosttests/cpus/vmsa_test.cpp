// The save area that an SNP guest fills in for another processor, by the manual's numbers (APM vol. 2,
// table B-4).

#include "vmsa.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace prologue::test {
namespace {

struct GuestVmsa : testing::Test {
    alignas(8) uint8_t page[4096] = {};

    void SetUp() override {
        fill_in(*reinterpret_cast<Vmsa*>(page), {.rip = 0x1111,
                                                 .rbx = 0x2222,
                                                 .cr0 = 0x80010033,
                                                 .cr3 = 0x8000000005000,
                                                 .cr4 = 0x660,
                                                 .efer = 0x1d00,
                                                 .pat = 0x0007010500070406,
                                                 .sev_status = 0x25,
                                                 .tsc_scale = 0x3333,
                                                 .tsc_offset = 0x4444});
    }
    template <class T>
    T at(unsigned offset) const {
        T value;
        std::memcpy(&value, page + offset, sizeof value);
        return value;
    }
};

TEST_F(GuestVmsa, HoldsTheStateOf64BitMode) {
    EXPECT_EQ(at<uint64_t>(0x178), 0x1111u) << "RIP";
    EXPECT_EQ(at<uint64_t>(0x318), 0x2222u) << "RBX";
    EXPECT_EQ(at<uint64_t>(0x158), 0x80010033u) << "CR0";
    EXPECT_EQ(at<uint64_t>(0x150), 0x8000000005000u) << "CR3";
    EXPECT_EQ(at<uint64_t>(0x148), 0x660u) << "CR4";
    EXPECT_EQ(at<uint64_t>(0xd0), 0x1d00u) << "EFER, with SVME";
    EXPECT_EQ(at<uint64_t>(0x268), 0x0007010500070406u) << "PAT";
    EXPECT_EQ(at<uint64_t>(0x2f0), 0x3333u) << "GUEST_TSC_SCALE";
    EXPECT_EQ(at<uint64_t>(0x2f8), 0x4444u) << "GUEST_TSC_OFFSET";
    EXPECT_EQ(at<uint64_t>(0x170), 2u) << "RFLAGS";
    EXPECT_EQ(at<uint64_t>(0x160), 0x400u) << "DR7";
    EXPECT_EQ(at<uint64_t>(0x3e8), 1u) << "XCR0";
    EXPECT_EQ(at<uint32_t>(0x408), 0x1f80u) << "MXCSR";
    EXPECT_EQ(at<uint16_t>(0x410), 0x37fu) << "FCW";
}

TEST_F(GuestVmsa, HasTheFeaturesOfSevStatusFromSnpOn) {
    EXPECT_EQ(at<uint64_t>(0x3b0), 0x9u) << "SNP, and bit 5 of SEV_STATUS as bit 3";
}

TEST_F(GuestVmsa, RunsAtVmpl0WithA64BitCodeSegmentAndNoIdt) {
    EXPECT_EQ(page[0xca], 0) << "VMPL";
    EXPECT_EQ(page[0xcb], 0) << "CPL";
    EXPECT_EQ(at<uint16_t>(0x10), 0x08) << "CS";
    EXPECT_EQ(at<uint16_t>(0x12), 0xa9b) << "long mode, code, present";
    for (const unsigned data : {0x00u, 0x20u, 0x30u}) {
        EXPECT_EQ(at<uint16_t>(data), 0x10) << data;
        EXPECT_EQ(at<uint16_t>(data + 2), 0xc93) << data;
    }
    EXPECT_EQ(at<uint32_t>(0x84), 0u) << "IDTR's limit";
}

} // namespace
} // namespace prologue::test
