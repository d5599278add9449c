#include "control_registers.h"

#include "diagnosis.h"
#include "events.h"
#include "nested_fault.h"
#include "operand.h"
#include "vc.h"

namespace sevhost {
namespace {

constexpr uint64_t kEferWritable = kEferSce | kEferLme | kEferNxe | kEferFfxsr;
constexpr uint64_t kCr0Upper = 0xffffffff00000000;
constexpr uint64_t kLmswBits = 0xf;

// The combinations that raise #GP (3.1.1, 14.6.1, and 5.5.1 for PCIDE).
bool valid_cr0(const Guest& guest, uint64_t value) {
    const VmcbSave& save = guest.save();
    if ((value & kCr0Upper) || ((value & kCr0Nw) && !(value & kCr0Cd)) ||
        ((value & kCr0Pg) && !(value & kCr0Pe)))
        return false;
    const bool turns_on = (value & kCr0Pg) && !(save.cr0 & kCr0Pg);
    if (turns_on && (guest.efer & kEferLme))
        return (save.cr4 & kCr4Pae) && !(save.cs.attributes & kSegmentLong);
    const bool turns_off = !(value & kCr0Pg) && (save.cr0 & kCr0Pg);
    const bool in_64_bit = (save.efer & kEferLma) && (save.cs.attributes & kSegmentLong);
    return !turns_off || (!in_64_bit && !(save.cr4 & kCr4Pcide));
}

// Real mode on a stack of 32 bits: TCG's IRET looks at 16 bits of it all the same (helper_iret_real).
// The stack's bytes are seen by SP then: edk2 goes to real mode so, with a processor that it releases.
void show_stack_to_sp(Guest& guest) {
    constexpr uint64_t kSp = 0xffff;
    VmcbSegment& ss = guest.save().ss;
    if (!(ss.attributes & kSegmentBig) || guest.gprs[rsp] <= kSp)
        return;
    ss.base += guest.gprs[rsp] & 0xffffffff & ~kSp;
    ss.attributes &= static_cast<uint16_t>(~kSegmentBig);
}

} // namespace

// What VMRUN is told: SVME always, or it refuses (15.5.1); LME and LMA only while
// paging is on, since TCG restores the host's CR0 under the guest's EFER, where
// LME without CR4.PAE keeps it from turning paging on again.
void update_vmcb_efer(Guest& guest) {
    VmcbSave& save = guest.save();
    uint64_t efer = (guest.efer & ~(kEferLme | kEferLma)) | kEferSvme;
    if ((guest.efer & kEferLme) && (save.cr0 & kCr0Pg))
        efer |= kEferLme | kEferLma;
    save.efer = efer;
}

// The VMSA of SEV-ES has SVME set, as VMRUN wants it, and the guest sees it; from another
// guest the host hides it.
uint64_t read_efer(const Guest& guest) {
    return guest_efer(guest) | (guest.state_is_encrypted() ? kEferSvme : 0);
}

// The host cannot put back into a VMSA what the guest has cleared there.
bool write_efer(Guest& guest, uint64_t value) {
    if (guest.state_is_encrypted() && !(value & kEferSvme))
        refuse(guest, "EFER is written as ", hex(value),
               ": the next VMRUN ends with "
               "VMEXIT_INVALID, since EFER.SVME is zero (APM vol. 2, 15.5.1)");
    return set_guest_efer(guest, value);
}

uint64_t guest_efer(const Guest& guest) {
    return guest.efer | (guest.save().efer & kEferLma);
}

bool set_guest_efer(Guest& guest, uint64_t value) {
    value &= ~(kEferLma | kEferSvme); // LMA is read-only, SVME the host's
    if (value & ~kEferWritable)
        return false;
    if (((value ^ guest.efer) & kEferLme) && (guest.save().cr0 & kCr0Pg))
        return false; // LME changes only with paging off (3.1.7)
    guest.efer = value;
    update_vmcb_efer(guest);
    return true;
}

void handle_cr0_write(Guest& guest) {
    VmcbSave& save = guest.save();
    const Instruction instruction = instruction_at(guest);
    uint64_t value = save.cr0;
    if (instruction.op == Op::mov_to_cr)
        value = guest.gprs[instruction.gpr];
    else if (instruction.op == Op::lmsw)
        value = (value & ~(kLmswBits & ~kCr0Pe)) | (guest.gprs[instruction.gpr] & kLmswBits);
    else
        refuse(guest, "CR0 is written by an instruction that the host does not decode");
    if (!valid_cr0(guest, value)) {
        inject_gp(guest);
        return;
    }
    if ((save.cr0 & kCr0Pe) && !(value & kCr0Pe))
        show_stack_to_sp(guest);
    save.cr0 = value | kCr0Et;
    update_vmcb_efer(guest);
    choose_nested_tables(guest);
    skip_instruction(guest, instruction);
}

void handle_invalid_state(Guest& guest) {
    const Instruction instruction = instruction_at(guest);
    if (instruction.op != Op::mov_to_cr)
        refuse(guest, "the processor refuses the guest's state (VMEXIT_INVALID)");
    say("sevhost: a value of ", hex(guest.gprs[instruction.gpr]), " for CR",
        decimal(instruction.control_register), " at ", hex(guest.save().rip), " is #GP\n");
    inject_gp(guest);
}

} // namespace sevhost
