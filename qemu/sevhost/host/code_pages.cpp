#include "code_pages.h"

#include <string.h>

#include "diagnosis.h"

namespace sevhost {
namespace {

struct CodeRange {
    GuestPhys start, end; // whole pages
    uint8_t* launched;
    uint8_t* written; // a byte for each: not 0 where the honest boot writes
};
constexpr unsigned kMostRanges = 4;
CodeRange ranges[kMostRanges];
unsigned count;

const CodeRange* range_of(GuestPhys gpa) {
    for (unsigned i = 0; i != count; ++i)
        if (gpa >= ranges[i].start && gpa < ranges[i].end)
            return &ranges[i];
    return nullptr;
}

} // namespace

void note_code(Guest& guest, GuestPhys start, uint64_t bytes) {
    if (guest.settings.canary == 0 || !guest.encrypted())
        return;
    if (count == kMostRanges)
        fail("the image has code in more than ", decimal(kMostRanges), " places");
    CodeRange& range = ranges[count++];
    range.start = start & ~(kPageBytes - 1);
    range.end = (start + bytes + kPageBytes - 1) & ~(kPageBytes - 1);
    const uint64_t whole = range.end - range.start;
    range.launched = guest.host.at(guest.host.take(whole, kPageBytes, "the launched code"));
    range.written = guest.host.at(guest.host.take(whole, kPageBytes, "the launched code"));
    memcpy(range.launched, guest.memory.at(range.start, whole, Backing::private_), whole);
    memset(range.written, 0, whole);
}

bool may_be_code(GuestPhys gpa) {
    return count == 0 || range_of(gpa) != nullptr;
}

void look_at_fetch(Guest& guest, GuestPhys gpa) {
    if (!may_be_code(gpa))
        finish(guest, Outcome::ran_hosts_code, "the guest executes at ", hex(guest.save().rip),
               " what is no code of its image: ", hex(gpa), ". Host ran code");
}

bool code_page_differs(GuestPhys page, const uint8_t* now) {
    const CodeRange* range = range_of(page);
    if (range == nullptr)
        return false;
    const uint64_t offset = page - range->start;
    if (memcmp(range->launched + offset, now, kPageBytes) == 0)
        return false;
    for (uint64_t i = 0; i != kPageBytes; ++i)
        if (range->launched[offset + i] != now[i] && range->written[offset + i] == 0)
            return true;
    return false;
}

void learn_code_page(GuestPhys page, const uint8_t* now) {
    const CodeRange* range = range_of(page);
    if (range == nullptr)
        return;
    const uint64_t offset = page - range->start;
    for (uint64_t i = 0; i != kPageBytes; ++i)
        range->written[offset + i] |= range->launched[offset + i] != now[i];
}

} // namespace sevhost
