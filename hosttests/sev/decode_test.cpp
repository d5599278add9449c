// The decoder of #VC: instructions as bytes, what they are and how long.
#include "vc_fixture.h"
#include "vc_memory.h"

#include <sys/mman.h>

#include <random>

namespace prologue::test {
namespace {

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
    {{0x26, 0x8b, 0x07}, Op::load, 4}, // ES, CS, SS, DS: flat
    {{0x2e, 0x8b, 0x07}, Op::load, 4},
    {{0x36, 0x8b, 0x07}, Op::load, 4},
    {{0x3e, 0x8b, 0x07}, Op::load, 4},
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
        {0x90},
        {0xf0, 0x89, 0x07},
        {0xf3, 0x0f, 0x01, 0xd9},
        {0x0f, 0x01, 0xd8},
        {0x89, 0xc8},
        {0xc7, 0x0f, 0, 0, 0, 0},
        {0x0f, 0x21, 0xf0},
        {0x44, 0x0f, 0x21, 0xf8},
        {0x87, 0x07},
        {0x01, 0x07},
        {0x0f, 0x38, 0xf0, 0x07},
        {0xa4},
        Bytes(15, 0x66),
    };
    for (const Bytes& bytes : others)
        EXPECT_EQ(decoded(bytes).op, Op::none) << testing::PrintToString(bytes);
}

// APM vol. 3, 1.1: a longer one is a #GP.
TEST(Decode, TheLongestHaveFifteenBytes) {
    Bytes bytes(13, 0x66);
    bytes.insert(bytes.end(), {0x0f, 0xa2, 0x0f});
    EXPECT_EQ(decode(bytes.data()).op, Op::cpuid);
    EXPECT_EQ(decode(bytes.data()).length, 15u);
    bytes.insert(bytes.begin(), 0x66);
    EXPECT_EQ(decode(bytes.data()).op, Op::none);
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
    i = decoded({0x40, 0x66, 0x88, 0x27});
    EXPECT_TRUE(i.high_byte) << "a REX that does not count";
    i = decoded({0x64, 0x67, 0x8b, 0x05, 0xff, 0xff, 0xff, 0xff});
    EXPECT_EQ(i.memory.base, kRipRegister);
    EXPECT_EQ(i.segment, SegmentBase::fs);
    EXPECT_EQ(i.address_bytes, 4);
    i = decoded({0xa1, 0, 0, 0, 0xc0, 0xff, 0xff, 0xff, 0xff});
    EXPECT_TRUE(i.has_memory);
    EXPECT_EQ(i.reg, 0);
    EXPECT_EQ(i.memory.displacement, -0x40000000);
    i = decoded({0x48, 0x66, 0x89, 0x0f}); // REX counts only right before the opcode
    EXPECT_EQ(i.bytes, 2);
}

// APM vol. 3, tables 1-10 to 1-15: every ModRM and SIB, with each REX.
TEST(Decode, EveryModRmAndSibIsThatOfTheManual) {
    for (unsigned rex = 0x40; rex != 0x50; ++rex) {
        const auto with = [rex](unsigned bit, unsigned number) {
            return number + ((rex & bit) != 0 ? 8 : 0);
        };
        for (unsigned modrm = 0; modrm != 0xc0; ++modrm) {
            const unsigned mod = modrm / 64, reg = modrm / 8 % 8, rm = modrm % 8;
            for (unsigned sib = 0; sib != (rm == 4 ? 256 : 1); ++sib) {
                Bytes bytes = {uint8_t(rex), 0x8b, uint8_t(modrm)};
                if (rm == 4)
                    bytes.push_back(uint8_t(sib));
                const unsigned low = rm == 4 ? sib % 8 : rm;
                const bool no_base = mod == 0 && low == 5;
                const size_t before = bytes.size();
                bytes.resize(before + (mod == 1 ? 1 : mod == 2 || no_base ? 4 : 0), 0x81);
                const Instruction i = decoded(bytes);
                ASSERT_EQ(i.op, Op::load);
                ASSERT_EQ(i.length, bytes.size());
                ASSERT_EQ(i.bytes, with(8, 0) == 8 ? 8 : 4);
                ASSERT_EQ(i.reg, with(4, reg));
                ASSERT_EQ(i.memory.base, !no_base  ? with(1, low)
                                         : rm == 4 ? unsigned{kNoRegister}
                                                   : unsigned{kRipRegister});
                const unsigned index = rm == 4 ? with(2, sib / 8 % 8) : unsigned{kNoRegister};
                ASSERT_EQ(i.memory.index, index == 4 ? unsigned{kNoRegister} : index);
                ASSERT_EQ(i.memory.shift, rm == 4 ? sib / 64 : 0);
                const size_t displacement = bytes.size() - before;
                ASSERT_EQ(i.memory.displacement, displacement == 0   ? 0
                                                 : displacement == 1 ? int8_t(0x81)
                                                                     : int32_t(0x81818181));
            }
        }
    }
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
    std::fill_n(pages + 4096 - 15, 15, 0x66); // more prefixes than an instruction has bytes
    EXPECT_EQ(decode(pages + 4096 - 15).op, Op::none);
    munmap(pages, 8192);
}

TEST(Registers, AreNumberedAsTheirEncoding) {
    Frame64 frame = {};
    uint64_t* const wanted[] = {&frame.rax, &frame.rcx, &frame.rdx, &frame.rbx,
                                &frame.rsp, &frame.rbp, &frame.rsi, &frame.rdi,
                                &frame.r8,  &frame.r9,  &frame.r10, &frame.r11,
                                &frame.r12, &frame.r13, &frame.r14, &frame.r15};
    for (uint8_t i = 0; i != 16; ++i)
        EXPECT_EQ(&register_of(frame, i), wanted[i]) << unsigned{i};
}

} // namespace
} // namespace prologue::test
