// The GHCB MSR's protocol: requests taken apart, responses put together; the numbers are
// spelt again from AMD's specification (56421, 2.3.1).
#include "ghcb_msr_protocol.h"

#include <gtest/gtest.h>

namespace sevhost {
namespace {

bool is_right(uint64_t value, bool snp = true) {
    return parse_ghcb_msr(value, snp).wrong == WrongMsrRequest::nothing;
}

TEST(SevGhcbMsr, CpuidNamesLeafAndRegister) {
    const GhcbMsrRequest r = parse_ghcb_msr(0x8000001f'c0000004, false);
    EXPECT_EQ(r.wrong, WrongMsrRequest::nothing);
    EXPECT_EQ(r.code, 4u);
    EXPECT_EQ(r.leaf, 0x8000001fu);
    EXPECT_EQ(r.cpuid_register, 3u);
}

TEST(SevGhcbMsr, RegistrationNamesAFrame) {
    const GhcbMsrRequest r = parse_ghcb_msr(0x000fffff'ffffe012, true);
    EXPECT_EQ(r.wrong, WrongMsrRequest::nothing);
    EXPECT_EQ(r.frame, 0x000fffffffffe000u);
}

TEST(SevGhcbMsr, PageStateChangeNamesAFrameAndAnOperation) {
    const GhcbMsrRequest r = parse_ghcb_msr(0x002abcde'f0123014, true);
    EXPECT_EQ(r.wrong, WrongMsrRequest::nothing);
    EXPECT_EQ(r.frame, 0x000abcdef0123000u);
    EXPECT_EQ(r.operation, 2u);
    EXPECT_EQ(parse_ghcb_msr(0x00f00000'00000014, true).operation, 15u);
}

TEST(SevGhcbMsr, VmplAndTermination) {
    EXPECT_EQ(parse_ghcb_msr(0x00000003'00000016, true).vmpl, 3u);
    const GhcbMsrRequest end = parse_ghcb_msr(0x5af100, false);
    EXPECT_EQ(end.wrong, WrongMsrRequest::nothing);
    EXPECT_EQ(end.set, 0xfu);
    EXPECT_EQ(end.reason, 0x5au);
}

TEST(SevGhcbMsr, TheEndOfAHoldSaysWhetherASipiHasCome) {
    EXPECT_EQ(hold_response(0), 0x0007u);
    EXPECT_EQ(hold_response(1), 0x1007u);
}

// One bit at a time: which may be set beside the request's code.
TEST(SevGhcbMsr, ReservedBitsOfARequestAreZero) {
    struct {
        uint64_t code, may_be_set;
    } const requests[] = {
        {0x002, 0},                   // SEV information
        {0x004, 0xffffffff'c0000000}, // CPUID: leaf, register
        {0x006, 0},                   // AP reset hold
        {0x010, 0},                   // preferred address
        {0x012, 0xffffffff'fffff000}, // registration: a frame of 52 bits
        {0x014, 0x00ffffff'fffff000}, // page state: operation, frame
        {0x016, 0x000000ff'00000000}, // VMPL
        {0x080, 0},                   // features
        {0x100, 0x00000000'00fff000}, // termination: set, code
    };
    for (const auto& request : requests)
        for (unsigned bit = 12; bit != 64; ++bit) {
            const uint64_t value = request.code | uint64_t{1} << bit;
            const bool allowed = request.may_be_set >> bit & 1;
            EXPECT_EQ(is_right(value), allowed) << std::hex << value;
        }
}

TEST(SevGhcbMsr, OtherCodesAreNoRequests) {
    for (uint64_t code = 1; code != 0x1000; ++code) {
        const bool known = code == 0x002 || code == 0x004 || code == 0x006 || code == 0x010 ||
                           code == 0x012 || code == 0x014 || code == 0x016 || code == 0x080 ||
                           code == 0x100;
        EXPECT_EQ(is_right(code), known) << std::hex << code;
    }
}

TEST(SevGhcbMsr, RequestsOfSnpAreNoneOfAnotherMachine) {
    for (const uint64_t code : {0x010, 0x012, 0x014, 0x016}) {
        EXPECT_TRUE(is_right(code, true)) << code;
        EXPECT_FALSE(is_right(code, false)) << code;
    }
    for (const uint64_t code : {0x002, 0x004, 0x006, 0x080, 0x100})
        EXPECT_TRUE(is_right(code, false)) << code;
}

TEST(SevGhcbMsr, ResponsesAreAsTheSpecificationHasThem) {
    EXPECT_EQ(sev_information(2, 1, 51), 0x00020001'33000001u);
    EXPECT_EQ(cpuid_response(0x12345678, 2), 0x12345678'80000005u);
    EXPECT_EQ(error_response(0x015, 0), 0x015u);
    EXPECT_EQ(error_response(0x017, 1), 0x00000001'00000017u);
    EXPECT_EQ(features_response(1), 0x1081u);
}

} // namespace
} // namespace sevhost
