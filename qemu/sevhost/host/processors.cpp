#include "processors.h"

#include "diagnosis.h"
#include "exits.h"
#include "intercepts.h"
#include "local_apic.h"
#include "machine.h"
#include "outcome.h"
#include "place.h"
#include "processor_start.h"
#include "prologue/cpus.h"
#include "safe_msr.h"
#include "schedule.h"
#include "world_switch.h"

namespace sevhost {
namespace {

constexpr uint64_t kStackBytes = 16384;
constexpr uint64_t kMemoryBytes = PROLOGUE_CPUS_SHARED_BYTES +
                                  (kMostProcessors - 1) * (kStackBytes + PROLOGUE_CPU_OWN_BYTES);
alignas(kPageBytes) uint8_t memory[kMemoryBytes];
prologue_cpu list[kMostProcessors];

Guest* boot_processor;

// Who comes first has the first turn.
uint32_t next_ticket, turn;

void pause() {
    asm volatile("pause" : : : "memory");
}

void wait_for_turn() {
    const uint32_t ticket = __atomic_fetch_add(&next_ticket, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != ticket)
        pause();
}

void end_turn() {
    __atomic_store_n(&turn, turn + 1, __ATOMIC_RELEASE);
}

bool is_in_guest(const Guest& guest) {
    return __atomic_load_n(&guest.standing.in_guest, __ATOMIC_ACQUIRE);
}

void set_in_guest(Guest& guest, bool in_guest) {
    __atomic_store_n(&guest.standing.in_guest, in_guest, __ATOMIC_RELEASE);
}

// A function of the host's of its own, and so a stack of its own.
void processor_main(prologue_cpu* cpu) {
    wait_for_turn();
    Guest guest(boot_processor->vm);
    use_hosts_idt();
    prepare_processor(guest);
    guest.standing.index = cpu->index;
    guest.standing.apic_id = cpu->apic_id;
    guest.vmcb->control = boot_processor->vmcb->control;
    guest.alias_mask = boot_processor->alias_mask;
    guest.reverse_map = boot_processor->reverse_map;
    launch_processor(guest);
    guest.vm.processors[cpu->index] = &guest;
    __atomic_add_fetch(&guest.vm.count, 1, __ATOMIC_RELEASE);
    run(guest);
}

void require_processors(prologue_cpus& cpus, unsigned wanted) {
    prologue_find_cpus(&cpus);
    if (cpus.count != wanted)
        fail("cpus=", decimal(wanted), ", and the machine has ", decimal(cpus.found),
             ": QEMU wants -smp ", decimal(wanted));
}

bool somebody_runs(const Vm& vm) {
    bool found = false;
    for_each_processor(
        vm, [&](const Guest& each) { found |= each.standing.activity == Activity::runs; });
    return found;
}

void inject_nmi(Guest& guest) {
    uint64_t& event = guest.vmcb->control.event_injection;
    if (event & kEventValid)
        return;
    event = kEventValid | kEventNmi | kVectorNmi;
    guest.standing.nmi = false;
}

} // namespace

const char* text(Activity activity) {
    switch (activity) {
    case Activity::runs:
        return "runs";
    case Activity::halted:
        return "has halted with interrupts off";
    case Activity::held:
        return "is in AP reset hold";
    case Activity::waits_for_init:
        return "waits for INIT";
    case Activity::waits_for_sipi:
        return "waits for a SIPI";
    case Activity::is_gone:
        return "has no VMSA";
    }
    return "?";
}

void prepare_processor(Guest& guest) {
    guest.vmcb_phys = guest.host.take_page();
    guest.vmcb = guest.host.at<Vmcb>(guest.vmcb_phys);
    guest.host_vmcb_phys = prepare_world_switch(guest.host);
}

void start_processors(Guest& boot) {
    if (boot.alone())
        return;
    boot_processor = &boot;
    boot.host.several_processors = true;
    prologue_handoff handoff = boot.host.handoff();
    handoff.rsdp_phys = find_rsdp(boot.host); // Multiboot 1 has no word for it
    prologue_cpus cpus = {};
    cpus.handoff = &handoff;
    cpus.cpu = list;
    cpus.room = kMostProcessors;
    require_processors(cpus, boot.settings.processors);
    boot.standing.apic_id = list[0].apic_id;
    boot.vmcb->control.misc1 |= kInterceptNmi;

    prologue_cpus_start start = {};
    start.entry = processor_main;
    start.stack_bytes = kStackBytes;
    start.memory = memory;
    start.memory_bytes = sizeof memory;
    if (prologue_start_cpus(&cpus, &start) != PROLOGUE_CPUS_DONE)
        fail("of the machine's ", decimal(cpus.count), " processors ", decimal(start.started + 1),
             " have come");
    while (__atomic_load_n(&boot.vm.count, __ATOMIC_ACQUIRE) != cpus.count)
        pause();
    wait_for_turn();
}

void wait_to_run(Guest& guest) {
    while (guest.standing.activity != Activity::runs) {
        if (guest.vm.count == guest.settings.processors && !somebody_runs(guest.vm))
            finish(guest, Outcome::halted, "no processor runs, and none can start another");
        end_turn();
        pause();
        wait_for_turn();
    }
    if (guest.standing.nmi)
        inject_nmi(guest);
}

void let_others_in(Guest& guest) {
    if (guest.alone())
        return;
    set_in_guest(guest, true);
    end_turn();
    for (unsigned turns = turns_to_wait(guest.settings); turns != 0; --turns)
        pause();
}

void take_turn(Guest& guest) {
    if (guest.alone())
        return;
    set_in_guest(guest, false);
    wait_for_turn();
}

void stop(Guest& by, Guest& other) {
    if (&by == &other || !is_in_guest(other))
        return;
    send_nmi(by, other.standing.apic_id);
    while (is_in_guest(other))
        pause();
}

void stop_all_others(Guest& guest) {
    if (guest.alone())
        return;
    for_each_processor(guest.vm, [&](Guest& other) { stop(guest, other); });
}

// The NMI is the host's own, and is taken where GIF is set. HLT, in which it has come, is done
// again, with interrupts held off until then, so that none is lost.
void handle_stop(Guest& guest) {
    asm volatile("stgi; nop; clgi" : : : "memory");
    Standing& standing = guest.standing;
    if (standing.is_halting && guest.save().rip == standing.halt_at + 1) {
        guest.save().rip = standing.halt_at;
        guest.vmcb->control.interrupt_shadow = 1;
    }
}

} // namespace sevhost
