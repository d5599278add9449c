#include "vc.h"

#include "deliver.h"
#include "diagnosis.h"
#include "doorbell.h"
#include "exit_names.h"
#include "hostile.h"
#include "journal.h"
#include "operand.h"

namespace sevhost {
namespace {

void say_failure(const DeliveryAttempt& attempt) {
    say("sevhost: exception ", decimal(attempt.vector), " with error code ",
        hex(attempt.error_code), " cannot be delivered: ", attempt.failure, " (",
        hex(attempt.number), ")\n");
}

} // namespace

uint64_t exit_code_of(const Guest& guest) {
    return guest.vmcb->control.exit_code;
}

void raise_exception(Guest& guest, unsigned vector, uint32_t error_code) {
    const uint64_t rip = guest.save().rip;
    const Delivery delivery = deliver_exception(guest, vector, error_code);
    for (unsigned i = 0; i != delivery.count; ++i)
        if (delivery.attempt[i].failure != nullptr)
            say_failure(delivery.attempt[i]);
    if (delivery.shutdown)
        finish(guest, Outcome::shutdown, "shutdown at ", hex(rip),
               ": a double fault could not be delivered (APM vol. 2, 8.2.9)");
    if (delivery.count > 1)
        say("sevhost: the guest goes on with exception ",
            decimal(delivery.attempt[delivery.count - 1].vector), " at ", hex(rip), "\n");
}

void send_exception(Guest& guest, unsigned vector, uint32_t error_code) {
    if (may_inject(guest, vector))
        raise_exception(guest, vector, error_code);
}

void raise_vc(Guest& guest, uint64_t code) {
    note_vc(code);
    if (guest.settings.trace.exits) {
        say_processor(guest);
        say("#VC: ", exit_name(code), " (", hex(code), ") at ", hex(guest.save().rip), "\n");
    }
    guest.vmcb->control.event_injection = 0; // what was being delivered has become this
    raise_exception(guest, kVectorVc, static_cast<uint32_t>(hostile_vc(guest, code)));
    hostile_after_vc(guest, code);
}

void skip_instruction(Guest& guest, const Instruction& instruction) {
    VmcbSave& save = guest.save();
    save.rip += instruction.length;
    if (!guest.in_64_bit_code())
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
