#include "processor_start.h"

#include "control_registers.h"
#include "diagnosis.h"
#include "exits.h"
#include "ghcb.h"
#include "ghcb_msr_protocol.h"
#include "hostile.h"
#include "nested_fault.h"
#include "place.h"
#include "processors.h"
#include "vmsa.h"
#include "waiting_room.h"

namespace sevhost {
namespace {

constexpr unsigned kApicIdShift = 32;
enum ApCreation : uint32_t { kCreateAtInit = 0, kCreate = 1, kDestroy = 2 };

template <typename... Parts>
void tell(const Guest& sender, const Guest& other, Parts... parts) {
    if (sender.settings.trace.protocol)
        say("processor ", decimal(sender.standing.index), ": ", parts..., " for processor ",
            decimal(other.standing.index), "\n");
}

// What VMRUN looks at (APM vol. 2, 15.5.1 and 15.36.12); KVM tells QEMU of it, and that is the end.
void require_vmsa(Guest& guest, GuestPhys at, const uint8_t* page) {
    if (!guest.rmp.is_vmsa(at))
        refuse(guest, "the VMSA at ", hex(at), " of processor ", decimal(guest.standing.index),
               " is no such page in the reverse map: VMRUN fails (APM vol. 2, 15.36.12)");
    const VmsaFields fields = read_vmsa_fields(page);
    if (fields.features != kVmsaFeatureSnp)
        refuse(guest, "the VMSA at ", hex(at), " has the features ", hex(fields.features),
               ", and the guest has ", hex(kVmsaFeatureSnp));
    if (fields.vmpl != 0)
        refuse(guest, "the VMSA at ", hex(at), " is of VMPL ", decimal(fields.vmpl),
               ": this host has no other than 0");
}

// KVM: sev_snp_init_protected_guest_state.
void use_next_vmsa(Guest& other) {
    Standing& standing = other.standing;
    standing.has_next_vmsa = false;
    if (standing.vmsa != kNoVmsa)
        other.rmp.set_in_use(standing.vmsa, false);
    standing.vmsa = standing.next_vmsa;
    standing.next_vmsa = kNoVmsa;
    standing.activity = Activity::is_gone;
    standing.has_another_state = true;
    if (standing.vmsa == kNoVmsa)
        return;
    const uint8_t* page = other.memory.at(standing.vmsa, kPageBytes, Backing::private_);
    require_vmsa(other, standing.vmsa, page);
    other.rmp.set_in_use(standing.vmsa, true);
    load_vmsa(other, page);
    if (!(other.save().efer & kEferSvme))
        refuse(other, "the VMSA at ", hex(standing.vmsa), " has EFER ", hex(other.save().efer),
               ": VMRUN ends with VMEXIT_INVALID, since EFER.SVME is zero (APM vol. 2, 15.5.1)");
    other.efer = other.save().efer & ~(kEferSvme | kEferLma);
    other.vmcb->control.event_injection = 0;
    other.vmcb->control.interrupt_shadow = 0;
    standing.is_halting = false;
    update_vmcb_efer(other);
    choose_nested_tables(other);
    standing.has_state = true;
    standing.activity = Activity::runs;
}

// KVM: sev_vcpu_deliver_sipi_vector.
void release(Guest& other) {
    constexpr uint64_t kSipiHasCome = 1;
    switch (other.standing.hold) {
    case ResetHold::none:
        break;
    case ResetHold::by_msr:
        other.ghcb_msr = hold_response(kSipiHasCome);
        break;
    case ResetHold::by_page:
        if (uint8_t* page = other.memory.at(other.ghcb_msr, kPageBytes, Backing::shared))
            GhcbPage(page).set(ghcb_at::kExitInfo2, kSipiHasCome);
        break;
    }
}

Guest* processor_of(const Vm& vm, uint32_t apic_id) {
    Guest* found = nullptr;
    for_each_processor(vm, [&](Guest& each) {
        if (each.standing.apic_id == apic_id)
            found = &each;
    });
    return found;
}

bool is_right_vmsa(const Guest& guest, const ApRequest& request) {
    return request.features == kVmsaFeatureSnp && request.vmsa % kPageBytes == 0 &&
           guest.memory.find(request.vmsa, kPageBytes) != nullptr &&
           request.vmsa % kLargePageBytes != 0; // an erratum: KVM refuses it
}

} // namespace

// QEMU: sev_es_set_reset_vector has the others begin where the firmware says; a firmware that has
// run holds them, and has said where they go on.
void launch_processor(Guest& guest) {
    enter_reset(guest);
    set_hosts_state(guest);
    if (guest.vm.ap_reset != 0) {
        guest.save().cs.base = guest.vm.ap_reset & 0xffff0000;
        guest.save().rip = guest.vm.ap_reset & 0xffff;
        guest.standing.has_state = true;
    }
    if (guest.vm.has_waiting_room)
        enter_waiting_room(guest);
    update_vmcb_efer(guest);
    choose_nested_tables(guest);
}

void deliver_init(Guest& sender, Guest& other) {
    tell(sender, other, "INIT");
    stop(sender, other);
    if (other.standing.has_next_vmsa)
        use_next_vmsa(other);
    if (other.standing.index != 0)
        other.standing.activity = Activity::waits_for_sipi;
}

// The vector is the host's to know, and nobody's to use: the state is encrypted.
void deliver_sipi(Guest& sender, Guest& other, uint8_t vector) {
    tell(sender, other, "SIPI, vector ", hex(vector), ",");
    Standing& standing = other.standing;
    if (standing.activity != Activity::waits_for_sipi)
        return;
    if (!standing.has_state)
        refuse(sender, "a SIPI for processor ", decimal(standing.index),
               ", which has no state: "
               "nobody has launched a VMSA for it, since no firmware says where it begins");
    if (!hostile_start(sender, other))
        start_as_asked(other);
}

void start_as_asked(Guest& other) {
    if (other.standing.has_next_vmsa)
        return use_next_vmsa(other);
    if (other.standing.has_had_sipi)
        release(other);
    other.standing.has_had_sipi = true;
    other.standing.activity = Activity::runs;
}

void deliver_nmi(Guest& sender, Guest& other) {
    tell(sender, other, "NMI");
    stop(sender, other);
    other.standing.nmi = true;
    if (other.standing.activity == Activity::halted)
        other.standing.activity = Activity::runs;
}

void hold(Guest& guest, ResetHold how) {
    if (guest.alone())
        finish(guest, Outcome::halted, "AP reset hold: there is no other processor to end it");
    guest.standing.hold = how;
    ++guest.standing.holds;
    guest.standing.activity = Activity::held;
}

bool create_processor(Guest& guest, const ApRequest& request) {
    const auto what = static_cast<uint32_t>(request.info1); // and the VMPL, 0 alone is served
    const auto apic_id = static_cast<uint32_t>(request.info1 >> kApicIdShift);
    if (apic_id == guest.standing.apic_id)
        refuse(guest, "the processor asks to be given another state itself: this host does not do "
                      "that under a processor that runs");
    Guest* other = processor_of(guest.vm, apic_id);
    if (other == nullptr || what > kDestroy)
        return false;
    if (what != kDestroy && !is_right_vmsa(guest, request))
        return false;
    tell(guest, *other, what == kDestroy ? "destruction" : "creation, VMSA ", hex(request.vmsa));
    other->standing.next_vmsa = what == kDestroy ? kNoVmsa : request.vmsa;
    other->standing.has_next_vmsa = true;
    if (what == kCreateAtInit)
        return true;
    if (hostile_start(guest, *other))
        return true;
    stop(guest, *other);
    use_next_vmsa(*other);
    return true;
}

} // namespace sevhost
