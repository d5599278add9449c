#include "vc.h"

#include "deliver.h"
#include "diagnosis.h"
#include "exit_names.h"
#include "guest_access.h"
#include "hostile.h"
#include "journal.h"

namespace sevhost {

uint64_t exit_code_of(const Guest& guest) {
    return guest.vmcb->control.exit_code;
}

void raise_vc(Guest& guest, uint64_t code) {
    note_vc(code);
    if (guest.settings.trace.exits)
        say("#VC: ", exit_name(code), " (", hex(code), ") at ", hex(guest.vmcb->save.rip), "\n");
    deliver_exception(guest, kVectorVc, static_cast<uint32_t>(hostile_vc(guest, code)));
}

Instruction instruction_at(const Guest& guest) {
    const Code code = fetch_instruction(guest);
    const VmcbSave& save = guest.vmcb->save;
    const bool long_mode = (save.efer & kEferLma) && (save.cs.attributes & kSegmentLong);
    return decode(code.bytes, code.count, long_mode);
}

void skip_instruction(Guest& guest, const Instruction& instruction) {
    VmcbSave& save = guest.vmcb->save;
    save.rip += instruction.length;
    if (!((save.efer & kEferLma) && (save.cs.attributes & kSegmentLong)))
        save.rip &= 0xffffffff;
    guest.vmcb->control.interrupt_shadow = 0;
}

void skip_instruction(Guest& guest, Op expected) {
    const Instruction instruction = instruction_at(guest);
    if (instruction.op != expected)
        refuse(guest, "exit ", hex(exit_code_of(guest)),
               " is of an instruction that is not at RIP any more");
    skip_instruction(guest, instruction);
}

} // namespace sevhost
