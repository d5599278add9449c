#include "accept.h"

#include "ghcb.h"
#include "sev_state.h"

#include <stddef.h>

namespace prologue {
namespace {

constexpr uint32_t kSizeMismatch = 6; // PVALIDATE: the host has backed it with small pages
constexpr uint64_t kLarge = 2 * kMiB;

// The list of page states (AMD 56421, 4.1.6)
constexpr unsigned kMostEntries = 253;
constexpr unsigned kOperationShift = 52;
constexpr uint64_t kLargeEntry = uint64_t{1} << 56;
struct StateHeader {
    uint16_t current, last;
    uint32_t reserved;
};
struct StateList {
    StateHeader header;
    uint64_t entries[kMostEntries];
};
static_assert(sizeof(StateList) == kGhcbBufferBytes);

void check(Validated result) {
    if (result.code != 0)
        sev_terminate(PROLOGUE_SEV_PVALIDATE);
    if (result.unchanged)
        sev_terminate(PROLOGUE_SEV_PVALIDATE_TWICE);
}

// Each refusal costs a nested fault. Where small pages are all that a host has, as KVM since guest
// memory has a file of its own (sev_gmem_prepare), one is not asked again and again; a single
// refusal may be the neighbourhood of a page that the launch has put there.
constexpr uint32_t kMostRefusals = 2; // in a row

bool validate_large(uint64_t virt) {
    uint32_t& refusals = prologue_sev_state.large_refusals;
    if (refusals >= kMostRefusals)
        return false;
    const Validated result = pvalidate(virt, true, true);
    if (result.code == kSizeMismatch) {
        ++refusals;
        return false;
    }
    check(result);
    refusals = 0;
    return true;
}

// What a cache holds of a page that was the host's must not come back over what the guest
// writes: a read of its first and last line with the guest's key drops all of them
// (AMD-SB-3011, CVE-2024-36331; Linux's sev_evict_cache, CVE-2025-38560).
void evict_lines(uint64_t virt, uint64_t bytes) {
    if (prologue_sev_state.coherent != 0)
        return;
    for (const uint64_t end = virt + bytes; virt != end; virt += kPage) {
        read_line(virt);
        read_line(virt + kPage - 1);
    }
}

void validate(uint64_t virt, uint64_t bytes) {
    if (bytes != kLarge || !validate_large(virt))
        for (uint64_t done = 0; done != bytes; done += kPage)
            check(pvalidate(virt + done, false, true));
    evict_lines(virt, bytes);
}

uint64_t page_at(Span left) {
    return left.start % kLarge == 0 && left.bytes() >= kLarge ? kLarge : kPage;
}

// The host works the list off, in one exit or in more, and moves `current` with it.
void make_private(StateList& list, unsigned count) {
    list.header = {0, static_cast<uint16_t>(count - 1), 0};
    Ghcb ghcb;
    ghcb.write_buffer(&list, offsetof(StateList, entries) + count * sizeof list.entries[0]);
    while (list.header.current <= list.header.last) {
        const GhcbAnswer answer = ghcb.call(kGhcbPageStates, 0, 0, kFieldScratch);
        StateHeader now;
        ghcb.read_buffer(&now, sizeof now);
        if (answer.vector != 0 || answer.info2 != 0 || now.current <= list.header.current ||
            now.current > count || now.last != list.header.last || now.reserved != 0)
            sev_terminate(PROLOGUE_SEV_PAGE_STATE);
        list.header.current = now.current;
    }
}

} // namespace

void accept_pages(uint64_t window, Span left) {
    StateList list;
    while (left.bytes() != 0) {
        const uint64_t first = left.start;
        unsigned count = 0;
        for (; count != kMostEntries && left.bytes() != 0; ++count) {
            const uint64_t bytes = page_at(left);
            list.entries[count] = left.start |
                                  static_cast<uint64_t>(PageState::private_) << kOperationShift |
                                  (bytes == kLarge ? kLargeEntry : 0);
            left.start += bytes;
        }
        make_private(list, count);
        for (Span now = {first, left.start}; now.bytes() != 0;) {
            const uint64_t bytes = page_at({now.start, left.end});
            validate(window + now.start, bytes);
            now.start += bytes;
        }
    }
}

// RMPADJUST gives and takes rights of levels below the caller's alone (APM vol. 3). Nobody runs
// at level 1 of this guest, so that its rights are taken changes nothing.
void require_vmpl0(uint64_t virt) {
    constexpr uint64_t kNoRightsOfLevel1 = 1;
    if (rmpadjust(virt, kNoRightsOfLevel1) != 0)
        sev_terminate(PROLOGUE_SEV_VMPL);
}

void rescind_page(uint64_t virt) {
    check(pvalidate(virt, false, false));
}

void validate_page(uint64_t virt) {
    validate(virt, kPage);
}

} // namespace prologue
