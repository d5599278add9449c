#include "exits.h"

#include "canary.h"
#include "control_registers.h"
#include "diagnosis.h"
#include "doorbell.h"
#include "events.h"
#include "ghcb_msr.h"
#include "guest_cpuid.h"
#include "hostile.h"
#include "intercepts.h"
#include "launch.h"
#include "machine.h"
#include "msrs.h"
#include "nested_fault.h"
#include "operand.h"
#include "place.h"
#include "port_io.h"
#include "processors.h"
#include "snp.h"
#include "stepping.h"
#include "svm_exits.h"
#include "vc.h"
#include "vmcb.h"
#include "vmgexit.h"
#include "waiting_room.h"
#include "watchdog.h"
#include "world_switch.h"

namespace sevhost {
namespace {

void handle_cpuid(Guest& guest) {
    const auto leaf = static_cast<uint32_t>(guest.gprs[rax]);
    const Cpuid r = guest_cpuid(guest, leaf, static_cast<uint32_t>(guest.gprs[rcx]));
    guest.gprs[rax] = r.eax;
    guest.gprs[rbx] = r.ebx;
    guest.gprs[rcx] = r.ecx;
    guest.gprs[rdx] = r.edx;
    skip_instruction(guest, Op::cpuid);
}

void handle_halt(Guest& guest) {
    if (!(guest.save().rflags & kFlagIf)) {
        if (guest.alone())
            finish(guest, Outcome::halted, "the guest halted at ", hex(guest.save().rip),
                   " with interrupts off");
        guest.standing.activity = Activity::halted;
        return skip_instruction(guest, Op::hlt);
    }
    if (guest.settings.injection == Injection::restricted) {
        wait_for_interrupt(guest);
        return skip_instruction(guest, Op::hlt);
    }
    guest.standing.halt_at = guest.save().rip;
    guest.standing.is_halting = true;
    let_halt_through(guest);
}

// Marks where the count of exits is taken: VMMCALL with this in EAX, whatever the
// guest; it is the only thing that is not as in hardware.
constexpr uint32_t kMarker = 0x4b52414d; // "MARK"

void handle_vmmcall(Guest& guest) {
    const Instruction instruction = instruction_at(guest);
    if (instruction.op == Op::vmgexit && guest.state_is_encrypted()) {
        if (!hostile_vmgexit(guest))
            serve_vmgexit(guest);
        skip_instruction(guest, instruction);
    } else if (static_cast<uint32_t>(guest.gprs[rax]) == kMarker) {
        mark(guest);
        skip_instruction(guest, instruction);
    } else if (guest.state_is_encrypted()) {
        raise_vc(guest, exit::kVmmcall);
    } else {
        inject_ud(guest);
    }
}

// What was being delivered when the exit came is delivered again: an exception that was
// injected would not be raised by its instruction, and is lost otherwise. (Of what is no
// exception, TCG says that there is an error code.)
void keep_interrupted_event(Guest& guest) {
    constexpr uint64_t kTypeMask = 7u << 8;
    constexpr uint64_t kExternal = 0;
    const uint64_t event = guest.vmcb->control.exit_interrupt;
    const uint64_t type = event & kTypeMask;
    if (!(event & kEventValid))
        return;
    if (type == kExternal || type == kEventNmi)
        guest.vmcb->control.event_injection = event & ~kEventHasErrorCode;
    else if (type == kEventException)
        guest.vmcb->control.event_injection = event;
}

// #UD: of an instruction that TCG does not know and an SNP machine does, or the guest's own.
void handle_undefined(Guest& guest) {
    const Instruction instruction = instruction_at(guest);
    const Intercepted& wanted = guest.settings.intercepted;
    if (instruction.op == Op::rdpru && wanted.rdpru)
        raise_vc(guest, exit::kRdpru);
    else if (instruction.op == Op::xsetbv && wanted.xsetbv)
        raise_vc(guest, exit::kXsetbv);
    else if (!guest.snp() || !execute_snp_instruction(guest, instruction))
        inject_ud(guest);
}

// TCG exits from INVD as from WBINVD, and from RDTSCP as from RDTSC; QEMU 10's from MOV of
// any control register as from CR0's (decode-new.c.inc adds the number to a code that is not 0).
uint64_t code_on_hardware(const Guest& guest, uint64_t code) {
    if (code == exit::kReadCr0 && instruction_at(guest).op == Op::mov_from_cr)
        return code + instruction_at(guest).control_register;
    if (code == exit::kWbinvd && instruction_at(guest).op == Op::invd)
        return exit::kInvd;
    if (code == exit::kRdtsc && instruction_at(guest).op == Op::rdtscp)
        return exit::kRdtscp;
    return code;
}

// TCG exits from RDTSCP only where it exits from RDTSC.
void handle_tsc(Guest& guest) {
    if (intercepts_tsc() || instruction_at(guest).op != Op::rdtsc)
        return raise_vc(guest, code_on_hardware(guest, exit::kRdtsc));
    const uint64_t tsc = read_tsc();
    guest.gprs[rax] = tsc & 0xffffffff;
    guest.gprs[rdx] = tsc >> 32;
    skip_instruction(guest, Op::rdtsc);
}

void handle_plain(Guest& guest, uint64_t code) {
    switch (code) {
    case exit::kCpuid:
        return handle_cpuid(guest);
    case exit::kIoio:
        return handle_port(guest);
    }
    refuse(guest, "exit ", hex(code), " is not one that the host asked for");
}

void handle(Guest& guest) {
    if (is_watchdog(guest))
        return;
    const uint64_t code = exit_code_of(guest);
    switch (code) {
    case exit::kNestedFault:
        keep_interrupted_event(guest);
        return handle_nested_fault(guest);
    case exit::kNmi:
        keep_interrupted_event(guest);
        return handle_stop(guest);
    case exit::kMsr:
        return handle_msr(guest);
    case exit::kHlt:
        return handle_halt(guest);
    case exit::kRdtsc:
        return handle_tsc(guest);
    case exit::kCr0Selective:
        return handle_cr0_write(guest);
    case exit::kVmmcall:
        return handle_vmmcall(guest);
    case exit::kUd:
        return handle_undefined(guest);
    case exit::kShutdown:
        finish(guest, Outcome::shutdown, "shutdown at ", hex(guest.save().rip),
               ": a fault while a double fault was delivered (APM vol. 2, 8.2.9)");
    case exit::kInvlpga:
    case exit::kVmrun:
    case exit::kVmload:
    case exit::kVmsave:
    case exit::kStgi:
    case exit::kClgi:
    case exit::kSkinit:
        return inject_ud(guest); // SVM is not for this guest
    case exit::kInvalid:
        return handle_invalid_state(guest);
    }
    if (guest.state_is_encrypted())
        raise_vc(guest, code_on_hardware(guest, code));
    else
        handle_plain(guest, code);
}

void handle_exit(Guest& guest) {
    record_exit(guest);
    if (exit_code_of(guest) != exit::kNmi) {
        intercept_halt(guest);
        guest.standing.is_halting = false;
    }
    if (!hostile_exit(guest))
        handle(guest);
}

bool all_is_accepted(Accepted accepted, ImageKind kind) {
    return accepted == Accepted::all ||
           (accepted == Accepted::by_image && kind == ImageKind::bzimage);
}

// SNP: a firmware has shared and registered it.
void give_old_ghcb(Guest& guest) {
    guest.rmp.share(layout::kOldGhcb, kPageBytes);
    guest.ghcb_registered = layout::kOldGhcb;
}

void require_profile(const Guest& guest, ImageKind kind) {
    if (guest.settings.sev > guest.profile.most)
        fail("HOST=", guest.profile.name, " has no guests of sev=", name(guest.settings.sev));
    if (guest.profile.first_ghcb == FirstGhcb::old_page && kind == ImageKind::flat)
        fail("HOST=", guest.profile.name,
             " is for what a firmware has started, and the image is "
             "the firmware");
}

} // namespace

void set_hosts_state(Guest& guest) {
    guest.save().cr4 |= guest.profile.cr4;
    guest.save().pat = guest.shadow_pat = guest.profile.pat;
    switch (guest.profile.first_ghcb) {
    case FirstGhcb::sev_info:
        guest.ghcb_msr = sev_info(guest);
        break;
    case FirstGhcb::zero:
        break;
    case FirstGhcb::old_page:
        guest.ghcb_msr = layout::kOldGhcb;
        break;
    }
}

void prepare_guest(Guest& guest) {
    prepare_processor(guest);
    guest.vm.processors[0] = &guest;
    guest.standing.activity = Activity::runs;
    guest.hostile = find_hostile(guest.settings);
    guest.by_c_bit.create(guest.host);
    guest.all_private.create(guest.host);
    VmcbControl& control = guest.vmcb->control;
    control.asid = 1;
    control.tlb_control = kTlbFlushAll;
    control.nested_enable = kNestedPaging;
    set_intercepts(guest);
    if (guest.settings.injection == Injection::restricted)
        control.virtual_interrupt |= kMasksInterrupts; // devices' go by the host
}

void place_guest(Guest& guest, const Images& images) {
    require_profile(guest, images.kind);
    place_memory(guest);
    const FirmwareTables tables = images.kind == ImageKind::flat ? FirmwareTables()
                                                                 : place_tables(guest);
    if (images.state && images.kind != ImageKind::elf)
        fail("a state file is for an ELF image only");
    switch (images.kind) {
    case ImageKind::bzimage:
        place_linux(guest, images, tables);
        break;
    case ImageKind::elf:
        place_elf(guest, images, tables);
        break;
    case ImageKind::flat:
        place_flat(guest, images);
        break;
    case ImageKind::igvm:
        place_igvm(guest, images, tables);
        break;
    }
    if (guest.state_is_encrypted())
        set_hosts_state(guest);
    if (guest.profile.first_ghcb == FirstGhcb::old_page && !guest.alone() && !guest.snp())
        place_waiting_room(guest);
    if (guest.snp()) {
        place_snp_pages(guest);
        if (all_is_accepted(guest.settings.accepted, images.kind))
            accept_all_memory(guest);
        create_reverse_map(guest);
        if (guest.profile.first_ghcb == FirstGhcb::old_page)
            give_old_ghcb(guest);
    }
    plant_canary(guest);
    if (!images.state) // which says what they hold
        plant_canary_in_registers(guest);
    update_vmcb_efer(guest);
    choose_nested_tables(guest);
    hostile_launch(guest);
}

void run_to_next_exit(Guest& guest) {
    hostile_before_entry(guest);
    ring_doorbell(guest);
    const bool one_step = is_stepping(guest);
    const uint64_t rip = guest.save().rip;
    begin_step(guest);
    guest.standing.has_another_state = false;
    let_others_in(guest);
    run_guest(guest);
    take_turn(guest);
    if (guest.standing.has_another_state)
        return; // the exit was that of the state before, which is no more
    if (!end_step(guest))
        handle_exit(guest);
    if (one_step && (exit_code_of(guest) == exit::kDb || guest.save().rip != rip))
        hostile_after_step(guest);
}

void run(Guest& guest) {
    for (;;) {
        wait_to_run(guest);
        run_to_next_exit(guest);
    }
}

} // namespace sevhost
