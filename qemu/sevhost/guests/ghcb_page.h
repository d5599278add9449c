// Requests by the GHCB page (AMD 56421, 2.6 and 4.1).
#pragma once

#include "ghcb.h"
#include "paging.h"

namespace field { // offsets
constexpr unsigned kCpl = 0xcb, kRax = 0x1f8, kRcx = 0x308, kRdx = 0x310, kRbx = 0x318,
                   kExitCode = 0x390, kExitInfo1 = 0x398, kExitInfo2 = 0x3a0, kScratch = 0x3a8,
                   kXcr0 = 0x3e8, kValidBitmap = 0x3f0, kSharedBuffer = 0x800, kVersion = 0xffa,
                   kUsage = 0xffc;
} // namespace field

namespace event {
constexpr uint64_t kReadDr7 = 0x27, kWriteDr7 = 0x37, kRdtsc = 0x6e, kRdpmc = 0x6f, kCpuid = 0x72,
                   kInvd = 0x76, kIoio = 0x7b, kMsr = 0x7c, kVmmcall = 0x81, kRdtscp = 0x87,
                   kWbinvd = 0x89, kMonitor = 0x8a, kMwait = 0x8b, kMmioRead = 0x80000001,
                   kMmioWrite = 0x80000002, kNmiComplete = 0x80000003, kApResetHold = 0x80000004,
                   kApJumpTable = 0x80000005, kPageStateChange = 0x80000010,
                   kGuestRequest = 0x80000011, kExtendedGuestRequest = 0x80000012,
                   kApCreation = 0x80000013, kApicIds = 0x80000017, kFeatures = 0x8000fffd,
                   kUnsupported = 0x8000ffff;
} // namespace event

// What SW_EXITINFO1 says on return, and SW_EXITINFO2 where it says that the input is malformed
constexpr uint64_t kDone = 0, kException = 1, kMalformed = 2;
constexpr uint64_t kNotRegistered = 1, kBadUsage = 2, kBadScratch = 3, kMissingInput = 4,
                   kInvalidInput = 5, kInvalidEvent = 6;

// IOIO's SW_EXITINFO1
constexpr uint64_t kIn = 1, kString = 4, kRep = 8, kByte = 0x10, kLongSize = 0x40,
                   kAddress32 = 0x100;
constexpr uint64_t port(uint16_t number, uint64_t what) {
    return uint64_t{number} << 16 | what;
}

struct [[gnu::aligned(kPageBytes)]] GhcbPage {
    uint8_t bytes[kPageBytes];
};
extern GhcbPage ghcb_private; // where it lies; the host never sees what is written here

// Makes the page shared, and, as SNP, registers it; the version is set, the usage 0.
void set_up_ghcb();

// Fields of the page. Setting one marks it valid.
void begin_request();
void set(unsigned offset, uint64_t value);
void mark_valid_cpl(); // a byte, which is 0
bool is_valid(unsigned offset);
uint64_t get(unsigned offset);
uint8_t* shared_buffer();         // as the guest sees it
uint64_t shared_buffer_address(); // as the host is told of it
template <typename T>
void put(unsigned offset, T value) {
    *reinterpret_cast<volatile T*>(shared(&ghcb_private)->bytes + offset) = value;
}

struct Answer {
    uint64_t info1, info2;
};
// Sends the request with what was set since begin_request.
Answer send(uint64_t code, uint64_t info1 = 0, uint64_t info2 = 0);
// The same, without a word to any field.
void send_as_it_is();

#define EXPECT_DONE(...)                                                                           \
    do {                                                                                           \
        const Answer answer_ = send(__VA_ARGS__);                                                  \
        EXPECT_EQUAL(answer_.info1, kDone);                                                        \
        EXPECT_EQUAL(answer_.info2, 0);                                                            \
    } while (false)

#define EXPECT_MALFORMED(reason, ...)                                                              \
    do {                                                                                           \
        const Answer answer_ = send(__VA_ARGS__);                                                  \
        EXPECT_EQUAL(answer_.info1, kMalformed);                                                   \
        EXPECT_EQUAL(answer_.info2, reason);                                                       \
    } while (false)
