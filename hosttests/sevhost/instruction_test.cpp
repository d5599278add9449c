// The decoder: lengths against the assembler's, operations and operands by hand.
#include "instruction.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace sevhost {
namespace {

struct AssembledCase {
    uint64_t bits, length;
    const uint8_t* bytes;
    const char* text;
};
extern "C" const AssembledCase instruction_cases[], instruction_cases_end[];

CodeBits bits_of(const AssembledCase& c) {
    return c.bits == 16 ? CodeBits::code16 : c.bits == 32 ? CodeBits::code32 : CodeBits::code64;
}

std::string str(const AssembledCase& c) {
    return "in " + std::to_string(c.bits) + "-bit code: " + c.text;
}

Instruction decode_all(std::initializer_list<uint8_t> bytes, CodeBits bits = CodeBits::code64) {
    return decode(bytes.begin(), static_cast<unsigned>(bytes.size()), bits);
}

TEST(SevInstruction, HasTheLengthThatTheAssemblerGaveIt) {
    ASSERT_GT(instruction_cases_end - instruction_cases, 150);
    for (const AssembledCase* c = instruction_cases; c != instruction_cases_end; ++c) {
        std::vector<uint8_t> bytes(c->bytes, c->bytes + c->length);
        bytes.resize(15, 0x90);
        EXPECT_EQ(decode(bytes.data(), 15, bits_of(*c)).length, c->length) << str(*c);
    }
}

TEST(SevInstruction, IsNotDecodedWhereAByteIsMissing) {
    for (const AssembledCase* c = instruction_cases; c != instruction_cases_end; ++c)
        for (uint64_t count = 0; count != c->length; ++count) {
            const std::vector<uint8_t> exactly(c->bytes, c->bytes + count);
            EXPECT_EQ(decode(exactly.data(), static_cast<unsigned>(count), bits_of(*c)).length, 0u)
                << str(*c) << ", " << count << " bytes";
        }
}

TEST(SevInstruction, IsTheOperationThatTheHostActsOn) {
    EXPECT_EQ(decode_all({0x0f, 0xa2}).op, Op::cpuid);
    EXPECT_EQ(decode_all({0x0f, 0x32}).op, Op::rdmsr);
    EXPECT_EQ(decode_all({0x0f, 0x30}).op, Op::wrmsr);
    EXPECT_EQ(decode_all({0xf4}).op, Op::hlt);
    EXPECT_EQ(decode_all({0x0f, 0x06}).op, Op::clts);
    EXPECT_EQ(decode_all({0x0f, 0x01, 0xf0}).op, Op::lmsw);
    EXPECT_EQ(decode_all({0x0f, 0x01, 0x33}).op, Op::lmsw);
    EXPECT_EQ(decode_all({0x0f, 0x01, 0xfd}).op, Op::rdpru);
    EXPECT_EQ(decode_all({0xf2, 0x0f, 0x01, 0xff}).op, Op::pvalidate);
    EXPECT_EQ(decode_all({0xf3, 0x0f, 0x01, 0xfe}).op, Op::rmpadjust);
}

TEST(SevInstruction, OthersAreNone) {
    EXPECT_EQ(decode_all({0x90}).op, Op::unknown);
    EXPECT_EQ(decode_all({0x0f, 0x0b}).op, Op::unknown);
    EXPECT_EQ(decode_all({0x0f, 0x01, 0xff}).op, Op::unknown) << "PVALIDATE without F2";
    EXPECT_EQ(decode_all({0xf3, 0x0f, 0x01, 0xff}).op, Op::unknown) << "PSMASH";
    EXPECT_EQ(decode_all({0x0f, 0x01, 0xfe}).op, Op::unknown) << "INVLPGB";
    EXPECT_EQ(decode_all({0xf2, 0x0f, 0x01, 0xfe}).op, Op::unknown) << "RMPUPDATE";
    EXPECT_EQ(decode_all({0x0f, 0x01, 0x17}).op, Op::unknown) << "LGDT";
}

TEST(SevInstruction, VmgexitIsVmmcallBehindARepeatPrefix) {
    EXPECT_EQ(decode_all({0x0f, 0x01, 0xd9}).op, Op::vmmcall);
    EXPECT_EQ(decode_all({0xf3, 0x0f, 0x01, 0xd9}).op, Op::vmgexit);
    EXPECT_EQ(decode_all({0xf2, 0x0f, 0x01, 0xd9}).op, Op::vmgexit);
    EXPECT_EQ(decode_all({0x66, 0x0f, 0x01, 0xd9}).op, Op::vmmcall);
}

TEST(SevInstruction, MovOfAControlRegisterNamesBothRegisters) {
    const Instruction to = decode_all({0x0f, 0x22, 0xc1}); // mov %rcx, %cr0
    EXPECT_EQ(to.op, Op::mov_to_cr);
    EXPECT_EQ(to.control_register, 0u);
    EXPECT_EQ(to.gpr, 1u);
    const Instruction from = decode_all({0x41, 0x0f, 0x20, 0xe1}); // mov %cr4, %r9
    EXPECT_EQ(from.op, Op::mov_from_cr);
    EXPECT_EQ(from.control_register, 4u);
    EXPECT_EQ(from.gpr, 9u);
}

TEST(SevInstruction, MovOfAControlRegisterHasNoMemoryWhateverItsMod) {
    const Instruction found = decode_all({0x0f, 0x22, 0x04}); // mod 0, rm 4: no SIB follows
    EXPECT_EQ(found.length, 3u);
    EXPECT_FALSE(found.memory.present);
    EXPECT_EQ(found.gpr, 4u);
}

TEST(SevInstruction, Cr8IsReachedByRexOrByLock) {
    EXPECT_EQ(decode_all({0x44, 0x0f, 0x22, 0xc0}).control_register, 8u);
    EXPECT_EQ(decode_all({0xf0, 0x0f, 0x22, 0xc0}, CodeBits::code32).control_register, 8u);
}

TEST(SevInstruction, RexIsAnIncrementOutsideOf64BitCode) {
    EXPECT_EQ(decode_all({0x48, 0x0f, 0xa2}, CodeBits::code64).op, Op::cpuid);
    EXPECT_EQ(decode_all({0x48, 0x0f, 0xa2}, CodeBits::code32).length, 1u);
}

TEST(SevInstruction, PrefixesComeInAnyOrderAndNumber) {
    const Instruction found = decode_all({0x66, 0x2e, 0xf3, 0x67, 0x66, 0x0f, 0x01, 0xd9},
                                         CodeBits::code32);
    EXPECT_EQ(found.op, Op::vmgexit);
    EXPECT_EQ(found.length, 8u);
}

TEST(SevInstruction, VexIsNotDecoded) {
    EXPECT_EQ(decode_all({0xc5, 0xf8, 0x77, 0x90, 0x90}).length, 0u);
    EXPECT_EQ(decode_all({0xc4, 0xe2, 0x79, 0x00, 0x00, 0x90}).length, 0u);
    EXPECT_EQ(decode_all({0x62, 0xf1, 0x7c, 0x48, 0x10, 0x00}).length, 0u);
}

TEST(SevInstruction, OperandWithSibHasBaseIndexAndScale) {
    // mov 0x12(%r13,%r12,4), %eax
    const MemoryOperand m = decode_all({0x43, 0x8b, 0x44, 0xa5, 0x12}).memory;
    EXPECT_TRUE(m.present);
    EXPECT_EQ(m.base, 13);
    EXPECT_EQ(m.index, 12);
    EXPECT_EQ(m.scale, 2);
    EXPECT_EQ(m.displacement, 0x12);
    EXPECT_EQ(m.address_bytes, 8);
    EXPECT_EQ(decode_all({0x42, 0x8b, 0x04, 0x23}).memory.index, 12); // (%rbx,%r12)
    EXPECT_EQ(decode_all({0x8b, 0x04, 0x23}).memory.index, kNoRegister);
}

TEST(SevInstruction, OperandWithoutBaseIsAbsoluteOrBehindRip) {
    const MemoryOperand rip = decode_all({0x8b, 0x05, 0xfc, 0xff, 0xff, 0xff}).memory;
    EXPECT_EQ(rip.base, kRipRegister);
    EXPECT_EQ(rip.displacement, -4);
    const MemoryOperand absolute = decode_all({0x8b, 0x05, 0, 0, 0, 0x80}, CodeBits::code32).memory;
    EXPECT_EQ(absolute.base, kNoRegister);
    EXPECT_EQ(absolute.address_bytes, 4);
    const MemoryOperand sib = decode_all({0x8b, 0x04, 0x25, 4, 0, 0, 0}).memory;
    EXPECT_EQ(sib.base, kNoRegister);
    EXPECT_EQ(sib.index, kNoRegister);
    EXPECT_EQ(sib.displacement, 4);
}

TEST(SevInstruction, OperandInTheStackUsesItsSegment) {
    EXPECT_EQ(decode_all({0x8b, 0x45, 0}).memory.segment, kSegSs);                   // 0(%rbp)
    EXPECT_EQ(decode_all({0x8b, 0x04, 0x24}).memory.segment, kSegSs);                // (%rsp)
    EXPECT_EQ(decode_all({0x8b, 0x00}).memory.segment, kSegDs);                      // (%rax)
    EXPECT_EQ(decode_all({0x65, 0x8b, 0x45, 0}).memory.segment, kSegGs);             // %gs:0(%rbp)
    EXPECT_EQ(decode_all({0x8a, 0x46, 0}, CodeBits::code16).memory.segment, kSegSs); // (%bp)
    EXPECT_EQ(decode_all({0x8a, 0x05}, CodeBits::code16).memory.segment, kSegDs);    // (%di)
}

TEST(SevInstruction, RegisterOperandIsNoMemory) {
    EXPECT_FALSE(decode_all({0x8b, 0xc1}).memory.present);
}

TEST(SevInstruction, AddressOfTheAccumulatorsMovIsAsWideAsAddressesAre) {
    const Instruction wide = decode_all({0xa1, 8, 7, 6, 5, 4, 3, 2, 1});
    EXPECT_EQ(wide.length, 9u);
    EXPECT_EQ(wide.memory.displacement, 0x0102030405060708);
    const Instruction narrow = decode_all({0x67, 0xa1, 4, 3, 2, 1});
    EXPECT_EQ(narrow.length, 6u);
    EXPECT_EQ(narrow.memory.address_bytes, 4);
}

TEST(SevInstruction, StringsReachBySiAndDi) {
    const Instruction movs = decode_all({0xf3, 0xa4});
    EXPECT_TRUE(movs.at_rsi && movs.at_rdi);
    const Instruction stos = decode_all({0xaa});
    EXPECT_TRUE(!stos.at_rsi && stos.at_rdi);
    const Instruction outs = decode_all({0x64, 0x6e}, CodeBits::code32);
    EXPECT_TRUE(outs.at_rsi && !outs.at_rdi);
    EXPECT_EQ(outs.memory.segment, kSegFs);
    EXPECT_EQ(outs.memory.address_bytes, 4);
    const Instruction nop = decode_all({0x90});
    EXPECT_TRUE(!nop.at_rsi && !nop.at_rdi);
}

} // namespace
} // namespace sevhost
