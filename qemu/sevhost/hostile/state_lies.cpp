// Lies about the states of pages, on SNP. What keeps the processor from going on is a denial:
// the access faults to the host, again and again, and the guest sees nothing of it.
#include <string.h>

#include "hostile.h"
#include "snp.h"

namespace sevhost {
namespace {

constexpr unsigned kHeaderBytes = 8;

struct Header {
    uint16_t current, end;
    uint32_t reserved;
};

Header header_of(const uint8_t* list) {
    Header header;
    memcpy(&header, list, sizeof header);
    return header;
}

void set_header(uint8_t* list, const Header& header) {
    memcpy(list, &header, sizeof header);
}

bool do_nothing(Guest&, GuestPhys, PageOperation) {
    return true;
}

bool do_nothing_half_the_time(Guest&, GuestPhys, PageOperation) {
    static unsigned asked;
    return asked++ % 2 == 1;
}

bool leave_shared(Guest&, GuestPhys, PageOperation operation) {
    return operation == PageOperation::private_;
}

bool do_it_elsewhere(Guest& guest, GuestPhys page, PageOperation operation) {
    const GuestPhys next = page + kPageBytes;
    if (guest.memory.find(next, kPageBytes) == nullptr)
        return false;
    if (operation == PageOperation::private_)
        guest.rmp.assign(next, kPageBytes);
    else
        guest.rmp.share(next, kPageBytes);
    forget_page(guest, next);
    return true;
}

void fail_half_way(Guest&, uint8_t* list, uint64_t& result) {
    Header header = header_of(list);
    header.current = static_cast<uint16_t>(header.end / 2);
    set_header(list, header);
    result = kPageStateRefused;
}

void stop_half_way(Guest&, uint8_t* list, uint64_t&) {
    Header header = header_of(list);
    header.current = header.end; // for ever: the last entry is never done
    set_header(list, header);
}

void go_back(Guest&, uint8_t* list, uint64_t&) {
    Header header = header_of(list);
    header.current = 0;
    set_header(list, header);
}

void grow(Guest&, uint8_t* list, uint64_t&) {
    Header header = header_of(list);
    header.end = 0xffff;
    set_header(list, header);
}

void go_far(Guest&, uint8_t* list, uint64_t&) {
    Header header = header_of(list);
    header.current = 0x7fff;
    set_header(list, header);
}

void use_reserved(Guest&, uint8_t* list, uint64_t&) {
    Header header = header_of(list);
    header.reserved = ~0u;
    set_header(list, header);
}

void change_entries(Guest&, uint8_t* list, uint64_t&) {
    memset(list + kHeaderBytes, 0, kPageStateListBytes - kHeaderBytes);
}

void take_apart(Guest& guest, GuestPhys page) {
    if (!guest.rmp.is_large(page))
        return;
    guest.rmp.smash(page);
    hostile_acted(guest);
}

using enum HostileClass;
// A row an entry.
// clang-format off
constexpr Hostile kEntries[] = {
    {.name = "page-state-does-nothing", .kind = denial, .guests = kOnSnp,
     .right_guest = "never goes on: its next access to the page faults to the host",
     .skip_page_state = do_nothing},
    {.name = "page-state-does-half", .kind = denial, .guests = kOnSnp,
     .right_guest = "never goes on: its next access to such a page faults to the host",
     .skip_page_state = do_nothing_half_the_time},
    {.name = "page-state-leaves-shared", .kind = denial, .guests = kOnSnp,
     .right_guest = "never goes on: PVALIDATE of a shared page faults to the host",
     .skip_page_state = leave_shared},
    {.name = "page-state-elsewhere", .kind = denial, .guests = kOnSnp,
     .right_guest = "never goes on, or terminates: the neighbour is not validated any more",
     .skip_page_state = do_it_elsewhere},
    {.name = "page-state-list-fails-half-way", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the host refused an entry", .page_state_list = fail_half_way},
    {.name = "page-state-list-stops", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the list does not come further", .page_state_list = stop_half_way},
    {.name = "page-state-list-goes-back", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: an entry that was done is to be done again",
     .page_state_list = go_back},
    {.name = "page-state-list-grows", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the end is not its own", .page_state_list = grow},
    {.name = "page-state-list-too-far", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the list does not reach there", .page_state_list = go_far},
    {.name = "page-state-list-reserved", .kind = detected, .guests = kOnSnp,
     .right_guest = "terminates: the reserved field is not 0", .page_state_list = use_reserved},
    {.name = "page-state-list-entries-changed", .kind = harmless, .guests = kOnSnp,
     .right_guest = "knows itself what it asked", .page_state_list = change_entries},
    {.name = "page-state-smashes", .kind = harmless, .guests = kOnSnp,
     .right_guest = "validates 4 KiB at a time where PVALIDATE says that the sizes differ",
     .before_pvalidate = take_apart},
};
// clang-format on

} // namespace

const HostileTable kLiesOfStates = hostile_table(kEntries);

} // namespace sevhost
