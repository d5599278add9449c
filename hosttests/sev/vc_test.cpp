// #VC: what the host is asked for an instruction, and what is left behind.
#include "vc_fixture.h"

#include <sys/mman.h>

namespace prologue::test {
namespace {

TEST_F(VcTest, CpuidGivesFourRegistersWithoutTheirUpperHalves) {
    answer({{kGhcbRax, ~0ull}, {kGhcbRbx, 2}, {kGhcbRcx, 3}, {kGhcbRdx, 4}});
    frame.rax = 0xffffffff00000007;
    frame.rcx = 0xffffffff00000001;
    run(VC_CPUID, {0x0f, 0xa2});
    EXPECT_EQ(asked().get(kGhcbRax), 7u);
    EXPECT_EQ(asked().get(kGhcbRcx), 1u);
    EXPECT_FALSE(asked().valid(kGhcbXcr0));
    EXPECT_EQ(frame.rax, 0xffffffffu);
    EXPECT_EQ(frame.rdx, 4u);
}

TEST_F(VcTest, XsavesLeafIsAskedWithXcr0) {
    answer({{kGhcbRax, 1}, {kGhcbRbx, 2}, {kGhcbRcx, 3}, {kGhcbRdx, 4}});
    host.xcr0 = 7;
    frame.rax = 0xd;
    run(VC_CPUID, {0x0f, 0xa2});
    EXPECT_EQ(asked().get(kGhcbXcr0), 7u);
    EXPECT_TRUE(asked().valid(kGhcbXcr0));
}

TEST_F(VcTest, WithACpuidPageNobodyIsAsked) {
    CpuidPage page = {};
    page.count = 3;
    page.entries[0] = {1, 0, 0, 0, {11, 12, 0, 14}, 0};
    page.entries[1] = {0xd, 0, 1, 0, {7, 0x240, 0x340, 0}, 0};
    page.entries[2] = {0xd, 2, 0, 0, {0x100, 0x240, 0, 0}, 0};
    host.cpuid_page = &page;
    host.cr4 = 1 << 18;
    host.xcr0 = 7;
    frame.rax = 1;
    run(VC_CPUID, {0x0f, 0xa2});
    EXPECT_EQ(frame.rcx, 1u << 27) << "OSXSAVE is this CPU's state, not the page's";
    frame.rax = 0xd;
    frame.rcx = 0;
    run(VC_CPUID, {0x0f, 0xa2});
    EXPECT_EQ(frame.rbx, 0x340u) << "what XCR0 enables now";
    EXPECT_TRUE(host.page_requests.empty());
}

// XSAVE writes what is enabled, and its reader allocates what CPUID says.
struct XsaveTest : VcTest {
    CpuidPage page = {};

