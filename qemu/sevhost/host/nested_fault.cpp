#include "nested_fault.h"

#include "code_pages.h"
#include "diagnosis.h"
#include "hostile.h"
#include "mmio.h"
#include "operand.h"
#include "snp.h"
#include "svm_exits.h"
#include "trial.h"
#include "vc.h"

namespace sevhost {
namespace {

struct Fault {
    uint64_t address; // as it left the guest's paging, C-bit and all
    GuestPhys gpa;
    bool on_tables; // of a page-table walk
    bool fetch;
    bool write; // a walk may set a bit in what it reads
    Backing backing;
    bool apart; // code, through a mapping by which data are the shared page's
};

// Which memory an access reaches (APM vol. 2, 15.34.4 and 15.34.5): private, where the paging mode
// has no C-bit; private, for page-table walks and for fetches, whatever it says.
Fault fault_of(const Guest& guest) {
    const VmcbControl& control = guest.vmcb->control;
    const uint64_t c_bit = guest.paging_has_c_bit() ? guest.c_bit_mask : 0;
    Fault fault;
    fault.address = control.exit_info2;
    fault.gpa = fault.address & ~(c_bit | guest.alias_mask);
    fault.on_tables = (control.exit_info1 & kNestedFaultOnTables) != 0;
    fault.fetch = (control.exit_info1 & kNestedFaultFetch) != 0;
    fault.write = fault.on_tables || (control.exit_info1 & kNestedFaultWrite) != 0;
    const bool shared = c_bit != 0 && (fault.address & c_bit) == 0 && !fault.on_tables;
    fault.apart = shared && fault.fetch;
    fault.backing = shared && !fault.fetch ? Backing::shared : Backing::private_;
    return fault;
}

NestedTables& tables_in_use(Guest& guest) {
    return !guest.encrypted() || guest.paging_has_c_bit() ? guest.by_c_bit : guest.all_private;
}

bool large_page_fits(const Guest& guest, const Region& region, const Fault& fault) {
    // Shared pages come one by one, since page tables may lie between them; so do SNP's.
    const bool one_by_one = fault.backing == Backing::shared || fault.apart || fault.on_tables ||
                            guest.snp() ||
                            guest.hostile != nullptr || // who wants to see each page's first access
                            tracks_writes();
    const GuestPhys start = fault.gpa & ~(kLargePageBytes - 1);
    return !one_by_one && start >= region.start &&
           start + kLargePageBytes <= region.start + region.bytes;
}

uint8_t* page_of(const Region& region, const Fault& fault) {
    return region.at(fault.gpa & ~(kPageBytes - 1), fault.backing);
}

// The linear address goes to CR2, which TCG does not tell: it is found among the operands.
void raise_not_validated(Guest& guest, const Fault& fault) {
    uint64_t linear = 0;
    if (find_access(guest, fault.gpa, fault.fetch, linear))
        guest.save().cr2 = linear;
    else
        say("sevhost: which address reached ", hex(fault.gpa), " at ", hex(guest.save().rip),
            " is not known: CR2 is left as it was\n");
    raise_vc(guest, exit::kNotValidated);
}

// As QEMU does it at a fault that KVM cannot serve (KVM_EXIT_MEMORY_FAULT, kvm_convert_memory):
// the page becomes what the access wants it to be, and what it held is lost.
void convert(Guest& guest, const Fault& fault, PageOperation operation, const char* access) {
    const GuestPhys page = fault.gpa & ~(kPageBytes - 1);
    if (!may_convert(guest))
        end_faulting(guest, access, hex(fault.gpa),
                     " (APM vol. 2, 15.36.10), and the host does "
                     "not convert it");
    say("sevhost: ", access, hex(fault.gpa), " at ", hex(guest.save().rip),
        ": the host converts the page (APM vol. 2, 15.36.10)\n");
    convert_page(guest, page, operation);
}

// True: the access may go on.
bool reverse_map_allows(Guest& guest, const Fault& fault) {
    switch (guest.rmp.check(fault.gpa, fault.backing)) {
    case PageCheck::allowed:
        return true;
    case PageCheck::not_validated:
        raise_not_validated(guest, fault);
        return false;
    case PageCheck::not_private:
        convert(guest, fault, PageOperation::private_, "private access to a shared page, ");
        raise_not_validated(guest, fault);
        return false;
    case PageCheck::not_shared:
        convert(guest, fault, PageOperation::shared,
                "access without the C-bit to a private "
                "page, ");
        return true;
    }
    return false;
}

// Once in a run: who has forgotten the C-bit wants to know.
void tell_apart(const Guest& guest, const Fault& fault) {
    static bool told;
    if (!told)
        say("sevhost: an instruction is fetched from ", hex(fault.gpa), " at ",
            hex(guest.save().rip),
            " through a mapping without the C-bit: it is the private page's "
            "(APM vol. 2, 15.34.5)\n");
    told = true;
}

// The frame of code that is mapped without the C-bit is there for fetches, and a write finds the
// data's. (That a read does not is where this host is kinder: it sees the code.)
void map_memory(Guest& guest, const Region& region, const Fault& fault) {
    if (guest.snp() && !reverse_map_allows(guest, fault))
        return;
    if (fault.apart)
        tell_apart(guest, fault);
    if (fault.fetch)
        look_at_fetch(guest, fault.gpa);
    const bool large = large_page_fits(guest, region, fault);
    const GuestPhys first = fault.gpa & ~((large ? kLargePageBytes : kPageBytes) - 1);
    guest.memory.look_at(region, first, large ? kLargePageBytes : kPageBytes, fault.backing);
    uint64_t rights = fault.backing == Backing::private_ && may_be_code(fault.gpa)
                          ? NestedTables::kExecute
                          : 0;
    if (tracks_writes() && fault.write)
        note_writable(tables_in_use(guest), fault.address, page_of(region, fault));
    else if (tracks_writes() || fault.apart)
        rights |= NestedTables::kReadOnly;
    tables_in_use(guest).map(fault.address, guest.phys(region, fault.gpa, fault.backing), large,
                             rights);
}

} // namespace

void choose_nested_tables(Guest& guest) {
    guest.vmcb->control.nested_cr3 = tables_in_use(guest).root();
}

void handle_nested_fault(Guest& guest) {
    choose_nested_tables(guest); // CR4.PAE may have changed without an exit
    const Fault fault = fault_of(guest);
    if (guest.settings.trace.memory)
        say("nested fault ", hex(fault.address), fault.on_tables ? " on tables" : "",
            fault.fetch ? " fetch" : "", fault.backing == Backing::shared ? " shared" : "", " at ",
            hex(guest.save().rip), "\n");
    const Region* region = guest.memory.find(fault.gpa);
    if (region != nullptr)
        map_memory(guest, *region, fault);
    else if (!is_device(guest, fault.gpa))
        end_faulting(guest, "there is neither memory nor a device at ", hex(fault.gpa));
    else if (guest.state_is_encrypted())
        raise_vc(guest, exit::kNestedFault); // MMIO, with the C-bit or without
    else
        tables_in_use(guest).map(fault.address, fault.gpa, false, NestedTables::kExecute);
}

} // namespace sevhost
