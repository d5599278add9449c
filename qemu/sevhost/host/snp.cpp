#include "snp.h"

#include "diagnosis.h"
#include "events.h"
#include "hostile.h"
#include "launch.h"
#include "page_walk.h"
#include "processors.h"
#include "vc.h"

namespace sevhost {
namespace {

void forget_pages(Guest& guest, GuestPhys start, uint64_t bytes) {
    for (GuestPhys page = start; page != start + bytes; page += kPageBytes)
        forget_page(guest, page);
}

// The instruction faults to the host, which gives the page, and is executed again.
void convert_for(Guest& guest, GuestPhys page, const char* instruction) {
    if (!may_convert(guest))
        end_faulting(guest, instruction, " of ", hex(page),
                     ", which is not the guest's in the reverse map (APM vol. 3, ", instruction,
                     ")");
    say("sevhost: ", instruction, " of a shared page, ", hex(page), " at ", hex(guest.save().rip),
        ": the host converts it (APM vol. 3, ", instruction, ")\n");
    convert_page(guest, page, PageOperation::private_);
}

void set_result(Guest& guest, const Adjusted& result) {
    guest.gprs[rax] = result.code;
    uint64_t& flags = guest.save().rflags;
    flags &= ~(kFlagCf | kFlagOf | kFlagZf | kFlagAf | kFlagPf | kFlagSf);
    flags |= (result.code == 0 ? kFlagZf | kFlagPf : 0) | (result.unchanged ? kFlagCf : 0);
}

// The page that RAX points to; false, with #PF on its way, where it is not mapped.
bool operand_page(Guest& guest, GuestPhys& page) {
    const uint64_t linear = guest.gprs[rax] & ~(kPageBytes - 1);
    const Translation t = translate(guest, linear, Access::read, false);
    if (!t.mapped) {
        inject_pf(guest, linear, t.fault);
        return false;
    }
    if (t.backing != Backing::private_) // 15.36.10: the C-bit of the operand is looked at
        refuse(guest, "PVALIDATE or RMPADJUST of ", hex(t.gpa), " through ", hex(linear),
               ", which is mapped without the C-bit (APM vol. 3, PVALIDATE)");
    page = t.gpa & ~(kPageBytes - 1);
    return true;
}

void pvalidate(Guest& guest, const Instruction& instruction) {
    GuestPhys page = 0;
    if (!operand_page(guest, page))
        return;
    const bool large = guest.gprs[rcx] & 1;
    const bool validate = guest.gprs[rdx] & 1;
    hostile_before_pvalidate(guest, page);
    Adjusted result = guest.rmp.pvalidate(page, large, validate);
    if (result.not_the_guests) {
        convert_for(guest, page, "PVALIDATE");
        result = guest.rmp.pvalidate(page, large, validate);
    }
    if (result.code == kAdjustSuccess && !result.unchanged)
        forget_pages(guest, page, large ? kLargePageBytes : kPageBytes);
    if (guest.settings.trace.memory)
        say("pvalidate ", hex(page), large ? " 2M" : " 4K", validate ? " set" : " clear", " -> ",
            decimal(result.code), result.unchanged ? " unchanged\n" : "\n");
    set_result(guest, result);
    skip_instruction(guest, instruction);
}

void rmpadjust(Guest& guest, const Instruction& instruction) {
    GuestPhys page = 0;
    if (!operand_page(guest, page))
        return;
    constexpr uint64_t kTargetVmplMask = 0xff, kVmsaBit = 1 << 16;
    const bool large = guest.gprs[rcx] & 1;
    const auto target = static_cast<unsigned>(guest.gprs[rdx] & kTargetVmplMask);
    const bool vmsa = guest.gprs[rdx] & kVmsaBit;
    Adjusted result = guest.rmp.rmpadjust(page, large, target, vmsa);
    if (result.not_the_guests) {
        convert_for(guest, page, "RMPADJUST");
        result = guest.rmp.rmpadjust(page, large, target, vmsa);
    }
    if (guest.settings.trace.memory)
        say("rmpadjust ", hex(page), large ? " 2M" : " 4K", " VMPL ", decimal(target),
            vmsa ? " VMSA -> " : " -> ", decimal(result.code), "\n");
    set_result(guest, result);
    skip_instruction(guest, instruction);
}

// A page that changes hands holds nothing that it held; one that stays does.
void lose_page(Guest& guest, GuestPhys page, PageOperation operation) {
    const bool to_private = operation == PageOperation::private_;
    if (guest.rmp.is_assigned(page) != to_private)
        guest.memory.lose(page);
    forget_page(guest, page);
}

// A 2 MiB entry only where the host has such (KVM: sev_gmem_prepare, whose guest memory comes
// in pages of 4 KiB).
void set_state(Guest& guest, GuestPhys page, PageOperation operation, uint64_t bytes) {
    const uint64_t step = guest.settings.large_pages ? bytes : kPageBytes;
    for (uint64_t offset = 0; offset != bytes; offset += step) {
        if (operation == PageOperation::private_)
            guest.rmp.assign(page + offset, step);
        else
            guest.rmp.share(page + offset, step);
    }
}

// Whose the pages of a list are.
class GuestPages final : public PageOwner {
public:
    explicit GuestPages(Guest& guest) : guest_(guest) {}

