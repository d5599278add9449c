#include "vmgexit.h"

#include "diagnosis.h"
#include "exit_names.h"
#include "ghcb.h"
#include "ghcb_msr.h"
#include "guest_cpuid.h"
#include "hostile.h"
#include "journal.h"
#include "machine.h"
#include "mmio.h"
#include "msrs.h"
#include "page_state.h"
#include "port_io.h"
#include "svm_exits.h"

namespace sevhost {
namespace {

// A request: what the guest put into the page, read once.
struct Request {
    Guest& guest;
    GhcbPage& page;
    uint64_t code, info1, info2;
};

// What the guest is told: SW_EXITINFO1 and 2.
struct Answer {
    uint64_t info1 = kGhcbDone;
    uint64_t info2 = 0;
};

Answer malformed(Malformed reason) {
    return {kGhcbMalformed, static_cast<uint64_t>(reason)};
}

Answer general_protection() {
    return {kGhcbException, kEventValid | kEventException | kEventHasErrorCode | kVectorGp};
}

bool has(const Request& r, unsigned offset) {
    return r.page.valid(offset);
}

Answer serve_cpuid(Request& r) {
    if (!has(r, ghcb_at::kRax) || !has(r, ghcb_at::kRcx))
        return malformed(Malformed::missing_input);
    const auto leaf = static_cast<uint32_t>(r.page.get(ghcb_at::kRax));
    const auto subleaf = static_cast<uint32_t>(r.page.get(ghcb_at::kRcx));
    if (leaf == kCpuidXsave && !has(r, ghcb_at::kXcr0))
        return malformed(Malformed::missing_input); // 4.1.2
    const Cpuid c = hostile_cpuid(r.guest, leaf, subleaf, guest_cpuid(r.guest, leaf, subleaf));
    r.page.invalidate_all();
    r.page.set(ghcb_at::kRax, c.eax);
    r.page.set(ghcb_at::kRbx, c.ebx);
    r.page.set(ghcb_at::kRcx, c.ecx);
    r.page.set(ghcb_at::kRdx, c.edx);
    return {};
}

Answer serve_msr(Request& r) {
    const bool write = r.info1 & 1;
    if (!has(r, ghcb_at::kRcx) ||
        (write && (!has(r, ghcb_at::kRax) || !has(r, ghcb_at::kRdx))))
        return malformed(Malformed::missing_input);
    const auto msr = static_cast<uint32_t>(r.page.get(ghcb_at::kRcx));
    if (write) {
        const uint64_t value = r.page.get(ghcb_at::kRdx) << 32 |
                               static_cast<uint32_t>(r.page.get(ghcb_at::kRax));
        return write_guest_msr(r.guest, msr, value) ? Answer() : general_protection();
    }
    uint64_t value = 0;
    if (!read_guest_msr(r.guest, msr, value))
        return general_protection();
    r.page.invalidate_all();
    r.page.set(ghcb_at::kRax, value & 0xffffffff);
    r.page.set(ghcb_at::kRdx, value >> 32);
    return {};
}

// Where SW_SCRATCH points: into the page's buffer, or to shared memory elsewhere (4.1).
uint8_t* scratch(Request& r, uint64_t bytes) {
    if (!has(r, ghcb_at::kScratch))
        return nullptr;
    const GuestPhys at = r.page.get(ghcb_at::kScratch) & ~r.guest.c_bit_mask();
    const GuestPhys page = r.guest.ghcb_msr;
    const bool inside = at >= page && at < page + kPageBytes;
    if (inside && (at < page + ghcb_at::kSharedBuffer ||
                   at + bytes > page + ghcb_at::kSharedBufferEnd))
        return nullptr;
    return r.guest.memory.at(at, bytes, Backing::shared);
}

Answer serve_port_string(Request& r, uint16_t port, unsigned bytes) {
    const uint64_t count = r.info1 & kIoRep ? r.info2 : 1;
    constexpr uint64_t kMostBytes = 16 << 10;
    if (count > kMostBytes / bytes)
        return malformed(Malformed::invalid_input);
    uint8_t* data = scratch(r, count * bytes);
    if (data == nullptr)
        return malformed(Malformed::scratch);
    for (uint64_t i = 0; i != count; ++i) {
        uint32_t value = 0;
        if (r.info1 & kIoIn) {
            value = port_in(r.guest, port, bytes);
            memcpy(data + i * bytes, &value, bytes);
        } else {
            memcpy(&value, data + i * bytes, bytes);
            port_out(r.guest, port, bytes, value);
        }
    }
    return {};
}

Answer serve_port(Request& r) {
    const auto port = static_cast<uint16_t>(r.info1 >> kIoPortShift);
    const unsigned bytes = r.info1 >> kIoBytesShift & 7;
    if (bytes != 1 && bytes != 2 && bytes != 4)
        return malformed(Malformed::invalid_input);
    if (r.info1 & kIoString)
        return serve_port_string(r, port, bytes);
    if (!has(r, ghcb_at::kRax))
        return malformed(Malformed::missing_input);
    const uint64_t given = r.page.get(ghcb_at::kRax);
    const uint64_t mask = (uint64_t{1} << 8 * bytes) - 1;
    if (r.info1 & kIoIn) {
        const uint64_t value = port_in(r.guest, port, bytes);
        r.page.invalidate_all();
        r.page.set(ghcb_at::kRax, (given & ~mask) | value);
    } else {
        port_out(r.guest, port, bytes, static_cast<uint32_t>(given & mask));
    }
    return {};
}

Answer serve_mmio(Request& r) {
    constexpr uint64_t kMostBytes = 8;
    if (r.info2 == 0 || r.info2 > kMostBytes || (r.info2 & (r.info2 - 1)) != 0)
        return malformed(Malformed::invalid_input);
    uint8_t* data = scratch(r, r.info2);
    if (data == nullptr)
        return malformed(Malformed::scratch);
    const GuestPhys at = r.info1 & ~r.guest.c_bit_mask();
    const auto bytes = static_cast<unsigned>(r.info2);
    const bool done = r.code == nae::kMmioRead ? mmio_read(r.guest, at, data, bytes)
                                               : mmio_write(r.guest, at, data, bytes);
    return done ? Answer() : malformed(Malformed::invalid_input);
}

Answer serve_tsc(Request& r) {
    const uint64_t tsc = read_tsc();
    r.page.invalidate_all();
    r.page.set(ghcb_at::kRax, tsc & 0xffffffff);
    r.page.set(ghcb_at::kRdx, tsc >> 32);
    if (r.code == exit::kRdtscp)
        r.page.set(ghcb_at::kRcx, 0);
    return {};
}

Answer serve_dr7(Request& r) {
    if (r.code == exit::kReadDr7) {
        r.page.invalidate_all();
        r.page.set(ghcb_at::kRax, r.guest.dr7);
        return {};
    }
    if (!has(r, ghcb_at::kRax))
        return malformed(Malformed::missing_input);
    r.guest.dr7 = r.page.get(ghcb_at::kRax);
    return {};
}

Answer serve_page_state_list(Request& r) {
    if (!r.guest.snp())
        return malformed(Malformed::invalid_event);
    uint8_t* list = scratch(r, kPageStateListBytes);
    if (list == nullptr)
        return malformed(Malformed::scratch);
    return {kGhcbDone, change_page_states(r.guest, list)};
}

// Where a firmware leaves the address from which other processors start (4.1.8).
Answer serve_jump_table(Request& r) {
    constexpr uint64_t kSet = 0, kGet = 1;
    if (r.info1 == kSet) {
        r.guest.ap_jump_table = r.info2;
        return {};
    }
    return r.info1 == kGet ? Answer{kGhcbDone, r.guest.ap_jump_table}
                           : malformed(Malformed::invalid_input);
}

Answer serve(Request& r) {
    switch (r.code) {
    case exit::kCpuid:
        return serve_cpuid(r);
    case exit::kMsr:
        return serve_msr(r);
    case exit::kIoio:
        return serve_port(r);
    case nae::kMmioRead:
    case nae::kMmioWrite:
        return serve_mmio(r);
    case exit::kRdtsc:
    case exit::kRdtscp:
        return serve_tsc(r);
    case exit::kReadDr7:
    case exit::kWriteDr7:
        return serve_dr7(r);
    case exit::kInvd:
    case exit::kWbinvd:
    case exit::kMonitor:
    case exit::kMwait:
    case nae::kNmiComplete:
        return {};
    case nae::kApJumpTable:
        return serve_jump_table(r);
    case nae::kPageStateChange:
        return serve_page_state_list(r);
    case nae::kFeatures:
        return {kGhcbDone, r.guest.snp() ? kFeatureSnp : 0};
    case nae::kApResetHold:
        finish(r.guest, Outcome::halted, "AP reset hold: there is no other processor to end it");
    case nae::kUnsupported:
        finish(r.guest, Outcome::terminated, "the guest reports a #VC that it does not support: ",
               "exit code ", hex(r.info1), ", information ", hex(r.info2));
    }
    return malformed(Malformed::invalid_event);
}

const char* reason_text(uint64_t reason) {
    static constexpr const char* kTexts[] = {
        "",
        "the GHCB's address is not registered (56421, 2.3.2)",
        "a usage that is not 0 (56421, 2.6)",
        "SW_SCRATCH points to nothing that may be used (56421, 4.1)",
        "a field that the event needs is not marked valid (56421, 4.1)",
        "a field holds what the event does not allow (56421, 4.1)",
        "no event of this machine (56421, 4.1)",
    };
    return reason < sizeof kTexts / sizeof kTexts[0] ? kTexts[reason] : "";
}

// edk2 of 2022 clears the pages that it makes after its first, version and all, and
// KVM serves them; so does this host, with a word.
bool supported_version(const Guest& guest, unsigned version) {
    static bool said = false;
    if (version == 0 && !said)
        say("sevhost: the GHCB page at ", hex(guest.ghcb_msr), " names no version (56421, 2.6): ",
            "served as version 1\n");
    said |= version == 0;
    return version <= kGhcbVersionMax;
}

// What every request must have, whatever it is (56421, 2.6 and 4.1).
bool well_formed(const Guest& guest, const GhcbPage& page, Answer& answer) {
    if (guest.snp() && guest.ghcb_msr != guest.ghcb_registered)
        answer = malformed(Malformed::not_registered);
    else if (page.usage() != 0)
        answer = malformed(Malformed::usage);
    else if (!supported_version(guest, page.version()))
        answer = malformed(Malformed::invalid_input);
    else if (!page.valid(ghcb_at::kExitCode) || !page.valid(ghcb_at::kExitInfo1) ||
             !page.valid(ghcb_at::kExitInfo2))
        answer = malformed(Malformed::missing_input);
    else
        return true;
    return false;
}

void serve_page(Guest& guest) {
    uint8_t* bytes = guest.memory.at(guest.ghcb_msr, kPageBytes, Backing::shared);
    if (bytes == nullptr)
        refuse(guest, "VMGEXIT with the GHCB at ", hex(guest.ghcb_msr), ", where no memory is");
    GhcbPage page(bytes);
    Request request = {guest, page, page.get(ghcb_at::kExitCode), page.get(ghcb_at::kExitInfo1),
                       page.get(ghcb_at::kExitInfo2)};
    note_request(request.code);
    Answer answer;
    if (well_formed(guest, page, answer))
        answer = serve(request);
    if (answer.info1 != kGhcbDone)
        page.invalidate_all();
    page.set(ghcb_at::kExitInfo1, answer.info1);
    page.set(ghcb_at::kExitInfo2, answer.info2);
    hostile_ghcb_response(guest, request.code, page.bytes());
    if (answer.info1 == kGhcbMalformed)
        say("sevhost: GHCB request ", exit_name(request.code), " (", hex(request.code), ") at ", hex(guest.vmcb->save.rip),
            " is malformed: ", reason_text(answer.info2), "\n");
    if (guest.settings.trace.protocol)
        say("ghcb: ", exit_name(request.code), " (", hex(request.code), ") ", hex(request.info1), " ", hex(request.info2), " -> ",
            hex(answer.info1), " ", hex(answer.info2), "\n");
}

} // namespace

void serve_vmgexit(Guest& guest) {
    if (guest.ghcb_msr & ghcb_msr::kCodeMask)
        serve_ghcb_msr(guest);
    else
        serve_page(guest);
}

} // namespace sevhost
