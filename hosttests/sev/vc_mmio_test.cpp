// #VC for MMIO: which device address, how wide, what of a register; and the walk to it.
#include "bits.h"
#include "vc_fixture.h"
#include "vc_memory.h"

namespace prologue::test {
namespace {

struct MmioTest : VcTest {
    static constexpr uint64_t kDevice = 0xfffff000c0000000;
    MmioTest() { host.map(kDevice, 0xfec00000, false); }
    void device(uint64_t value) {
        host.on_page = [this, value] {
            host.put(kGhcbBuffer, value);
            host.done();
        };
    }
};

TEST_F(MmioTest, ALoadFillsItsRegisterAsItsFormSays) {
    device(0x8182838485868788);
    const struct {
        Bytes bytes;
        uint64_t rax;
        unsigned read;
    } loads[] = {
        {{0x8a, 0x07}, 0x1122334455667788, 1},
        {{0x8a, 0x27}, 0x1122334455668888, 1},
        {{0x66, 0x8b, 0x07}, 0x1122334455668788, 2},
        {{0x8b, 0x07}, 0x85868788, 4},
        {{0x48, 0x8b, 0x07}, 0x8182838485868788, 8},
        {{0x0f, 0xb6, 0x07}, 0x88, 1},
        {{0x48, 0x0f, 0xb7, 0x07}, 0x8788, 2},
        {{0x66, 0x0f, 0xbe, 0x07}, 0x112233445566ff88, 1},
        {{0x48, 0x0f, 0xbf, 0x07}, 0xffffffffffff8788, 2},
        {{0x48, 0x63, 0x07}, 0xffffffff85868788, 4},
    };
    for (const auto& load : loads) {
        frame.rax = 0x1122334455667788;
        frame.rdi = kDevice + 0x10;
        run(VC_NESTED_FAULT, load.bytes);
        EXPECT_EQ(frame.rax, load.rax) << testing::PrintToString(load.bytes);
        EXPECT_EQ(host.page_requests.back().get(kGhcbExitInfo1), 0xfec00010u);
        EXPECT_EQ(host.page_requests.back().get(kGhcbExitInfo2), load.read);
    }
}

TEST_F(MmioTest, AStoreTellsNoMoreThanItsOperand) {
    device(0);
    frame.rdi = kDevice;
    frame.rcx = 0x5ec7e75ec7e70044;
    run(VC_NESTED_FAULT, {0x88, 0x0f});
    EXPECT_EQ(asked().get(kGhcbBuffer), 0x44u);
    run(VC_NESTED_FAULT, {0x48, 0xc7, 0x07, 0xfe, 0xff, 0xff, 0xff});
    EXPECT_EQ(host.page_requests.back().get(kGhcbBuffer), ~uint64_t{1});
}

TEST_F(MmioTest, AStoreOfAHighByteIsThatByte) {
    device(0);
    frame.rdi = kDevice;
    frame.rcx = 0x5ec7e75ec7e74433;
    run(VC_NESTED_FAULT, {0x88, 0x2f});
    EXPECT_EQ(asked().get(kGhcbBuffer), 0x44u);
}

TEST_F(MmioTest, AnAddressHasItsSegmentAndItsWidth) {
    device(0);
    host.map(0xc0000000, 0xfed00000, false);
    host.gs_base = 0x8;
    frame.rdi = 0xc0000010;
    run(VC_NESTED_FAULT, {0x65, 0x8b, 0x07});
    EXPECT_EQ(asked().get(kGhcbExitInfo1), 0xfed00018u);
    frame.rdi = 0xffffffffc0000010;
    run(VC_NESTED_FAULT, {0x67, 0x8b, 0x07});
    EXPECT_EQ(host.page_requests[1].get(kGhcbExitInfo1), 0xfed00010u);
    // Relative to what stands behind the instruction, immediate operand and all.
    frame.rip = 0x100000;
    EXPECT_EQ(address_of(frame, decoded({0xc6, 0x05, 0x00, 0x10, 0x00, 0x00, 0x11})), 0x101007u);
}

TEST_F(MmioTest, StosGoesDownwardsAndOnceToo) {
    std::vector<uint64_t> at;
    host.on_page = [&] {
        at.push_back(host.get(kGhcbExitInfo1));
        host.done();
    };
    frame.rdi = kDevice + 8;
    frame.rcx = 2;
    frame.rflags = 0x400;
    run(VC_NESTED_FAULT, {0xf3, 0xab});
    EXPECT_EQ(frame.rdi, kDevice);
    run(VC_NESTED_FAULT, {0xaa});
    EXPECT_EQ(at, (std::vector<uint64_t>{0xfec00008, 0xfec00004, 0xfec00000}));
    EXPECT_EQ(frame.rcx, 0u);
}

TEST_F(MmioTest, PrivateMemoryIsNoDevice) {
    device(0);
    host.map(kDevice, 0x5000, true);
    frame.rdi = kDevice;
    EXPECT_EQ(end(VC_NESTED_FAULT, {0x8b, 0x07}), unsigned{PROLOGUE_SEV_VC_MMIO});
    prologue_sev_state.boot.busy = 0;
    frame.rdi = kDevice + 0x1000;
    EXPECT_EQ(end(VC_NESTED_FAULT, {0x8b, 0x07}), unsigned{PROLOGUE_SEV_VC_MMIO}) << "not mapped";
    prologue_sev_state.boot.busy = 0;
    frame.rdi = kDevice + 0xffe;
    EXPECT_EQ(end(VC_NESTED_FAULT, {0x8b, 0x07}), unsigned{PROLOGUE_SEV_VC_MMIO}) << "across";
    EXPECT_TRUE(host.page_requests.empty());
}

TEST_F(MmioTest, StosRepeats) {
    std::vector<uint64_t> at;
    host.on_page = [&] {
        at.push_back(host.get(kGhcbExitInfo1));
        host.done();
    };
    frame.rdi = kDevice;
    frame.rcx = 3;
    run(VC_NESTED_FAULT, {0xf3, 0xab});
    EXPECT_EQ(at, (std::vector<uint64_t>{0xfec00000, 0xfec00004, 0xfec00008}));
    EXPECT_EQ(frame.rdi, kDevice + 12);
    EXPECT_EQ(frame.rcx, 0u);
}

// The walk itself: each page size at each depth, at an address all of whose indices differ.
TEST(VcWalk, FindsThePageThatTheCpuFinds) {
    constexpr uint64_t kVirt = 0x00b6'4d92'a5c3'1abc, kPat = 1 << 12; // of a large page's entry
    for (const uint64_t cr4 : {uint64_t{0}, uint64_t{CR4_LA57}})
        for (const unsigned level : {1u, 2u, 3u})
            for (const bool is_private : {false, true}) {
                SCOPED_TRACE(testing::Message() << cr4 << ' ' << level << ' ' << is_private);
                ScriptedHost host;
                host.cr4 = cr4;
                const uint64_t inside = (uint64_t{1} << (3 + 9 * level)) - 1;
                const uint64_t phys = 0x3456789a0000 & ~inside;
                host.map(kVirt, phys | (level == 1 ? 0 : kPat), is_private, level);
                const Mapping found = walk(kVirt);
                EXPECT_TRUE(found.present);
                EXPECT_EQ(found.is_private, is_private);
                EXPECT_EQ(found.phys, phys | (kVirt & inside));
                for (unsigned bit = 3 + 9 * level; bit < (cr4 == 0 ? 48 : 57); bit += 9)
                    EXPECT_FALSE(walk(kVirt ^ uint64_t{1} << bit).present) << bit;
            }
}

} // namespace
} // namespace prologue::test
