// #VC: instructions as bytes, what the host is asked for them, and what is left behind.
#include "bits.h"
#include "decode.h"
#include "scripted_host.h"
#include "vc_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <random>

namespace prologue::test {
namespace {

using Bytes = std::vector<uint8_t>;

Instruction decoded(Bytes bytes) {
    bytes.resize(15);
    return decode(bytes.data());
}

struct Form {
    Bytes bytes;
    Op op;
    unsigned operand; // bytes
};

const Form kForms[] = {
    {{0x0f, 0xa2}, Op::cpuid, 0},
    {{0x48, 0x0f, 0xa2}, Op::cpuid, 0},
    {{0x0f, 0x32}, Op::rdmsr, 0},
    {{0x0f, 0x30}, Op::wrmsr, 0},
    {{0x0f, 0x31}, Op::rdtsc, 0},
    {{0x0f, 0x01, 0xf9}, Op::rdtscp, 0},
    {{0x0f, 0x33}, Op::rdpmc, 0},
    {{0x0f, 0x08}, Op::invd, 0},
    {{0x0f, 0x09}, Op::wbinvd, 0},
    {{0xf3, 0x0f, 0x09}, Op::wbinvd, 0},
    {{0x0f, 0x21, 0xf8}, Op::read_dr7, 0},
    {{0x41, 0x0f, 0x23, 0xff}, Op::write_dr7, 0},
    {{0x0f, 0x01, 0xd9}, Op::vmmcall, 0},
    {{0x0f, 0x01, 0xc8}, Op::monitor, 0},
    {{0x0f, 0x01, 0xc9}, Op::mwait, 0},
    {{0xe4, 0x71}, Op::in, 1},
    {{0x66, 0xe5, 0x71}, Op::in, 2},
    {{0xe5, 0x71}, Op::in, 4},
    {{0xe6, 0x70}, Op::out, 1},
    {{0x66, 0xe7, 0x70}, Op::out, 2},
    {{0xe7, 0x70}, Op::out, 4},
    {{0xec}, Op::in, 1},
    {{0x66, 0xed}, Op::in, 2},
    {{0xed}, Op::in, 4},
    {{0x48, 0xed}, Op::in, 4},
    {{0xee}, Op::out, 1},
    {{0x66, 0xef}, Op::out, 2},
    {{0xef}, Op::out, 4},
    {{0x6c}, Op::ins, 1},
    {{0xf3, 0x66, 0x6d}, Op::ins, 2},
    {{0xf3, 0x6d}, Op::ins, 4},
    {{0xf3, 0x67, 0x6e}, Op::outs, 1},
    {{0x65, 0x6f}, Op::outs, 4},
    {{0x88, 0x07}, Op::store, 1},
    {{0x66, 0x89, 0x0f}, Op::store, 2},
    {{0x89, 0x0f}, Op::store, 4},
    {{0x48, 0x89, 0x0f}, Op::store, 8},
    {{0x8a, 0x07}, Op::load, 1},
    {{0x4c, 0x8b, 0x8f, 0x00, 0xf0, 0xff, 0xff}, Op::load, 8},
    {{0x8b, 0x04, 0xcb}, Op::load, 4},
    {{0x8b, 0x04, 0x25, 0, 0, 0, 0xc0}, Op::load, 4},
    {{0xa1, 0, 0, 0, 0xc0, 0xff, 0xff, 0xff, 0xff}, Op::load, 4},
    {{0x67, 0xa1, 0, 0, 0, 0xc0}, Op::load, 4},
    {{0xa2, 0, 0, 0, 0xc0, 0xff, 0xff, 0xff, 0xff}, Op::store, 1},
    {{0xc6, 0x07, 0x11}, Op::store_immediate, 1},
    {{0x66, 0xc7, 0x07, 0x12, 0x11}, Op::store_immediate, 2},
    {{0xc7, 0x05, 1, 2, 3, 4, 0x15, 0, 0, 0}, Op::store_immediate, 4},
    {{0x48, 0xc7, 0x07, 0x1c, 0, 0, 0}, Op::store_immediate, 8},
    {{0x0f, 0xb6, 0x07}, Op::load_zero, 1},
    {{0x66, 0x0f, 0xb6, 0x07}, Op::load_zero, 1},
    {{0x48, 0x0f, 0xb7, 0x07}, Op::load_zero, 2},
    {{0x0f, 0xbe, 0x07}, Op::load_sign, 1},
    {{0x4c, 0x0f, 0xbf, 0x0f}, Op::load_sign, 2},
    {{0x48, 0x63, 0x07}, Op::load_sign, 4},
    {{0xaa}, Op::stos, 1},
    {{0xf3, 0x48, 0xab}, Op::stos, 8},
};

TEST(Decode, EachFormIsWhatItIsAndAsLongAsItIs) {
    for (const Form& form : kForms) {
        const Instruction i = decoded(form.bytes);
        EXPECT_EQ(i.op, form.op) << testing::PrintToString(form.bytes);
        EXPECT_EQ(i.length, form.bytes.size()) << testing::PrintToString(form.bytes);
        EXPECT_EQ(i.bytes, form.operand) << testing::PrintToString(form.bytes);
    }
}

TEST(Decode, WhatIsNotServedIsNothing) {
    const Bytes others[] = {
        {0x90}, {0xf0, 0x89, 0x07}, {0xf3, 0x0f, 0x01, 0xd9}, {0x0f, 0x01, 0xd8},
        {0x89, 0xc8}, {0xc7, 0x0f, 0, 0, 0, 0}, {0x0f, 0x21, 0xf0}, {0x44, 0x0f, 0x21, 0xf8},
        {0x87, 0x07}, {0x01, 0x07}, {0x0f, 0x38, 0xf0, 0x07}, {0xa4},
        Bytes(15, 0x66),
    };
    for (const Bytes& bytes : others)
        EXPECT_EQ(decoded(bytes).op, Op::none) << testing::PrintToString(bytes);
}

TEST(Decode, OperandsAreThoseOfTheManual) {
    Instruction i = decoded({0x4e, 0x8b, 0x4c, 0xad, 0x80});
    EXPECT_EQ(i.reg, 9);
    EXPECT_EQ(i.memory.base, 5);
    EXPECT_EQ(i.memory.index, 13);
    EXPECT_EQ(i.memory.shift, 2);
    EXPECT_EQ(i.memory.displacement, -128);
    i = decoded({0x88, 0x27});
    EXPECT_TRUE(i.high_byte);
    EXPECT_EQ(i.reg, 0) << "AH";
    i = decoded({0x40, 0x88, 0x27});
    EXPECT_FALSE(i.high_byte);
    EXPECT_EQ(i.reg, 4) << "SPL";
    i = decoded({0x64, 0x67, 0x8b, 0x05, 0xff, 0xff, 0xff, 0xff});
    EXPECT_EQ(i.memory.base, kRipRegister);
    EXPECT_EQ(i.segment, SegmentBase::fs);
    EXPECT_EQ(i.address_bytes, 4);
    i = decoded({0x48, 0x66, 0x89, 0x0f}); // REX counts only right before the opcode
    EXPECT_EQ(i.bytes, 2);
}

// The page behind an instruction need not be there.
TEST(Decode, ReadsNotOneByteTooMany) {
    auto* const pages = static_cast<uint8_t*>(
        mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(pages + 4096, 4096, PROT_NONE);
    for (const Form& form : kForms) {
        uint8_t* const at = pages + 4096 - form.bytes.size();
        std::copy(form.bytes.begin(), form.bytes.end(), at);
        EXPECT_EQ(decode(at).op, form.op);
    }
    munmap(pages, 8192);
}

struct VcTest : testing::Test {
    ScriptedHost host;
    Frame64 frame = {};
    Bytes code;

    VcTest() {
        frame.cs = 8;
        frame.rax = frame.rbx = frame.rcx = frame.rdx = frame.rdi = frame.rsi =
            0x1122334455667788;
    }
    unsigned run(uint64_t error, Bytes bytes) {
        code = std::move(bytes);
        const size_t length = code.size();
        code.resize(32, 0x90);
        frame.error = error;
        frame.rip = reinterpret_cast<uint64_t>(code.data());
        const unsigned vector = handle_vc(frame);
        EXPECT_EQ(frame.rip - reinterpret_cast<uint64_t>(code.data()), vector == 0 ? length : 0);
        return vector;
    }
    std::optional<unsigned> end(uint64_t error, Bytes bytes) {
        return end_of([&] { run(error, std::move(bytes)); });
    }
    void answer(std::initializer_list<std::pair<unsigned, uint64_t>> fields) {
        const std::vector<std::pair<unsigned, uint64_t>> kept(fields);
        host.on_page = [this, kept] {
            host.done();
            for (const auto& [offset, value] : kept)
                host.set(offset, value);
        };
    }
    const PageRequest& asked() { return host.page_requests.at(0); }
};

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

TEST_F(VcTest, BytesThatAreAnotherInstructionWereNotTheCpusDoing) {
    const uint64_t codes[] = {VC_CPUID, VC_IOIO, VC_MSR, VC_RDTSC, VC_RDTSCP, VC_RDPMC, VC_INVD,
                              VC_WBINVD, VC_DR7_READ, VC_DR7_WRITE, VC_VMMCALL, VC_MONITOR,
                              VC_MWAIT};
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

TEST_F(VcTest, TimestampsAndTheirProcessorAreTheAnswers) {
    answer({{kGhcbRax, ~0ull}, {kGhcbRdx, 2}, {kGhcbRcx, 3}});
    run(VC_RDTSCP, {0x0f, 0x01, 0xf9});
    EXPECT_EQ(frame.rax, 0xffffffffu);
    EXPECT_EQ(frame.rdx, 2u);
    EXPECT_EQ(frame.rcx, 3u);
    run(VC_MSR, {0x0f, 0x30});
    EXPECT_EQ(host.page_requests[1].get(kGhcbExitInfo1), 1u);
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
    EXPECT_EQ(prologue_sev_state.dr7, 0x555u) << "what the host refused is not written";
}

// SEV_STATUS, the GHCB's address and the segments' bases are in the guest's own state: a host
// that makes a #VC of them wants to be asked what they are.
TEST_F(VcTest, WhatTheProcessorKeepsForTheGuestIsNotAskedFor) {
    answer({{kGhcbRax, 0}, {kGhcbRdx, 0}});
    for (const uint64_t msr : {0xc0010131u, 0xc0010130u, 0xc0010134u, 0xc0000100u, 0xc0000101u}) {
        frame.rcx = msr;
        EXPECT_EQ(end(VC_MSR, {0x0f, 0x32}), unsigned{PROLOGUE_SEV_VC_KEPT}) << msr;
        EXPECT_EQ(end(VC_MSR, {0x0f, 0x30}), unsigned{PROLOGUE_SEV_VC_KEPT}) << msr;
    }
    frame.rcx = 0x1b;
    run(VC_MSR, {0x0f, 0x32});
    EXPECT_EQ(host.page_requests.size(), 1u);
}

// With Secure TSC and swapped debug registers, these are no exits of an honest host's.
TEST_F(VcTest, FeaturesOfTheLaunchKeepTheTscAndDebugRegisters) {
    answer({{kGhcbRax, 0}, {kGhcbRdx, 0}, {kGhcbRcx, 0}});
    prologue_sev_state.status |= 1 << 11;
    EXPECT_EQ(end(VC_RDTSC, {0x0f, 0x31}), unsigned{PROLOGUE_SEV_VC_KEPT});
    EXPECT_EQ(end(VC_RDTSCP, {0x0f, 0x01, 0xf9}), unsigned{PROLOGUE_SEV_VC_KEPT});
    frame.rax = 0x400;
    EXPECT_EQ(run(VC_DR7_WRITE, {0x0f, 0x23, 0xf8}), 0u) << "another feature";
    prologue_sev_state.status ^= 1 << 11 | 1 << 7;
    EXPECT_EQ(end(VC_DR7_WRITE, {0x0f, 0x23, 0xf8}), unsigned{PROLOGUE_SEV_VC_KEPT});
    EXPECT_EQ(end(VC_DR7_READ, {0x0f, 0x21, 0xf8}), unsigned{PROLOGUE_SEV_VC_KEPT});
    EXPECT_EQ(run(VC_RDTSC, {0x0f, 0x31}), 0u);
}

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
    prologue_sev_state.busy = 0;
    frame.rdi = kDevice + 0x1000;
    EXPECT_EQ(end(VC_NESTED_FAULT, {0x8b, 0x07}), unsigned{PROLOGUE_SEV_VC_MMIO}) << "not mapped";
    prologue_sev_state.busy = 0;
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

TEST(Registers, AreNumberedAsTheirEncoding) {
    Frame64 frame = {};
    uint64_t* const wanted[] = {&frame.rax, &frame.rcx, &frame.rdx, &frame.rbx, &frame.rsp,
                                &frame.rbp, &frame.rsi, &frame.rdi, &frame.r8,  &frame.r9,
                                &frame.r10, &frame.r11, &frame.r12, &frame.r13, &frame.r14,
                                &frame.r15};
    for (uint8_t i = 0; i != 16; ++i)
        EXPECT_EQ(&register_of(frame, i), wanted[i]) << unsigned{i};
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

}  // namespace
}  // namespace prologue::test
