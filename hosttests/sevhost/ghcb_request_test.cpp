// Requests by the GHCB page: what each event needs, and what is refused with which reason
// (AMD 56421, 4.1). The codes are the specification's, not the host's.
#include "ghcb_fields.h"
#include "ghcb_request.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace sevhost::test {
namespace {

constexpr uint64_t kMmioRead = 0x80000001, kMmioWrite = 0x80000002, kNmiComplete = 0x80000003,
                   kApResetHold = 0x80000004, kApJumpTable = 0x80000005, kPageState = 0x80000010,
                   kGuestRequest = 0x80000011, kExtendedGuestRequest = 0x80000012,
                   kApCreation = 0x80000013, kHvDoorbell = 0x80000014, kFeatures = 0x8000fffd,
                   kTerminate = 0x8000fffe, kUnsupported = 0x8000ffff;
constexpr uint64_t kOutByte = 0x00e90010, kInWord = 0x00e90021, kInLong = 0x00e90041,
                   kOutString = 0x00e90214, kRepOutString = 0x00e9021c;

Malformed read(FilledPage& page, GhcbRequest& request) {
    return read_ghcb_request(GhcbPage(page.bytes.data()), request);
}
Malformed read(FilledPage page) {
    GhcbRequest request;
    return read(page, request);
}

// The event with what it needs, and how it is refused without each of it.
struct Needs {
    uint64_t code, info1, info2;
    std::initializer_list<Field> fields;
};
const Needs kEvents[] = {
    {0x27, 0, 0, {}},                     // DR7 read
    {0x37, 0, 0, {kFieldRax}},            // DR7 write
    {0x6e, 0, 0, {}},                     // RDTSC
    {0x6f, 0, 0, {kFieldRcx}},            // RDPMC
    {0x72, 0, 0, {kFieldRax, kFieldRcx}}, // CPUID
    {0x76, 0, 0, {}},                     // INVD
    {0x7b, kOutByte, 0, {kFieldRax}},     // IOIO
    {0x7b, kInWord, 0, {}},
    {0x7b, kOutString, 0, {kFieldScratch}},
    {0x7b, kRepOutString, 16, {kFieldScratch}},
    {0x7c, 0, 0, {kFieldRcx}},                       // RDMSR
    {0x7c, 1, 0, {kFieldRax, kFieldRcx, kFieldRdx}}, // WRMSR
    {0x81, 0, 0, {kFieldRax, kFieldCpl}},            // VMMCALL
    {0x87, 0, 0, {}},                                // RDTSCP
    {0x89, 0, 0, {}},                                // WBINVD
    {0x8a, 0, 0, {kFieldRax, kFieldRcx, kFieldRdx}}, // MONITOR
    {0x8b, 0, 0, {kFieldRax, kFieldRcx}},            // MWAIT
    {kMmioRead, 0xfee00000, 4, {kFieldScratch}},
    {kMmioWrite, 0xfee00000, 4, {kFieldScratch}},
    {kNmiComplete, 0, 0, {}},
    {kApResetHold, 0, 0, {}},
    {kApJumpTable, 1, 0, {}},
    {kPageState, 0, 0, {kFieldScratch}},
    {kGuestRequest, 0x1000, 0x2000, {}},
    {kExtendedGuestRequest, 0x1000, 0x2000, {}},
    {kApCreation, 1, 0, {kFieldRax}},
    {kApCreation, 2, 0, {}}, // destruction takes no VMSA's features
    {kHvDoorbell, 1, 0x1000, {}},
    {kFeatures, 0, 0, {}},
    {kTerminate, 0, 0, {}},
    {kUnsupported, 0x99, 0, {}},
};

FilledPage page_of(const Needs& event) {
    FilledPage page(event.code, event.info1, event.info2);
    for (const Field field : event.fields)
        page.set(field, 0);
    return page;
}

TEST(SevGhcbRequest, EachEventIsServedWithWhatItNeeds) {
    for (const Needs& event : kEvents) {
        FilledPage page = page_of(event);
        GhcbRequest request;
        EXPECT_EQ(read(page, request), Malformed::nothing) << std::hex << event.code;
        EXPECT_EQ(request.code, event.code);
        EXPECT_EQ(request.info1, event.info1);
        EXPECT_EQ(request.info2, event.info2);
    }
}

TEST(SevGhcbRequest, EachEventIsRefusedWithoutOneOfThem) {
    for (const Needs& event : kEvents)
        for (const Field field : event.fields)
            EXPECT_EQ(read(page_of(event).invalidate(field)),
                      field == kFieldScratch ? Malformed::scratch : Malformed::missing_input)
                << std::hex << event.code << " without " << field;
}

TEST(SevGhcbRequest, CodeAndInformationAreAlwaysNeeded) {
    for (const Needs& event : kEvents)
        for (const Field field : {kFieldExitCode, kFieldExitInfo1, kFieldExitInfo2})
            EXPECT_EQ(read(page_of(event).invalidate(field)), Malformed::missing_input)
                << std::hex << event.code << " without " << field;
}

TEST(SevGhcbRequest, CpuidOfTheExtendedStateNeedsXcr0) {
    FilledPage page(0x72);
    page.set(kFieldRax, 0xd).set(kFieldRcx, 1);
    EXPECT_EQ(read(page), Malformed::missing_input);
    EXPECT_EQ(read(page.set(kFieldXcr0, 7)), Malformed::nothing);
}

TEST(SevGhcbRequest, OtherCodesAreNoEvents) {
    for (uint64_t code = 0; code != 0x500; ++code) {
        bool known = false;
        for (const Needs& event : kEvents)
            known |= event.code == code;
        if (!known)
            EXPECT_EQ(read(FilledPage(code)), Malformed::invalid_event) << std::hex << code;
    }
    EXPECT_EQ(read(FilledPage(kMmioRead | uint64_t{1} << 32)), Malformed::invalid_event);
    EXPECT_EQ(read(FilledPage(0x80000015)), Malformed::invalid_event);
}

TEST(SevGhcbRequest, UsageMustBeZero) {
    for (const unsigned byte : {0u, 1u, 2u, 3u}) {
        FilledPage page(0x6e);
        page.bytes[kFieldUsage + byte] = 1;
        EXPECT_EQ(read(page), Malformed::usage);
    }
}

// No host looks at it; it is told of.
TEST(SevGhcbRequest, VersionIsNoReasonToRefuse) {
    for (const unsigned version : {0u, 1u, 2u, 3u, 0x102u}) {
        GhcbRequest request;
        FilledPage page(0x6e, 0, 0, static_cast<uint16_t>(version));
        EXPECT_EQ(read_ghcb_request(GhcbPage(page.bytes.data()), request), Malformed::nothing);
        EXPECT_EQ(is_of_version(request), version == 1 || version == 2) << version;
    }
}

TEST(SevGhcbRequest, EventsOfVersion2AreNoneOfVersion1) {
    for (const Needs& event : kEvents) {
        FilledPage page = page_of(event);
        page.bytes[kFieldVersion] = 1;
        const bool second = event.code >= 0x80000010 && event.code != kUnsupported;
        GhcbRequest request;
        EXPECT_EQ(read_ghcb_request(GhcbPage(page.bytes.data()), request), Malformed::nothing);
        EXPECT_EQ(is_of_version(request), !second) << std::hex << event.code;
    }
}

TEST(SevGhcbRequest, WhatIsNotMarkedValidDoesNotExist) {
    FilledPage page(0x6e);
    for (const Field field :
         {kFieldRax, kFieldRcx, kFieldRdx, kFieldRbx, kFieldScratch, kFieldXcr0, kFieldCpl})
        page.write(field, ~uint64_t{0});
    GhcbRequest r;
    EXPECT_EQ(read(page, r), Malformed::nothing);
    EXPECT_EQ(r.rax | r.rcx | r.rdx | r.rbx | r.scratch | r.xcr0 | r.cpl, 0u);
    EXPECT_FALSE(r.has_scratch);
}

TEST(SevGhcbRequest, WhatIsMarkedValidIsRead) {
    FilledPage page(0x6e);
    page.set(kFieldRax, 1).set(kFieldRcx, 2).set(kFieldRdx, 3).set(kFieldRbx, 4);
    page.set(kFieldScratch, 5).set(kFieldXcr0, 6).set(kFieldCpl, 3);
    GhcbRequest r;
    EXPECT_EQ(read(page, r), Malformed::nothing);
    EXPECT_EQ(r.rax, 1u);
    EXPECT_EQ(r.rcx, 2u);
    EXPECT_EQ(r.rdx, 3u);
    EXPECT_EQ(r.rbx, 4u);
    EXPECT_EQ(r.scratch, 5u);
    EXPECT_EQ(r.xcr0, 6u);
    EXPECT_EQ(r.cpl, 3);
    EXPECT_TRUE(r.has_scratch);
}

TEST(SevGhcbRequest, PortAccessIsTakenApart) {
    GhcbRequest r;
    r.info1 = 0x03f8'0000 | 0x220 | 0x0c; // REP OUTSW with 32-bit addresses
    r.info2 = 7;
    const PortRequest out = port_request(r);
    EXPECT_EQ(out.port, 0x3f8);
    EXPECT_EQ(out.bytes, 2u);
    EXPECT_FALSE(out.in);
    EXPECT_TRUE(out.string);
    EXPECT_EQ(out.count, 7u);
    r.info1 = kInLong;
    const PortRequest in = port_request(r);
    EXPECT_EQ(in.bytes, 4u);
    EXPECT_TRUE(in.in);
    EXPECT_FALSE(in.string);
    EXPECT_EQ(in.count, 1u) << "without REP, whatever the count says";
}

TEST(SevGhcbRequest, PortAccessMustBeOneThatThereIs) {
    auto port = [](uint64_t info1, uint64_t info2 = 0) {
        FilledPage page(0x7b, info1, info2);
        return read(page.set(kFieldRax, 0).set(kFieldScratch, 0x800));
    };
    EXPECT_EQ(port(kOutByte), Malformed::nothing);
    EXPECT_EQ(port(kOutByte & ~0x70ull), Malformed::invalid_input) << "no size";
    EXPECT_EQ(port(kOutByte | 0x20), Malformed::invalid_input) << "two sizes";
    EXPECT_EQ(port(kOutByte | 2), Malformed::invalid_input) << "bit 1";
    EXPECT_EQ(port(kOutByte | 1 << 13), Malformed::invalid_input) << "bit 13";
    EXPECT_EQ(port(kOutByte | uint64_t{1} << 32), Malformed::invalid_input) << "bit 32";
    EXPECT_EQ(port(kOutString & ~0x200ull), Malformed::invalid_input) << "a string, no address";
    EXPECT_EQ(port(kOutString | 0x100), Malformed::invalid_input) << "two sizes of address";
    EXPECT_EQ(port(kRepOutString, 16384), Malformed::nothing);
    EXPECT_EQ(port(kRepOutString, 16385), Malformed::invalid_input) << "too long";
    EXPECT_EQ(port(kRepOutString, ~uint64_t{0}), Malformed::invalid_input);
}

TEST(SevGhcbRequest, InputsAreHeldAgainstTheirRange) {
    auto with_scratch = [](uint64_t code, uint64_t info1, uint64_t info2) {
        return read(FilledPage(code, info1, info2).set(kFieldScratch, 0x800));
    };
    EXPECT_EQ(with_scratch(kMmioRead, 0, 0), Malformed::invalid_input) << "no bytes";
    EXPECT_EQ(with_scratch(kMmioRead, 0, 0x7f0), Malformed::nothing) << "all of the buffer";
    EXPECT_EQ(with_scratch(kMmioWrite, 0, 0x7f1), Malformed::invalid_input);
    EXPECT_EQ(read(FilledPage(0x7c, 2).set(kFieldRcx, 0)), Malformed::invalid_input)
        << "neither RDMSR nor WRMSR";
    EXPECT_EQ(read(FilledPage(kApJumpTable, 2)), Malformed::invalid_input);
    EXPECT_EQ(read(FilledPage(kGuestRequest, 0x1001, 0x2000)), Malformed::invalid_input);
    EXPECT_EQ(read(FilledPage(kGuestRequest, 0x1000, 0x2008)), Malformed::invalid_input);
    EXPECT_EQ(read(FilledPage(kGuestRequest, 0x1000, 0x1000)), Malformed::invalid_input);
}

TEST(SevGhcbRequest, PageIsNotWritten) {
    FilledPage page(0x6e);
    const std::vector<uint8_t> before = page.bytes;
    GhcbRequest request;
    EXPECT_EQ(read(page, request), Malformed::nothing);
    EXPECT_EQ(page.bytes, before);
}

TEST(SevGhcbScratch, LiesInThePagesBufferOrOutsideThePage) {
    constexpr uint64_t kPage = 0x5000;
    GhcbRequest r;
    r.has_scratch = true;
    auto place = [&](uint64_t at, uint64_t bytes) {
        r.scratch = at;
        return scratch_place(r, kPage, bytes);
    };
    EXPECT_EQ(place(kPage + 0x800, 0x7f0), ScratchPlace::inside);
    EXPECT_EQ(place(kPage + 0x800, 0x7f1), ScratchPlace::misplaced) << "into version and usage";
    EXPECT_EQ(place(kPage + 0x7ff, 1), ScratchPlace::misplaced) << "into the save area";
    EXPECT_EQ(place(kPage, 8), ScratchPlace::misplaced);
    EXPECT_EQ(place(kPage - 4, 8), ScratchPlace::misplaced) << "into the page from below";
    EXPECT_EQ(place(kPage - 8, 8), ScratchPlace::elsewhere);
    EXPECT_EQ(place(kPage + 0xfff, 1), ScratchPlace::misplaced);
    EXPECT_EQ(place(kPage + 0x1000, 8), ScratchPlace::elsewhere);
    EXPECT_EQ(place(~uint64_t{0} - 3, 8), ScratchPlace::misplaced) << "wraps";
    r.has_scratch = false;
    EXPECT_EQ(place(kPage + 0x800, 8), ScratchPlace::missing);
}

} // namespace
} // namespace sevhost::test
