#include "vmgexit.h"

#include "canary.h"
#include "diagnosis.h"
#include "doorbell.h"
#include "events.h"
#include "exit_names.h"
#include "ghcb_msr.h"
#include "ghcb_msr_protocol.h"
#include "ghcb_request.h"
#include "guest_cpuid.h"
#include "hostile.h"
#include "journal.h"
#include "machine.h"
#include "mmio.h"
#include "msrs.h"
#include "port_io.h"
#include "processor_start.h"
#include "snp.h"
#include "svm_exits.h"

#include <string.h>

namespace sevhost {
namespace {

// What the guest is told: SW_EXITINFO1 and 2; and the registers are in the page.
struct Answer {
    uint64_t info1 = kGhcbDone;
    uint64_t info2 = 0;
};

struct Call {
    Guest& guest;
    GhcbPage& page;
    const GhcbRequest& request;
};

Answer malformed(Malformed reason) {
    return {kGhcbMalformed, static_cast<uint64_t>(reason)};
}

// Without its error code, as KVM has it (svm_vmgexit_inject_exception).
Answer general_protection() {
    return {kGhcbException, kEventValid | kEventException | kVectorGp};
}

// What the host gives back: only that is valid in the page afterwards.
void set_registers(Call& call, uint64_t rax_value, uint64_t rdx_value) {
    call.page.set(ghcb_at::kRax, rax_value);
    call.page.set(ghcb_at::kRdx, rdx_value);
}

Answer serve_cpuid(Call& call) {
    const auto leaf = static_cast<uint32_t>(call.request.rax);
    const auto subleaf = static_cast<uint32_t>(call.request.rcx);
    const Cpuid c = hostile_cpuid(call.guest, leaf, subleaf,
                                  guest_cpuid(call.guest, leaf, subleaf));
    set_registers(call, c.eax, c.edx);
    call.page.set(ghcb_at::kRbx, c.ebx);
    call.page.set(ghcb_at::kRcx, c.ecx);
    return {};
}

Answer serve_msr(Call& call) {
    const auto msr = static_cast<uint32_t>(call.request.rcx);
    if (call.request.info1 != 0) {
        uint64_t value = call.request.rdx << 32 | static_cast<uint32_t>(call.request.rax);
        if (hostile_msr(call.guest, msr, true, value))
            return {};
        return write_guest_msr(call.guest, msr, value) ? Answer() : general_protection();
    }
    uint64_t value = 0;
    if (!hostile_msr(call.guest, msr, false, value) && !read_guest_msr(call.guest, msr, value)) {
        if (!call.guest.profile.has_few_msrs)
            return general_protection();
        inject_gp(call.guest); // vmm's vmm_inject_gp: it comes behind VMGEXIT, and the page answers
    }
    set_registers(call, value & 0xffffffff, value >> 32);
    return {};
}

// The host reads and writes what it has mapped itself: the shared page at that address, even
// where the guest's own is private (KVM: kvm_vcpu_map, kvm_read_guest).
bool is_shared(const Guest& guest, GuestPhys start, uint64_t bytes) {
    if (!guest.snp())
        return true;
    for (GuestPhys page = start & ~(kPageBytes - 1); page < start + bytes; page += kPageBytes)
        if (guest.rmp.is_assigned(page))
            return false;
    return true;
}

void warn_of_private(const Guest& guest, GuestPhys at, uint64_t bytes, const char* what) {
    if (!is_shared(guest, at, bytes))
        say("sevhost: ", what, " is ", hex(at),
            ", a page that is private in the reverse map: the "
            "host uses the shared one there, which is another (APM vol. 2, 15.36.10)\n");
}

// Where SW_SCRATCH points, or nullptr.
uint8_t* scratch(Call& call, uint64_t bytes) {
    Guest& guest = call.guest;
    const GuestPhys at = call.request.scratch;
    switch (scratch_place(call.request, guest.ghcb_msr, bytes)) {
    case ScratchPlace::missing:
    case ScratchPlace::misplaced:
        return nullptr;
    case ScratchPlace::inside:
        break;
    case ScratchPlace::elsewhere:
        warn_of_private(guest, at, bytes, "SW_SCRATCH");
    }
    return guest.memory.at(at, bytes, Backing::shared);
}

Answer serve_port_string(Call& call, const PortRequest& port) {
    uint8_t* data = scratch(call, port.count * port.bytes);
    if (data == nullptr)
        return malformed(Malformed::scratch);
    for (uint64_t i = 0; i != port.count; ++i, data += port.bytes) {
        uint32_t value = 0;
        if (port.in) {
            value = port_in(call.guest, port.port, port.bytes);
            memcpy(data, &value, port.bytes);
        } else {
            memcpy(&value, data, port.bytes);
            port_out(call.guest, port.port, port.bytes, value);
        }
    }
    return {};
}

Answer serve_port(Call& call) {
    const PortRequest port = port_request(call.request);
    if (port.string)
        return serve_port_string(call, port);
    const uint64_t given = call.request.rax;
    const uint64_t mask = (uint64_t{1} << 8 * port.bytes) - 1;
    if (port.in)
        call.page.set(ghcb_at::kRax, (given & ~mask) | port_in(call.guest, port.port, port.bytes));
    else
        port_out(call.guest, port.port, port.bytes, static_cast<uint32_t>(given & mask));
    return {};
}

// Long accesses go piece by piece, each as large as its address and the rest allow.
unsigned piece_at(GuestPhys at, uint64_t rest) {
    unsigned bytes = 8;
    while (bytes > rest || at % bytes != 0)
        bytes /= 2;
    return bytes;
}

// Where memory is, it is memory that is read or written, as the host sees it: KVM leaves what no
// device of its own has to its user (arch/x86/kvm/x86.c, kvm_sev_es_mmio), and QEMU finds RAM.
bool memory_access(Call& call, GuestPhys at, uint8_t* data, unsigned bytes) {
    uint8_t* const memory = call.guest.memory.at(at, bytes, Backing::shared);
    if (memory == nullptr)
        return false;
    if (call.request.code == nae::kMmioRead)
        memcpy(data, memory, bytes);
    else
        memcpy(memory, data, bytes);
    return true;
}

Answer serve_mmio(Call& call) {
    GuestPhys at = call.request.info1;
    uint64_t rest = call.request.info2;
    uint8_t* data = scratch(call, rest);
    if (data == nullptr)
        return malformed(Malformed::scratch);
    while (rest != 0) {
        const unsigned bytes = piece_at(at, rest);
        const bool done = memory_access(call, at, data, bytes) ||
                          (call.request.code == nae::kMmioRead
                               ? mmio_read(call.guest, at, data, bytes)
                               : mmio_write(call.guest, at, data, bytes));
        if (!done)
            return malformed(Malformed::invalid_input);
        at += bytes;
        data += bytes;
        rest -= bytes;
    }
    return {};
}

Answer serve_tsc(Call& call) {
    const uint64_t tsc = read_tsc();
    set_registers(call, tsc & 0xffffffff, tsc >> 32);
    if (call.request.code == exit::kRdtscp)
        call.page.set(ghcb_at::kRcx, 0);
    return {};
}

Answer serve_dr7(Call& call) {
    if (call.request.code == exit::kReadDr7)
        call.page.set(ghcb_at::kRax, call.guest.dr7);
    else
        call.guest.dr7 = call.request.rax;
    return {};
}

Answer serve_page_state_list(Call& call) {
    if (!call.guest.snp())
        return malformed(Malformed::invalid_event);
    uint8_t* list = scratch(call, kPageStateListBytes);
    if (list == nullptr)
        return malformed(Malformed::scratch);
    return {kGhcbDone, change_page_state_list(call.guest, list)};
}

// Where a firmware leaves the address from which other processors start (4.1.8).
Answer serve_jump_table(Call& call) {
    constexpr uint64_t kSet = 0;
    if (call.request.info1 != kSet)
        return {kGhcbDone, call.guest.ap_jump_table};
    call.guest.ap_jump_table = call.request.info2;
    return {};
}

// Attestation: there is no secure processor to ask (4.1.7).
Answer serve_guest_request(Call& call) {
    constexpr uint64_t kGenericError = uint64_t{0xffffffff} << 32;
    const GhcbRequest& r = call.request;
    if (!call.guest.snp())
        return malformed(Malformed::invalid_event);
    warn_of_private(call.guest, r.info1, kPageBytes, "a guest request");
    warn_of_private(call.guest, r.info2, kPageBytes, "the answer to a guest request");
    return {kGhcbDone, kGenericError};
}

Answer serve_ap_creation(Call& call) {
    const GhcbRequest& r = call.request;
    const bool done = create_processor(call.guest, {r.info1, r.info2, r.rax});
    return done ? Answer() : malformed(Malformed::invalid_input);
}

Answer serve_hv_doorbell(Call& call) {
    if (call.guest.settings.injection != Injection::restricted)
        return malformed(Malformed::invalid_event);
    uint64_t address = call.request.info2;
    if (!serve_doorbell(call.guest, call.request.info1, address))
        return malformed(Malformed::invalid_input);
    warn_of_private(call.guest, call.guest.doorbell, kPageBytes, "the #HV doorbell page");
    return {kGhcbDone, address};
}

// KVM knows no such call (kvm_emulate_hypercall).
Answer serve_hypercall(Call& call) {
    constexpr int64_t kNotServed = -1000, kNotPermitted = -1; // KVM_ENOSYS, KVM_EPERM
    call.page.set(ghcb_at::kRax,
                  static_cast<uint64_t>(call.request.cpl == 0 ? kNotServed : kNotPermitted));
    return {};
}

[[noreturn]] void serve_terminate(Call& call) {
    finish_terminated(call.guest, call.request.info1 & 0xf, call.request.info1 >> 4 & 0xff);
}

Answer serve(Call& call) {
    switch (call.request.code) {
    case exit::kCpuid:
        return serve_cpuid(call);
    case exit::kMsr:
        return serve_msr(call);
    case exit::kIoio:
        return serve_port(call);
    case nae::kMmioRead:
    case nae::kMmioWrite:
        return serve_mmio(call);
    case exit::kRdtsc:
    case exit::kRdtscp:
        return serve_tsc(call);
    case exit::kRdpmc: // no counter is there
        return general_protection();
    case exit::kVmmcall:
        return serve_hypercall(call);
    case exit::kReadDr7:
    case exit::kWriteDr7:
        return serve_dr7(call);
    case exit::kInvd:
    case exit::kWbinvd:
    case exit::kMonitor:
    case exit::kMwait:
    case nae::kNmiComplete:
        return {};
    case nae::kApJumpTable:
        return serve_jump_table(call);
    case nae::kPageStateChange:
        return serve_page_state_list(call);
    case nae::kGuestRequest:
    case nae::kExtendedGuestRequest:
        return serve_guest_request(call);
    case nae::kFeatures:
        return {kGhcbDone, hypervisor_features(call.guest)};
    case nae::kApCreation:
        return serve_ap_creation(call);
    case nae::kHvDoorbell:
        return serve_hv_doorbell(call);
    case nae::kApResetHold:
        hold(call.guest, ResetHold::by_page);
        return {}; // unless a SIPI comes
    case nae::kTerminate:
        serve_terminate(call);
    case nae::kUnsupported:
        finish(call.guest, Outcome::terminated,
               "the guest reports a #VC that it does not support: exit code ",
               hex(call.request.info1), ", information ", hex(call.request.info2));
    }
    return malformed(Malformed::invalid_event);
}

// edk2 of 2022 clears the pages that it makes after its first, version and all.
void warn_of_version(const GhcbRequest& request) {
    static bool said = false;
    if (is_of_version(request) || said)
        return;
    say("sevhost: the GHCB page names version ", decimal(request.version), " for ",
        exit_name(request.code), " (56421, 2.6): no host looks at it\n");
    said = true;
}

// The address of the page to look at: what the MSR names, or what it named first.
GuestPhys ghcb_address(Guest& guest) {
    if (!guest.profile.keeps_first_ghcb)
        return guest.ghcb_msr;
    if (guest.first_ghcb == 0)
        guest.first_ghcb = guest.ghcb_msr;
    if (guest.first_ghcb != guest.ghcb_msr)
        say("sevhost: VMGEXIT with the GHCB at ", hex(guest.ghcb_msr),
            ": HOST=", guest.profile.name, " keeps the first, at ", hex(guest.first_ghcb), "\n");
    return guest.first_ghcb;
}

// nullptr: the host cannot map it, and the guest goes on without an answer.
uint8_t* ghcb_page(Guest& guest) {
    const GuestPhys at = ghcb_address(guest);
    uint8_t* bytes = at == 0 ? nullptr : guest.memory.at(at, kPageBytes, Backing::shared);
    if (bytes == nullptr && guest.profile.ends_on_wrong_requests)
        refuse(guest, "VMGEXIT with the GHCB at ", hex(at),
               ", where no memory is: HOST=", guest.profile.name, " ends the VM");
    if (bytes == nullptr)
        say("sevhost: VMGEXIT with the GHCB at ", hex(at),
            ", where no memory is: the guest goes on without an answer\n");
    else
        warn_of_private(guest, at, kPageBytes, "the GHCB");
    return bytes;
}

// KVM reports it to QEMU as an error of its own (sev_handle_vmgexit).
void require_registered(Guest& guest) {
    if (guest.snp() && guest.ghcb_msr != guest.ghcb_registered)
        refuse(guest, "VMGEXIT with the GHCB at ", hex(guest.ghcb_msr),
               ", which is not registered (56421, 2.3.2): the host ends the VM");
}

bool is_served(const Profile& profile, const GhcbRequest& request) {
    const bool string = request.code == exit::kIoio && (request.info1 & kIoString);
    return profile.page_events.has(request.code) && (!string || profile.serves_port_strings);
}

void require_right(Guest& guest, const GhcbRequest& request, Malformed why) {
    if (!guest.profile.ends_on_wrong_requests)
        return;
    if (!is_served(guest.profile, request))
        refuse(guest, "GHCB request ", exit_name(request.code), " (", hex(request.code),
               ") is none that HOST=", guest.profile.name, " serves: it ends the VM");
    if (why != Malformed::nothing)
        refuse(guest, "GHCB request ", exit_name(request.code), " (", hex(request.code),
               ") is malformed: ", malformed_text(why), ": HOST=", guest.profile.name,
               " ends the VM");
}

// All of them are valid in the answer, whatever the request was of (KVM: sev_es_sync_to_ghcb).
void return_registers(GhcbPage& page, const GhcbRequest& request) {
    page.set(ghcb_at::kRax, request.rax);
    page.set(ghcb_at::kRbx, request.rbx);
    page.set(ghcb_at::kRcx, request.rcx);
    page.set(ghcb_at::kRdx, request.rdx);
}

void say_request(const Guest& guest, const GhcbRequest& r, const Answer& answer) {
    if (answer.info1 == kGhcbMalformed)
        say("sevhost: GHCB request ", exit_name(r.code), " (", hex(r.code), ") at ",
            hex(guest.save().rip),
            " is malformed: ", malformed_text(static_cast<Malformed>(answer.info2)), "\n");
    if (!guest.settings.trace.protocol)
        return;
    say_processor(guest);
    say("ghcb: ", exit_name(r.code), " (", hex(r.code), ") ", hex(r.info1), " ", hex(r.info2),
        " rax ", hex(r.rax), " rcx ", hex(r.rcx), " rdx ", hex(r.rdx), " scratch ", hex(r.scratch),
        " -> ", hex(answer.info1), " ", hex(answer.info2), "\n");
}

void serve_page(Guest& guest) {
    uint8_t* bytes = ghcb_page(guest);
    if (bytes == nullptr)
        return;
    require_registered(guest);
    GhcbPage page(bytes);
    GhcbRequest request;
    const Malformed why = read_ghcb_request(page, request);
    require_right(guest, request, why);
    warn_of_version(request);
    note_request(request.code);
    if (guest.profile.clears_page)
        memset(bytes, 0, kPageBytes);
    page.invalidate_all();
    if (guest.profile.returns_all_registers)
        return_registers(page, request);
    Call call = {guest, page, request};
    const Answer answer = why == Malformed::nothing ? serve(call) : malformed(why);
    page.set(ghcb_at::kExitInfo1, answer.info1);
    page.set(ghcb_at::kExitInfo2, answer.info2);
    hostile_ghcb_response(guest, request.code, page);
    say_request(guest, request, answer);
}

} // namespace

void serve_vmgexit(Guest& guest) {
    look_for_canary_at_vmgexit(guest);
    if (guest.ghcb_msr & ghcb_msr::kCodeMask)
        serve_ghcb_msr(guest);
    else
        serve_page(guest);
}

} // namespace sevhost
