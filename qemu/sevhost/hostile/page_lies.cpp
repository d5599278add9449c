// Lies by the GHCB page, and what is read through it.
#include <string.h>

#include "hostile.h"
#include "intercepts.h"
#include "svm_exits.h"
#include "vmcb.h"

namespace sevhost {
namespace {

constexpr uint64_t kNoise = 0xa5c3f00dbeef5aa5;

void set_result(GhcbPage& page, uint64_t info1, uint64_t info2) {
    page.set(ghcb_at::kExitInfo1, info1);
    page.set(ghcb_at::kExitInfo2, info2);
}

void invalidate(GhcbPage& page, unsigned offset) {
    const unsigned bit = offset / 8;
    page.bytes()[ghcb_at::kValidBitmap + bit / 8] &= static_cast<uint8_t>(~(1u << bit % 8));
}

void put(GhcbPage& page, unsigned offset, uint64_t value) {
    memcpy(page.bytes() + offset, &value, sizeof value);
}

// A page of the guest's that is not the host's to name.
GuestPhys page_of_stack(const Guest& guest) {
    return guest.gprs[rsp] & ~(kPageBytes - 1);
}

void unknown_result(Guest&, uint64_t, GhcbPage& page) {
    set_result(page, 5, 0);
}

void malformed_result(Guest&, uint64_t, GhcbPage& page) {
    set_result(page, kGhcbMalformed, static_cast<uint64_t>(Malformed::invalid_input));
}

// Bits 63:32 of SW_EXITINFO1 are no result (56421, 4.1).
void result_in_upper_half(Guest&, uint64_t, GhcbPage& page) {
    put(page, ghcb_at::kExitInfo1, uint64_t{1} << 32);
}

template <uint64_t event>
void exception_result(Guest&, uint64_t, GhcbPage& page) {
    set_result(page, kGhcbException, event);
}
constexpr uint64_t kPageFault = kEventValid | kEventException | kEventHasErrorCode | kVectorPf;
constexpr uint64_t kInterrupt80 = kEventValid | 0x80;
constexpr uint64_t kNoEvent = kEventException | kVectorGp;
constexpr uint64_t kGp = kEventValid | kEventException | kEventHasErrorCode | kVectorGp;

void no_valid_bits(Guest&, uint64_t, GhcbPage& page) {
    page.invalidate_all();
}

void result_not_valid(Guest&, uint64_t, GhcbPage& page) {
    invalidate(page, ghcb_at::kExitInfo1);
}

void cpuid_half_valid(Guest&, uint64_t code, GhcbPage& page) {
    if (code == exit::kCpuid)
        invalidate(page, ghcb_at::kRbx);
}

// What the host has no business to return is noise, and marked valid.
void garbage_beside(Guest&, uint64_t code, GhcbPage& page) {
    for (unsigned offset = 0; offset != ghcb_at::kValidBitmap; offset += 8) {
        const bool answer = offset == ghcb_at::kExitInfo1 || offset == ghcb_at::kExitInfo2 ||
                            offset == ghcb_at::kRax || offset == ghcb_at::kRbx ||
                            offset == ghcb_at::kRcx || offset == ghcb_at::kRdx;
        if (!answer)
            page.set(offset, kNoise ^ code);
    }
}

void zero_all(Guest&, uint64_t, GhcbPage& page) {
    memset(page.bytes(), 0, kPageBytes);
}

void ones_all(Guest&, uint64_t, GhcbPage& page) {
    memset(page.bytes(), 0xff, kPageBytes);
}

void move_scratch(Guest& guest, uint64_t, GhcbPage& page) {
    page.set(ghcb_at::kScratch, page_of_stack(guest));
}

void scratch_outside(Guest& guest, uint64_t, GhcbPage& page) {
    page.set(ghcb_at::kScratch, guest.ghcb_msr + kPageBytes);
}

void change_request(Guest&, uint64_t code, GhcbPage& page) {
    page.set(ghcb_at::kExitCode, code == exit::kIoio ? exit::kMsr : exit::kIoio);
    page.set(ghcb_at::kRcx, kNoise);
}

void change_version(Guest&, uint64_t, GhcbPage& page) {
    constexpr uint8_t kOther = 0xee;
    memset(page.bytes() + ghcb_at::kVersion, kOther, kPageBytes - ghcb_at::kVersion);
}

void cpuid_upper_halves(Guest&, uint64_t code, GhcbPage& page) {
    if (code != exit::kCpuid)
        return;
    constexpr unsigned kRegisters[] = {ghcb_at::kRax, ghcb_at::kRbx, ghcb_at::kRcx, ghcb_at::kRdx};
    for (const unsigned at : kRegisters)
        put(page, at, page.get(at) | ~uint64_t{0} << 32);
}

void io_upper_bits(Guest&, uint64_t code, GhcbPage& page) {
    if (code == exit::kIoio && page.valid(ghcb_at::kRax))
        put(page, ghcb_at::kRax, page.get(ghcb_at::kRax) | ~uint64_t{0} << 32);
}

void io_garbage(Guest&, uint64_t code, GhcbPage& page) {
    if (code == exit::kIoio && page.valid(ghcb_at::kRax))
        put(page, ghcb_at::kRax, page.get(ghcb_at::kRax) ^ 0x5a);
}

void string_counts(Guest&, uint64_t code, GhcbPage& page) {
    if (code != exit::kIoio)
        return;
    page.set(ghcb_at::kRcx, ~uint64_t{0});
    put(page, ghcb_at::kExitInfo2, ~uint64_t{0});
}

void mmio_garbage(Guest&, uint64_t code, GhcbPage& page) {
    if (code == nae::kMmioRead)
        put(page, ghcb_at::kSharedBuffer, page.get(ghcb_at::kSharedBuffer) ^ kNoise);
}

void msr_garbage(Guest&, uint64_t code, GhcbPage& page) {
    if (code == exit::kMsr && page.valid(ghcb_at::kRax))
        put(page, ghcb_at::kRax, page.get(ghcb_at::kRax) ^ 0xf000);
}

void tsc_backwards(Guest&, uint64_t code, GhcbPage& page) {
    static uint64_t tsc = ~uint64_t{0} >> 8;
    if (code != exit::kRdtsc && code != exit::kRdtscp)
        return;
    tsc -= 1u << 20;
    put(page, ghcb_at::kRax, tsc & 0xffffffff);
    put(page, ghcb_at::kRdx, tsc >> 32);
}

// vmm serves neither, and ends the VM at such a request.
void intercept_served_tsc(Guest& guest) {
    if (guest.profile.page_events.has(exit::kRdtsc))
        intercept_tsc(guest);
}

void another_processor(Guest&, uint64_t code, GhcbPage& page) {
    if (code == exit::kRdtscp)
        put(page, ghcb_at::kRcx, page.get(ghcb_at::kRcx) ^ 0x5a);
}

void jump_table_elsewhere(Guest& guest, uint64_t code, GhcbPage& page) {
    if (code == nae::kApJumpTable)
        put(page, ghcb_at::kExitInfo2, page_of_stack(guest));
}

void attestation_sizes(Guest&, uint64_t code, GhcbPage& page) {
    if (code == nae::kExtendedGuestRequest)
        page.set(ghcb_at::kRbx, ~uint64_t{0});
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "ghcb-unknown-result", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: SW_EXITINFO1 says what is not defined",
     .ghcb_response = unknown_result},
    {.name = "ghcb-malformed-result", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: its request was well formed", .ghcb_response = malformed_result},
    {.name = "ghcb-result-in-upper-half", .kind = harmless, .guests = kOnBoth,
     .right_guest = "looks at bits 31:0 only, as the document says",
     .ghcb_response = result_in_upper_half},
    {.name = "ghcb-exception-page-fault", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: only #GP and #UD are believable",
     .ghcb_response = exception_result<kPageFault>},
    {.name = "ghcb-exception-interrupt", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: it is no exception",
     .ghcb_response = exception_result<kInterrupt80>},
    {.name = "ghcb-exception-not-valid", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: the event is not marked valid",
     .ghcb_response = exception_result<kNoEvent>},
    {.name = "ghcb-exception-gp", .kind = denial, .guests = kOnBoth,
     .right_guest = "takes the #GP, which its own instruction could have raised",
     .ghcb_response = exception_result<kGp>},
    {.name = "ghcb-no-valid-bits", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: no field is marked valid", .ghcb_response = no_valid_bits},
    {.name = "ghcb-result-not-valid", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: SW_EXITINFO1 is not marked valid",
     .ghcb_response = result_not_valid},
    {.name = "ghcb-cpuid-half-valid", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: RBX is not marked valid", .ghcb_response = cpuid_half_valid},
    {.name = "ghcb-garbage-beside", .kind = harmless, .guests = kOnBoth,
     .right_guest = "takes what the event returns, and nothing else",
     .ghcb_response = garbage_beside},
    {.name = "ghcb-zeroed", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: no field is marked valid", .ghcb_response = zero_all},
    {.name = "ghcb-ones", .kind = detected, .guests = kOnBoth,
     .right_guest = "terminates: SW_EXITINFO1 says what is not defined",
     .ghcb_response = ones_all},
    {.name = "ghcb-scratch-moved", .kind = harmless, .guests = kOnBoth,
     .right_guest = "reads its buffer where it has put it", .ghcb_response = move_scratch},
    {.name = "ghcb-scratch-outside", .kind = harmless, .guests = kOnBoth,
     .right_guest = "reads its buffer where it has put it", .ghcb_response = scratch_outside},
    {.name = "ghcb-request-changed", .kind = harmless, .guests = kOnBoth,
     .right_guest = "knows itself what it asked", .ghcb_response = change_request},
    {.name = "ghcb-version-changed", .kind = harmless, .guests = kOnBoth,
     .right_guest = "writes version and usage before each request",
     .ghcb_response = change_version},
    {.name = "ghcb-cpuid-upper-halves", .kind = harmless, .guests = kOnBoth,
     .right_guest = "takes 32 bits of each register", .ghcb_response = cpuid_upper_halves},
    {.name = "ghcb-io-upper-bits", .kind = harmless, .guests = kOnBoth,
     .right_guest = "takes as many bits as it asked for", .ghcb_response = io_upper_bits},
    {.name = "ghcb-string-counts", .kind = harmless, .guests = kOnBoth,
     .right_guest = "counts itself", .ghcb_response = string_counts},
    {.name = "io-garbage", .kind = not_detectable, .guests = kOnBoth,
     .right_guest = "believes it: devices are the host's", .ghcb_response = io_garbage},
    {.name = "mmio-garbage", .kind = not_detectable, .guests = kOnBoth,
     .right_guest = "believes it: devices are the host's", .ghcb_response = mmio_garbage},
    {.name = "msr-garbage", .kind = not_detectable, .guests = kOnBoth,
     .right_guest = "believes it: MSRs that go through the host are the host's",
     .ghcb_response = msr_garbage},
    {.name = "tsc-backwards", .kind = not_detectable, .guests = kOnBoth,
     .right_guest = "believes it: without Secure TSC time is the host's",
     .at_launch = intercept_served_tsc, .ghcb_response = tsc_backwards},
    {.name = "tsc-of-another-processor", .kind = harmless, .guests = kOnBoth,
     .right_guest = "knows TSC_AUX, which the processor keeps",
     .at_launch = intercept_served_tsc, .ghcb_response = another_processor},
    {.name = "jump-table-elsewhere", .kind = harmless, .guests = kOnEs,
     .right_guest = "does not ask, or checks where it is",
     .ghcb_response = jump_table_elsewhere},
    {.name = "attestation-sizes", .kind = harmless, .guests = kOnSnp,
     .right_guest = "knows how long its own buffer is", .ghcb_response = attestation_sizes},
};
// clang-format on

} // namespace

const HostileTable kLiesByPage = hostile_table(kEntries);

} // namespace sevhost
