#include "page_state.h"

#include <string.h>

#include "diagnosis.h"
#include "events.h"
#include "guest_access.h"
#include "hostile.h"
#include "vc.h"

namespace sevhost {
namespace {

// A byte a page of the guest's, by region.
constexpr uint8_t kAssigned = 1 << 0;
constexpr uint8_t kValidated = 1 << 1;

constexpr unsigned kMaxRegions = 8;
uint8_t* states[kMaxRegions];

uint8_t* state_of(const Guest& guest, GuestPhys gpa) {
    for (unsigned i = 0; i != guest.memory.count(); ++i) {
        const Region& region = guest.memory[i];
        if (gpa >= region.start && gpa - region.start < region.bytes)
            return &states[i][(gpa - region.start) / kPageBytes];
    }
    return nullptr;
}

void forget_mappings(Guest& guest, GuestPhys gpa) {
    guest.by_c_bit.unmap(gpa);
    guest.by_c_bit.unmap(gpa | guest.c_bit_mask());
    guest.all_private.unmap(gpa);
}

// PVALIDATE's and RMPADJUST's return codes (APM vol. 3)
constexpr uint64_t kSuccess = 0;
constexpr uint64_t kFailInput = 1;
constexpr uint64_t kFailSizeMismatch = 6;

void set_flags(Guest& guest, uint64_t code, bool carry) {
    uint64_t& flags = guest.vmcb->save.rflags;
    flags &= ~(kFlagCf | kFlagOf | kFlagZf | kFlagAf | kFlagPf | kFlagSf);
    flags |= (code == 0 ? kFlagZf | kFlagPf : 0) | (carry ? kFlagCf : 0);
}

// The page that RAX points to; false, with #PF on its way, where it is not mapped.
bool operand_page(Guest& guest, GuestPhys& gpa) {
    const uint64_t linear = guest.gprs[rax] & ~(kPageBytes - 1);
    const Translation t = translate(guest, linear, Access::read, false);
    if (!t.mapped) {
        inject_pf(guest, linear, t.fault);
        return false;
    }
    gpa = t.gpa & ~(kPageBytes - 1);
    return true;
}

void pvalidate(Guest& guest, const Instruction& instruction) {
    GuestPhys gpa = 0;
    if (!operand_page(guest, gpa))
        return;
    const bool large = guest.gprs[rcx] & 1;
    const bool validate = guest.gprs[rdx] & 1;
    uint64_t code = kSuccess;
    bool unchanged = false;
    uint8_t* state = state_of(guest, gpa);
    if (state == nullptr)
        code = kFailInput;
    else if (!(*state & kAssigned))
        refuse(guest, "PVALIDATE of ", hex(gpa), ", which is not the guest's in the reverse map: "
               "a nested fault for ever (APM vol. 3, PVALIDATE)");
    else if (large)
        code = kFailSizeMismatch; // the map's grain is 4 KiB
    else if (((*state & kValidated) != 0) == validate)
        unchanged = true;
    else
        *state ^= kValidated;
    if (code == kSuccess && !unchanged)
        forget_mappings(guest, gpa);
    if (guest.settings.trace.memory)
        say("pvalidate ", hex(gpa), large ? " 2M" : " 4K", validate ? " set" : " clear", " -> ",
            decimal(code), unchanged ? " unchanged\n" : "\n");
    guest.gprs[rax] = code;
    set_flags(guest, code, unchanged);
    skip_instruction(guest, instruction);
}

void rmpadjust(Guest& guest, const Instruction& instruction) {
    GuestPhys gpa = 0;
    if (!operand_page(guest, gpa))
        return;
    constexpr uint64_t kTargetVmplMask = 0xff;
    const uint8_t* state = state_of(guest, gpa);
    const bool large = guest.gprs[rcx] & 1;
    uint64_t code = kSuccess;
    if (state == nullptr || (guest.gprs[rdx] & kTargetVmplMask) == 0)
        code = kFailInput; // a VMPL adjusts only those below it, and this one is 0
    else if (large)
        code = kFailSizeMismatch;
    guest.gprs[rax] = code;
    set_flags(guest, code, false);
    skip_instruction(guest, instruction);
}

// The list of a page state change (4.1.6): a header, then entries.
struct ListHeader {
    uint16_t current, end;
    uint32_t reserved;
};
constexpr unsigned kMaxEntries = 253;
constexpr uint64_t kEntryCurrentMask = 0xfff;
constexpr uint64_t kEntryFrameMask = 0x000ffffffffff000;
constexpr unsigned kEntryOperationShift = 52;
constexpr uint64_t kEntryLarge = uint64_t{1} << 56;
constexpr uint64_t kBadHeader = uint64_t{1} << 32 | 1;
constexpr uint64_t kBadEntry = uint64_t{1} << 32 | 2;

bool change_entry(Guest& guest, uint64_t& entry) {
    const bool large = entry & kEntryLarge;
    const GuestPhys gpa = entry & kEntryFrameMask;
    const uint64_t bytes = large ? kLargePageBytes : kPageBytes;
    const auto operation = static_cast<PageOperation>(entry >> kEntryOperationShift & 0xf);
    if (gpa % bytes != 0 || !change_page_state(guest, gpa, operation, bytes))
        return false;
    entry = (entry & ~kEntryCurrentMask) | (large ? kLargePageBytes / kPageBytes : 1);
    return true;
}

} // namespace

void create_reverse_map(Guest& guest) {
    for (unsigned i = 0; i != guest.memory.count(); ++i) {
        const uint64_t pages = guest.memory[i].bytes / kPageBytes;
        states[i] = guest.host.at(guest.host.take(pages, kPageBytes, "the reverse map"));
        memset(states[i], kAssigned | kValidated, pages);
    }
}

PageCheck check_page(const Guest& guest, GuestPhys gpa, Backing wanted) {
    const uint8_t* state = state_of(guest, gpa);
    if (wanted == Backing::shared)
        return *state & kAssigned ? PageCheck::not_shared : PageCheck::allowed;
    if (!(*state & kAssigned))
        return PageCheck::not_private;
    return *state & kValidated ? PageCheck::allowed : PageCheck::not_validated;
}

bool change_page_state(Guest& guest, GuestPhys gpa, PageOperation operation, uint64_t bytes) {
    if (guest.settings.trace.memory)
        say("page state ", hex(gpa), " ", hex(bytes), " -> ",
            decimal(static_cast<uint64_t>(operation)), "\n");
    if (guest.memory.find(gpa, bytes) == nullptr)
        return false;
    if (operation == PageOperation::psmash || operation == PageOperation::unsmash)
        return true; // the map's grain is 4 KiB: there is nothing to take apart or put together
    if (operation != PageOperation::private_ && operation != PageOperation::shared)
        return false;
    if (hostile_skips_page_state(guest, gpa, operation))
        return true;
    for (GuestPhys page = gpa; page != gpa + bytes; page += kPageBytes) {
        uint8_t* state = state_of(guest, page);
        const uint8_t wanted = operation == PageOperation::private_ ? kAssigned : 0;
        if ((*state & kAssigned) == wanted)
            continue; // RMPUPDATE to what it is already
        *state = wanted; // not validated: RMPUPDATE clears that (15.36.5)
        forget_mappings(guest, page);
    }
    return true;
}

uint64_t change_page_states(Guest& guest, uint8_t* list) {
    ListHeader header;
    memcpy(&header, list, sizeof header);
    if (header.current > header.end || header.end >= kMaxEntries)
        return kBadHeader;
    uint64_t result = 0;
    for (; header.current <= header.end; ++header.current) {
        uint8_t* at = list + sizeof header + header.current * sizeof(uint64_t);
        uint64_t entry;
        memcpy(&entry, at, sizeof entry);
        if (!change_entry(guest, entry)) {
            result = kBadEntry;
            break;
        }
        memcpy(at, &entry, sizeof entry);
    }
    memcpy(list, &header, sizeof header);
    return result;
}

bool execute_snp_instruction(Guest& guest) {
    const Instruction instruction = instruction_at(guest);
    if (instruction.op != Op::pvalidate && instruction.op != Op::rmpadjust)
        return false;
    if (guest.vmcb->save.cpl != 0)
        inject_gp(guest);
    else if (instruction.op == Op::pvalidate)
        pvalidate(guest, instruction);
    else
        rmpadjust(guest, instruction);
    return true;
}

} // namespace sevhost