    bool change(GuestPhys page, PageOperation operation, uint64_t bytes) override {
        return change_page_state(guest_, page, operation, bytes);
    }

private:
    Guest& guest_;
};

const char* name(PageOperation operation) {
    switch (operation) {
    case PageOperation::private_:
        return "private";
    case PageOperation::shared:
        return "shared";
    case PageOperation::psmash:
        return "psmash";
    case PageOperation::unsmash:
        return "unsmash";
    }
    return "no operation";
}

} // namespace

void create_reverse_map(Guest& guest) {
    for (unsigned i = 0; i != guest.memory.count(); ++i) {
        const uint64_t bytes = ReverseMap::bytes_for(guest.memory[i]);
        guest.rmp.create(i, guest.host.at(guest.host.take(bytes, kPageBytes, "the reverse map")));
    }
    for_each_launched(guest, [&](GuestPhys page) { guest.rmp.set_validated(page, true); });
    guest.reverse_map = &guest.rmp;
}

void forget_page(Guest& guest, GuestPhys page) {
    stop_all_others(guest);
    guest.by_c_bit.unmap(page);
    guest.by_c_bit.unmap(page | guest.c_bit_mask);
    guest.all_private.unmap(page);
    if (guest.alias_mask != 0)
        guest.by_c_bit.unmap(page | guest.alias_mask);
}

bool change_page_state(Guest& guest, GuestPhys page, PageOperation operation, uint64_t bytes) {
    if (guest.settings.trace.memory)
        say("page state ", hex(page), " ", hex(bytes), " -> ", name(operation), "\n");
    if (guest.memory.find(page, bytes) == nullptr)
        return false;
    if (hostile_skips_page_state(guest, page, operation))
        return true;
    switch (operation) {
    case PageOperation::private_:
    case PageOperation::shared:
        for (uint64_t offset = 0; offset != bytes; offset += kPageBytes)
            lose_page(guest, page + offset, operation);
        set_state(guest, page, operation, bytes);
        return true;
    default: // the host has no others: it does nothing for them
        return true;
    }
}

bool may_convert(const Guest& guest) {
    return guest.hostile == nullptr || guest.hostile->kind != HostileClass::denial;
}

void convert_page(Guest& guest, GuestPhys page, PageOperation operation) {
    lose_page(guest, page, operation);
    set_state(guest, page, operation, kPageBytes);
}

uint64_t change_page_state_list(Guest& guest, uint8_t* list) {
    GuestPages pages(guest);
    uint64_t result = change_page_states(pages, list);
    hostile_page_state_list(guest, list, result);
    return result;
}

bool execute_snp_instruction(Guest& guest, const Instruction& instruction) {
    if (instruction.op != Op::pvalidate && instruction.op != Op::rmpadjust)
        return false;
    if (guest.save().cpl != 0)
        inject_gp(guest);
    else if (instruction.op == Op::pvalidate)
        pvalidate(guest, instruction);
    else
        rmpadjust(guest, instruction);
    return true;
}

} // namespace sevhost
