#include "diagnosis.h"

#include "canary.h"
#include "control_registers.h"
#include "exit_names.h"
#include "page_walk.h"
#include "journal.h"
#include "processors.h"

namespace sevhost {
namespace {

constexpr const char* kGprNames[] = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
};

// The instruction at RIP, for a trace; empty where it cannot be read.
void say_code(const Guest& guest) {
    const Code code = fetch_instruction(guest);
    say(" [", Bytes{code.bytes, code.count}, "]");
}

void say_segment(const char* name, const VmcbSegment& s) {
    say("  ", name, " ", hex(s.selector), " base ", hex(s.base), " limit ", hex(s.limit),
        " attributes ", hex(s.attributes), "\n");
}

void say_registers(const Guest& guest) {
    const VmcbSave& save = guest.save();
    for (unsigned i = 0; i != kGprCount; ++i)
        say(i % 4 == 0 ? "  " : " ", kGprNames[i], " ", hex(guest.gprs[i]), i % 4 == 3 ? "\n" : "");
    say("  rip ", hex(save.rip), " rflags ", hex(save.rflags), " cpl ", decimal(save.cpl), "\n");
    say("  cr0 ", hex(save.cr0), " cr2 ", hex(save.cr2), " cr3 ", hex(save.cr3), " cr4 ",
        hex(save.cr4), " efer ", hex(read_efer(guest)), "\n");
    say_segment("cs", save.cs);
    say_segment("ds", save.ds);
    say_segment("es", save.es);
    say_segment("fs", save.fs);
    say_segment("gs", save.gs);
    say_segment("ss", save.ss);
    say_segment("tr", save.tr);
    say_segment("ldtr", save.ldtr);
    say("  gdtr base ", hex(save.gdtr.base), " limit ", hex(save.gdtr.limit), ", idtr base ",
        hex(save.idtr.base), " limit ", hex(save.idtr.limit), "\n");
    say("  code at RIP");
    say_code(guest);
    say("\n");
}

// Where there are several: what each of them does.
void say_processors(const Guest& guest) {
    if (guest.alone())
        return;
    for_each_processor(guest.vm, [](const Guest& each) {
        say("sevhost: processor ", decimal(each.standing.index), " ", text(each.standing.activity),
            " at ", hex(each.save().rip), "\n");
    });
}

// Each level of the walk, and where it ends.
void say_walk(const Guest& guest, const char* what, uint64_t linear) {
    const Translation t = look_up(guest, linear);
    say("  ", what, " ", hex(linear), ":");
    for (unsigned i = 0; i != t.steps; ++i)
        say(" [", decimal(t.step[i].level), "] ", hex(t.step[i].at), "=", hex(t.step[i].entry));
    if (t.mapped)
        say(" -> ", hex(t.gpa), t.backing == Backing::shared ? " shared\n" : " private\n");
    else
        say(" -> not mapped\n");
}

void say_walks(const Guest& guest) {
    const VmcbSave& save = guest.save();
    if (!(save.cr0 & kCr0Pg))
        return;
    say("sevhost: page-table walks:\n");
    const uint64_t flat = guest.in_64_bit_code() ? 0 : ~uint64_t{0};
    say_walk(guest, "RIP", (save.cs.base & flat) + save.rip);
    say_walk(guest, "RSP", (save.ss.base & flat) + guest.gprs[rsp]);
    say_walk(guest, "CR2", save.cr2);
}

} // namespace

void (*at_end)(Outcome);

void say_processor(const Guest& guest) {
    if (!guest.alone())
        say(decimal(guest.standing.index), ": ");
}

void record_exit(Guest& guest) {
    const VmcbControl& control = guest.vmcb->control;
    const uint64_t rip = guest.save().rip;
    note_exit(
        {control.exit_code, rip, control.exit_info1, control.exit_info2, guest.standing.index});
    if (!guest.settings.trace.exits)
        return;
    say_processor(guest);
    say("exit: ", exit_name(control.exit_code), " (", hex(control.exit_code), ") at ", hex(rip));
    say_code(guest);
    say(" information ", hex(control.exit_info1), " ", hex(control.exit_info2), "\n");
}

static bool marked;

bool was_marked() {
    return marked;
}

void mark(Guest& guest) {
    marked = true;
    say("sevhost: marker ", hex(guest.gprs[rbx]), ": ", decimal(exits_so_far()),
        " exits since the guest's entry\n");
}

void finish(Guest& guest, Outcome outcome) {
    if (at_end != nullptr)
        at_end(outcome);
    look_for_canary_in_shared_memory(guest);
    say_exits_by_kind();
    if (outcome != Outcome::success) {
        say_last_exits();
        say_processors(guest);
        say("sevhost: the guest's registers:\n");
        say_registers(guest);
        say_walks(guest);
    }
    leave(outcome);
}

void finish_terminated(Guest& guest, unsigned set, unsigned reason) {
    finish(guest, Outcome::terminated, "the guest terminated at ", hex(guest.save().rip),
           ": reason set ", decimal(set), ", reason ", decimal(reason), ": ",
           termination_name(set, reason));
}

} // namespace sevhost