    XsaveTest() {
        host.cpuid_page = &page;
        host.cr4 = 1 << 18;
        have(0, {0xe7, 0x1234, 0x5678, 0});
        have(1, {0xf, 0x1234, 0x1800, 0}); // XSAVEC, XSAVES
        have(2, {0x100, 0x240, 0, 0});     // AVX
        have(5, {0x40, 0x340, 0, 0});
        have(6, {0x200, 0x380, 2, 0}); // 64-byte aligned
        have(7, {0x400, 0x580, 2, 0});
        have(11, {0x18, 0, 1, 0}); // a supervisor's: in XSS
        have(12, {0x18, 0, 1, 0});
    }
    void have(uint32_t subleaf, CpuidRegisters registers) {
        page.entries[page.count++] = {0xd, subleaf, 1, 0, registers, 0};
    }
    uint32_t bytes(uint32_t subleaf) {
        frame.rax = 0xd;
        frame.rcx = subleaf;
        const auto ended = end(VC_CPUID, {0x0f, 0xa2});
        if (ended) {
            EXPECT_EQ(*ended, unsigned{PROLOGUE_SEV_CPUID_PAGE});
            return 0;
        }
        return static_cast<uint32_t>(frame.rbx);
    }
};

TEST_F(XsaveTest, SizesAreOfWhatIsEnabledNow) {
    EXPECT_EQ(bytes(0), 0x240u);
    EXPECT_EQ(bytes(1), 0x240u);
    host.xcr0 = 0x27;
    EXPECT_EQ(bytes(0), 0x380u);
    EXPECT_EQ(bytes(1), 0x380u);
    host.xcr0 = 0x43; // without those between
    EXPECT_EQ(bytes(0), 0x580u);
    EXPECT_EQ(bytes(1), 0x440u);
    host.xss = 1 << 11;
    EXPECT_EQ(bytes(0), 0x580u) << "XSAVE saves nothing of a supervisor's";
    EXPECT_EQ(bytes(1), 0x458u);
    host.xcr0 = 0x83;
    EXPECT_EQ(bytes(1), 0x658u) << "aligned, then what follows it is not";
    EXPECT_EQ(bytes(2), 0x240u) << "a component is as the page has it";
}

TEST_F(XsaveTest, AComponentThatThePageLacksIsTheEnd) {
    for (const uint64_t lacking : {uint64_t{3}, uint64_t{9}, uint64_t{40}, uint64_t{62}}) {
        host.xss = 0;
        host.xcr0 = 7 | uint64_t{1} << lacking;
        EXPECT_EQ(bytes(0), 0u) << lacking;
        EXPECT_EQ(bytes(1), 0u) << lacking;
        host.xcr0 = 7;
        host.xss = uint64_t{1} << lacking;
        EXPECT_EQ(bytes(0), 0x340u) << lacking;
        EXPECT_EQ(bytes(1), 0u) << lacking;
    }
    page.entries[2].registers.eax = 0; // it is there, and empty
    host.xss = 0;
    EXPECT_EQ(bytes(0), 0u);
    page.entries[2].registers = {0xffffffff, 0x240, 0, 0}; // and wraps
    EXPECT_EQ(bytes(0), 0u);
    EXPECT_TRUE(host.page_requests.empty());
}

TEST_F(VcTest, BytesThatAreAnotherInstructionWereNotTheCpusDoing) {
    const uint64_t codes[] = {VC_CPUID,   VC_IOIO,    VC_MSR,    VC_RDTSC,    VC_RDTSCP,
                              VC_RDPMC,   VC_INVD,    VC_WBINVD, VC_DR7_READ, VC_DR7_WRITE,
                              VC_VMMCALL, VC_MONITOR, VC_MWAIT};
    for (const uint64_t code : codes) {
        EXPECT_EQ(end(code, {0x90}), unsigned{PROLOGUE_SEV_VC_INJECTED}) << code;
        EXPECT_EQ(end(code, {0x89, 0x07}), unsigned{PROLOGUE_SEV_VC_INJECTED}) << code;
    }
    EXPECT_EQ(end(VC_CPUID, {0x0f, 0x32}), unsigned{PROLOGUE_SEV_VC_INJECTED});
    EXPECT_EQ(end(VC_WBINVD, {0x0f, 0x08}), unsigned{PROLOGUE_SEV_VC_INJECTED});
    EXPECT_TRUE(host.page_requests.empty());
}

TEST_F(VcTest, EveryOtherErrorCodeIsTheEnd) {
    for (const uint64_t code : {0x8du, 0x8eu, 0x65u, 0u, 0x401u, 0xffffffffu})
        EXPECT_EQ(end(code, {0x0f, 0xa2}), unsigned{PROLOGUE_SEV_VC_CODE}) << code;
    EXPECT_EQ(end(VC_NESTED_FAULT, {0x87, 0x07}), unsigned{PROLOGUE_SEV_VC_FORM});
}

TEST_F(VcTest, UserModeAndNestingAreRefused) {
    frame.cs = 0x33;
    EXPECT_EQ(end(VC_CPUID, {0x0f, 0xa2}), unsigned{PROLOGUE_SEV_VC_USER});
    frame.cs = 8;
    host.is_64bit = false; // where 0x40 is no prefix, and addresses are others
    EXPECT_EQ(end(VC_CPUID, {0x0f, 0xa2}), unsigned{PROLOGUE_SEV_VC_USER});
    host.is_64bit = true;
    const Ghcb held;
    EXPECT_EQ(end(VC_CPUID, {0x0f, 0xa2}), unsigned{PROLOGUE_SEV_VC_NESTED});
    EXPECT_EQ(end(VC_DR7_READ, {0x0f, 0x21, 0xf8}), unsigned{PROLOGUE_SEV_VC_NESTED})
        << "even what needs no page";
}

TEST_F(VcTest, BeforeThePageThereIsCpuidByTheMsr) {
    prologue_sev_state.page_stands = 0;
    host.on_msr = [](uint64_t request) {
        return (request >> 30 & 3) << 32 | (request & 0xc0000000) | 5;
    };
    frame.rax = 0x80000001;
    run(VC_CPUID, {0x0f, 0xa2});
    EXPECT_EQ(frame.rdx, 3u);
    EXPECT_EQ(end(VC_IOIO, {0xec}), unsigned{PROLOGUE_SEV_VC_EARLY});
    EXPECT_EQ(end(VC_CPUID, {0x90}), unsigned{PROLOGUE_SEV_VC_INJECTED});
    frame.rax = 0xd;
    EXPECT_EQ(end(VC_CPUID, {0x0f, 0xa2}), unsigned{PROLOGUE_SEV_VC_SUBLEAF});
    frame.rcx = 0xc0010131;
    EXPECT_EQ(end(VC_MSR, {0x0f, 0x32}), unsigned{PROLOGUE_SEV_STATUS_READ});
}

// A host that answers CPUID has no word on what the guest is, nor on what state it is in.
TEST_F(VcTest, OfAHostsCpuidWhatIsKnownIsKept) {
    constexpr uint32_t kOsxsave = 1u << 27, kOspke = 1u << 4;
    const auto ask = [&](uint32_t leaf, uint32_t value, uint32_t subleaf = 0) {
        answer({{kGhcbRax, value}, {kGhcbRbx, value}, {kGhcbRcx, value}, {kGhcbRdx, value}});
        frame.rax = leaf;
        frame.rcx = subleaf;
        run(VC_CPUID, {0x0f, 0xa2});
    };
    for (const bool on : {false, true}) {
        host.cr4 = on ? 1u << 18 | 1u << 22 : 0;
        for (const uint32_t value : {0u, ~0u}) {
            ask(1, value);
            EXPECT_EQ(frame.rcx, on ? value | kOsxsave : value & ~kOsxsave);
            EXPECT_EQ(frame.rax | frame.rbx | frame.rdx, value);
            ask(7, value);
            EXPECT_EQ(frame.rcx, on ? value | kOspke : value & ~kOspke);
            ask(7, value, 1);
            EXPECT_EQ(frame.rcx, value);
            ask(2, value);
            EXPECT_EQ(frame.rcx, value);
        }
    }
    for (const auto& [status, bits] : {std::pair{SEV_STATUS_SEV | SEV_STATUS_ES, 0xau},
                                       {SEV_STATUS_SEV | SEV_STATUS_ES | SEV_STATUS_SNP, 0x1au}}) {
        prologue_sev_state.status = status;
        ask(0x8000001f, 0xffffffc0 | 47);
        EXPECT_EQ(frame.rax, 0xffffffc0u | 47 | bits);
        EXPECT_EQ(frame.rbx, 0xffffffc0u | 47);
        answer({{kGhcbRax, 0}, {kGhcbRbx, 47}, {kGhcbRcx, 0}, {kGhcbRdx, 0}});
        frame.rax = 0x8000001f;
        run(VC_CPUID, {0x0f, 0xa2});
        EXPECT_EQ(frame.rax, bits) << "SEV, and of which kind";
    }
}

// A kernel would make tables by it.
TEST_F(VcTest, AnotherCBitThanTheProvedOneIsTheEnd) {
    const auto end_by = [&](uint64_t rbx) {
        answer({{kGhcbRax, 0xa}, {kGhcbRbx, rbx}, {kGhcbRcx, 0}, {kGhcbRdx, 0}});
        frame.rax = 0x8000001f;
        return end(VC_CPUID, {0x0f, 0xa2});
    };
    for (const uint64_t rbx : {0u, 46u, 48u, 51u, 63u, 15u, 47u - 32})
        EXPECT_EQ(end_by(rbx), unsigned{PROLOGUE_SEV_C_BIT_DISAGREE}) << rbx;
    EXPECT_EQ(end_by(47 | 5 << 6), std::nullopt);
    prologue_sev_state.page_stands = 0; // by the MSR, too
    host.on_msr = [](uint64_t request) { return uint64_t{46} << 32 | (request & 0xc0000000) | 5; };
    frame.rax = 0x8000001f;
    EXPECT_EQ(end(VC_CPUID, {0x0f, 0xa2}), unsigned{PROLOGUE_SEV_C_BIT_DISAGREE});
}

TEST_F(VcTest, PortsAreToldAsTheManualEncodesThem) {
    answer({{kGhcbRax, 0xaabbccdd11223399}});
    frame.rdx = 0xffff03f8;
    run(VC_IOIO, {0xec});
    EXPECT_EQ(asked().get(kGhcbExitInfo1), 0x03f80000u | 0x200 | 0x10 | 1);
    EXPECT_EQ(frame.rax, 0x1122334455667799u) << "one byte of it";
    run(VC_IOIO, {0xed});
    EXPECT_EQ(frame.rax, 0x11223399u) << "32 bits clear the rest";
    frame.rax = 0x5ec7e700000041;
    run(VC_IOIO, {0xe6, 0x80});
    EXPECT_EQ(host.page_requests[2].get(kGhcbExitInfo1), 0x00800000u | 0x200 | 0x10);
    EXPECT_EQ(host.page_requests[2].get(kGhcbRax), 0x41u) << "no more than is written";
}

TEST_F(VcTest, AnInTellsNothingOfItsRegister) {
    answer({{kGhcbRax, 0}});
    for (const Bytes& in : {Bytes{0xec}, Bytes{0xed}, Bytes{0xe4, 0x71}}) {
        frame.rax = 0x5ec7e75ec7e7;
        run(VC_IOIO, in);
        EXPECT_EQ(host.page_requests.back().get(kGhcbRax), 0u);
    }
}

// Registers go whole where an instruction takes them whole, and none beside them.
TEST_F(VcTest, WideRequestsAreToldWhole) {
    answer({{kGhcbRax, 0x8877665544332211}});
    const Frame64 before = frame;
    run(VC_VMMCALL, {0x0f, 0x01, 0xd9});
    EXPECT_EQ(frame.rax, 0x8877665544332211u);
    EXPECT_TRUE(asked().valid(kGhcbCpl));
    frame = before;
    run(VC_MONITOR, {0x0f, 0x01, 0xc8});
    EXPECT_EQ(frame.rax, before.rax);
    for (const PageRequest& request : host.page_requests) {
        EXPECT_EQ(request.get(kGhcbRax), before.rax);
        EXPECT_EQ(request.get(kGhcbRbx), 0u);
    }
    EXPECT_EQ(asked().get(kGhcbRcx), 0u);
    EXPECT_EQ(host.page_requests[1].get(kGhcbRcx), before.rcx);
}

TEST_F(VcTest, ATimestampIsTheAnswerAndItsProcessorIsKnown) {
    host.tsc_aux = 0x5555555500000007;
    answer({{kGhcbRax, ~0ull}, {kGhcbRdx, 2}, {kGhcbRcx, 3}});
    run(VC_RDTSCP, {0x0f, 0x01, 0xf9});
    EXPECT_EQ(frame.rax, 0xffffffffu);
    EXPECT_EQ(frame.rdx, 2u);
    EXPECT_EQ(frame.rcx, 7u);
    answer({{kGhcbRax, 1}, {kGhcbRdx, 0}}); // which the host need not tell
    run(VC_RDTSCP, {0x0f, 0x01, 0xf9});
    EXPECT_EQ(frame.rcx, 7u);
    run(VC_MSR, {0x0f, 0x30});
    EXPECT_EQ(host.page_requests[2].get(kGhcbExitInfo1), 1u);
}

TEST_F(VcTest, AStringOfOneLeavesItsCountAlone) {
    const uint8_t data[] = {1, 2, 3, 4};
    host.on_page = [&] { host.done(); };
    const uint64_t count = frame.rcx;
    frame.rsi = reinterpret_cast<uint64_t>(data);
    run(VC_IOIO, {0x6f});
    EXPECT_EQ(frame.rcx, count);
    EXPECT_EQ(frame.rsi, reinterpret_cast<uint64_t>(data + 4));
    EXPECT_EQ(asked().get(kGhcbExitInfo2), 1u);
}

// The segment's base is part of the address, and no part of the register.
TEST_F(VcTest, AStringsSegmentHasItsBase) {
    const uint8_t data[] = {1, 2, 3, 4};
    host.on_page = [&] { host.done(); };
    host.fs_base = reinterpret_cast<uint64_t>(data) - 0x1000;
    host.gs_base = host.fs_base + 1;
    frame.rsi = 0x1000;
    run(VC_IOIO, {0x64, 0x6e});
    EXPECT_EQ(frame.rsi, 0x1001u);
    EXPECT_EQ(asked().get(kGhcbBuffer), 1u);
    frame.rsi = 0x1000;
    run(VC_IOIO, {0x65, 0x6e});
    EXPECT_EQ(host.page_requests[1].get(kGhcbBuffer), 2u);
    EXPECT_EQ(asked().get(kGhcbExitInfo1) >> 10 & 7, 4u);
    EXPECT_EQ(host.page_requests[1].get(kGhcbExitInfo1) >> 10 & 7, 5u);
}

TEST_F(VcTest, NarrowAddressesOfStringsWrapAt4GiB) {
    auto* const data = static_cast<uint8_t*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
    const uint64_t low = reinterpret_cast<uint64_t>(data);
    ASSERT_LT(low, uint64_t{1} << 32);
    host.on_page = [&] {
        host.put(kGhcbBuffer, 0x0201);
        host.done();
    };
    frame.rdi = 0xdead000000000000 | low;
    frame.rcx = 0xdead000000000002;
    run(VC_IOIO, {0x67, 0xf3, 0x6c});
    EXPECT_EQ(data[0] | data[1] << 8, 0x0201);
    EXPECT_EQ(frame.rdi, low + 2);
    EXPECT_EQ(frame.rcx, 0u);
    EXPECT_EQ(host.get(kGhcbBuffer), 0u) << "nothing of it stays in the page";
    munmap(data, 4096);
}

TEST_F(VcTest, StringsGoInPiecesThroughTheBuffer) {
    std::vector<uint8_t> data(5000);
    for (size_t i = 0; i != data.size(); ++i)
        data[i] = static_cast<uint8_t>(i * 3);
    std::vector<uint8_t> written;
    host.on_page = [&] {
        const uint64_t bytes = host.get(kGhcbExitInfo2) * 2;
        written.insert(written.end(), host.page + kGhcbBuffer, host.page + kGhcbBuffer + bytes);
        host.done();
    };
    frame.rsi = reinterpret_cast<uint64_t>(data.data());
    frame.rcx = 2500;
    run(VC_IOIO, {0xf3, 0x66, 0x6f});
    EXPECT_EQ(written, data);
    EXPECT_EQ(frame.rcx, 0u);
    EXPECT_EQ(frame.rsi, reinterpret_cast<uint64_t>(data.data() + data.size()));
    EXPECT_EQ(host.page_requests.size(), 3u);
    EXPECT_EQ(asked().get(kGhcbExitInfo1) & 0xffff, 0x200u | 3 << 10 | 0x20 | 8 | 4);
}

TEST_F(VcTest, StringsGoDownwardsToo) {
    uint8_t data[8] = {};
    host.on_page = [&] {
        for (unsigned i = 0; i != 4; ++i)
            host.page[kGhcbBuffer + i] = static_cast<uint8_t>(i + 1);
        host.done();
    };
    frame.rflags = 0x400;
    frame.rdi = reinterpret_cast<uint64_t>(data + 5);
    frame.rcx = 4;
    run(VC_IOIO, {0xf3, 0x6c});
    EXPECT_EQ(Bytes(data, data + 8), (Bytes{0, 0, 4, 3, 2, 1, 0, 0}));
    EXPECT_EQ(frame.rdi, reinterpret_cast<uint64_t>(data + 1));
}

TEST_F(VcTest, AnExceptionInPlaceOfAnAnswerLeavesTheFrame) {
    host.on_page = [&] { host.done(1, 0x80000b0d); };
    const Frame64 before = frame;
    EXPECT_EQ(run(VC_MSR, {0x0f, 0x32}), 13u);
    EXPECT_EQ(frame.rax, before.rax);
    EXPECT_EQ(frame.rdx, before.rdx);
}

TEST_F(VcTest, DebugRegister7IsKnownHere) {
    answer({});
    frame.rax = 0x555;
    run(VC_DR7_WRITE, {0x0f, 0x23, 0xf8});
    EXPECT_EQ(asked().get(kGhcbRax), 0x555u | 0x400);
    run(VC_DR7_READ, {0x0f, 0x21, 0xfb});
    EXPECT_EQ(frame.rbx, 0x555u | 0x400);
    EXPECT_EQ(host.page_requests.size(), 1u) << "reading asks nobody";
    frame.rax = uint64_t{1} << 32;
    EXPECT_EQ(run(VC_DR7_WRITE, {0x0f, 0x23, 0xf8}), 13u);
    frame.rax = 0xd955;
    run(VC_DR7_WRITE, {0x0f, 0x23, 0xf8});
    EXPECT_EQ(host.page_requests[1].get(kGhcbRax), 0x555u) << "what is reserved is as it must be";
    host.on_page = [&] { host.done(1, 0x80000b0d); };
    frame.rax = 0x401;
    EXPECT_EQ(run(VC_DR7_WRITE, {0x0f, 0x23, 0xf8}), 13u);
    EXPECT_EQ(prologue_sev_state.boot.dr7, 0x555u) << "what the host refused is not written";
}

// The fields of an SEV-ES guest's save area that are MSRs (APM vol. 2, table B-4; Linux,
// arch/x86/include/asm/svm.h, sev_es_save_area), each by itself, and SEV's own.
constexpr uint32_t kMsrsOfTheVmsa[] =
    {
        0x6a4,      0x6a5,      0x6a6,      0x6a7,                  // PL0_SSP to PL3_SSP
        0x6a0,      0x6a2,      0x6a8,                              // U_CET, S_CET, ISST_ADDR
        0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, // EFER, STAR to SFMASK
        0xda0,                                                      // XSS
        0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,             // FS, GS, KERNEL_GS; TSC_AUX
        0x174,      0x175,      0x176,                              // SYSENTER
        0x277,                                                      // PAT
        0x1d9,      0x1db,      0x1dc,      0x1dd,      0x1de,
        0xc000010e, 0xc000010f,                                     // DEBUGCTL, branches
        0x48,                                                       // SPEC_CTRL
        0xc0011030, 0xc0011031, 0xc0011033, 0xc0011034, 0xc0011035, // IBS
        0xc0011036, 0xc0011037, 0xc0011038, 0xc001103b, 0xc001103c,
        0xc0010130, 0xc0010131, 0xc0010132, 0xc0010134, 0xc001013f, // SEV's own
};
// What lies beside them, or is like them, and is the host's to answer: the APIC's base, MTRRs,
// physical addresses of IBS, counters, VIRT_SPEC_CTRL, which is no field.
constexpr uint32_t kMsrsOfTheHost[] = {
    0x10,       0x1b,       0x47,       0x49,       0x173,      0x177,      0x276,      0x278,
    0x1d8,      0x1da,      0x1df,      0x69f,      0x6a1,      0x6a3,      0x6a9,      0xd9f,
    0xda1,      0xc000007f, 0xc0000085, 0xc00000ff, 0xc0000104, 0xc000010d, 0xc0000110, 0xc001011f,
    0xc001012f, 0xc0010140, 0xc0010200, 0xc00102ff, 0xc0010320, 0xc0011019, 0xc0011027, 0xc001102f,
    0xc0011032, 0xc0011039, 0xc001103a, 0xc001103d, 0xfffffff0, 0};

// A host that makes a #VC of what the processor serves wants to be asked what it is.
TEST_F(VcTest, WhatTheProcessorKeepsForTheGuestIsNotAskedFor) {
    answer({{kGhcbRax, 0xbad}, {kGhcbRdx, 0xbad}});
    std::vector<uint32_t> kept(std::begin(kMsrsOfTheVmsa), std::end(kMsrsOfTheVmsa));
    for (uint32_t branch = 0; branch != 32; ++branch) // LBR_STACK_FROM and _TO
        kept.push_back(0xc0010300 + branch);
    for (const uint64_t msr : kept)
        for (const uint8_t second : {0x32, 0x30}) { // RDMSR, WRMSR
            frame.rcx = 0xdead00000000 | msr;
            EXPECT_EQ(end(VC_MSR, {0x0f, second}), unsigned{PROLOGUE_SEV_VC_KEPT})
                << std::hex << msr;
        }
    EXPECT_TRUE(host.page_requests.empty());
    for (const uint64_t msr : kMsrsOfTheHost) {
        frame.rcx = msr;
        EXPECT_EQ(end(VC_MSR, {0x0f, 0x32}), std::nullopt) << std::hex << msr;
        EXPECT_EQ(end(VC_MSR, {0x0f, 0x30}), std::nullopt) << std::hex << msr;
    }
    EXPECT_EQ(host.page_requests.size(), 2 * std::size(kMsrsOfTheHost));
}

// OpenBSD's vmm intercepts PAT. As SEV-ES the boot lives without its own write of it, which
// asks nobody either; a kernel is told by the end.
TEST_F(VcTest, TheBootsWriteOfPatIsDoneWithoutWhereAHostShadowsIt) {
    frame.rcx = 0x277;
    const Frame64 before = frame;
    host.pat_write_at = reinterpret_cast<uint64_t>(code.data());
    code.assign(32, 0x90);
    code[0] = 0x0f, code[1] = 0x30;
    const auto write = [&] {
        frame = before;
        frame.error = VC_MSR;
        frame.rip = host.pat_write_at = reinterpret_cast<uint64_t>(code.data());
        return end_of([&] { handle_vc(frame); });
    };
    EXPECT_EQ(write(), std::nullopt);
    EXPECT_EQ(frame.rip, host.pat_write_at + 2);
    EXPECT_EQ(frame.rax, before.rax);
    prologue_sev_state.status |= SEV_STATUS_SNP;
    EXPECT_EQ(write(), unsigned{PROLOGUE_SEV_VC_KEPT});
    EXPECT_TRUE(host.page_requests.empty());
}

// With Secure TSC and swapped debug registers, these are no exits of an honest host's.
TEST_F(VcTest, FeaturesOfTheLaunchKeepTheTscAndDebugRegisters) {
    answer({{kGhcbRax, 0}, {kGhcbRdx, 0}, {kGhcbRcx, 0}});
    prologue_sev_state.status |= 1 << 11;
    frame.rcx = 0x10; // the TSC as an MSR
    EXPECT_EQ(end(VC_MSR, {0x0f, 0x32}), unsigned{PROLOGUE_SEV_VC_KEPT});
    EXPECT_EQ(end(VC_RDTSC, {0x0f, 0x31}), unsigned{PROLOGUE_SEV_VC_KEPT});
    EXPECT_EQ(end(VC_RDTSCP, {0x0f, 0x01, 0xf9}), unsigned{PROLOGUE_SEV_VC_KEPT});
    frame.rax = 0x400;
    EXPECT_EQ(run(VC_DR7_WRITE, {0x0f, 0x23, 0xf8}), 0u) << "another feature";
    prologue_sev_state.status ^= 1 << 11 | 1 << 7;
    EXPECT_EQ(end(VC_DR7_WRITE, {0x0f, 0x23, 0xf8}), unsigned{PROLOGUE_SEV_VC_KEPT});
    EXPECT_EQ(end(VC_DR7_READ, {0x0f, 0x21, 0xf8}), unsigned{PROLOGUE_SEV_VC_KEPT});
    for (const uint64_t mask : {0xc0011027u, 0xc0011019u, 0xc001101au, 0xc001101bu}) {
        frame.rcx = mask; // DR0_ADDR_MASK to DR3_ADDR_MASK
        EXPECT_EQ(end(VC_MSR, {0x0f, 0x30}), unsigned{PROLOGUE_SEV_VC_KEPT});
    }
    EXPECT_EQ(run(VC_RDTSC, {0x0f, 0x31}), 0u);
}

} // namespace
} // namespace prologue::test
