#include "injected.h"

#include "events.h"
#include "launch.h"
#include "operand.h"
#include "svm_exits.h"
#include "vc.h"
#include "vmcb.h"

namespace sevhost {
namespace {

constexpr unsigned kExceptions = 32;
constexpr unsigned kVectorMc = 18;
constexpr uint32_t kUnknownCode = 0x7fff;
constexpr uint8_t kSystemCall = 0x80; // Linux's, as a hardware interrupt
constexpr uint8_t kTimer = 0x20, kSpurious = 0xff;
constexpr GuestPhys kFreeMemory = 0x200000; // with the canary

constexpr Event kAlways[] = {
    {EventKind::nmi, kVectorNmi, 0},
    {EventKind::interrupt, kSystemCall, 0},
    {EventKind::exception, kVectorVc, exit::kCpuid},
    {EventKind::exception, kVectorVc, exit::kMsr},
    {EventKind::exception, kVectorVc, exit::kIoio},
    {EventKind::exception, kVectorVc, exit::kNestedFault},
    {EventKind::exception, kVectorVc, exit::kNotValidated},
    {EventKind::exception, kVectorPf, 0},
    {EventKind::exception, kVectorGp, 0},
    {EventKind::bare, kVectorUd, 0},
    {EventKind::bare, kVectorDb, 0},
    {EventKind::bare, kVectorMc, 0},
    {EventKind::exception, kVectorDf, 0},
};
constexpr Event kMore[] = {
    {EventKind::interrupt, kTimer, 0},
    {EventKind::interrupt, kSpurious, 0},
    {EventKind::exception, kVectorVc, kUnknownCode},
    {EventKind::exception, kVectorVc, exit::kVmmcall},
    {EventKind::exception, kVectorVc, exit::kRdtsc},
    {EventKind::exception, kVectorVc, exit::kWbinvd},
    {EventKind::exception, kVectorVc, exit::kReadDr7},
    {EventKind::exception, kVectorVc, exit::kXsetbv},
};
constexpr unsigned kAlwaysCount = sizeof kAlways / sizeof kAlways[0];
constexpr unsigned kMoreCount = sizeof kMore / sizeof kMore[0];

constexpr unsigned kMostInStorm = 1 << 16; // 16 bytes each at least: a mebibyte

// An error code that the host chooses: the address of what is secret.
uint32_t secret(const Guest& guest) {
    return static_cast<uint32_t>(guest.snp_pages.secrets != 0 ? guest.snp_pages.secrets + 0x20
                                                              : kFreeMemory);
}

unsigned pushed_bytes(const Guest& guest) {
    return guest.long_mode() ? 8 : 4;
}

void raise(Guest& guest, const Event& event) {
    raise_exception(guest, event.vector, event.code);
    if (event.kind != EventKind::exception)
        guest.gprs[rsp] += pushed_bytes(guest); // what nobody pushed stays below the stack
}

bool is_on_stack(const Guest& guest) {
    const uint64_t at = guest.gprs[rsp] + (guest.in_64_bit_code() ? 0 : guest.save().ss.base);
    const GuestPhys gpa = look_up(guest, at).gpa;
    for (unsigned i = 0; i != guest.settings.stack_count; ++i)
        if (gpa >= guest.settings.stacks[i].start && gpa < guest.settings.stacks[i].end)
            return true;
    return guest.settings.stack_count == 0;
}

bool is_one_of(uint8_t byte, const char* bytes, unsigned count) {
    for (unsigned i = 0; i != count; ++i)
        if (byte == static_cast<uint8_t>(bytes[i]))
            return true;
    return false;
}

// IN, OUT, INS and OUTS, behind prefixes; the model decodes them nowhere.
bool is_port_access(const Guest& guest) {
    const Code code = fetch_instruction(guest);
    unsigned i = 0;
    while (i != code.count && is_one_of(code.bytes[i], "\x66\x67\xf2\xf3\x48", 5))
        ++i;
    return i != code.count &&
           is_one_of(code.bytes[i], "\xe4\xe5\xe6\xe7\xec\xed\xee\xef\x6c\x6d\x6e\x6f", 12);
}

bool is_rdtsc(const Guest& guest) {
    const Code code = fetch_instruction(guest);
    return code.count >= 2 && code.bytes[0] == 0x0f && code.bytes[1] == 0x31;
}

} // namespace

unsigned events_always() {
    return kAlwaysCount;
}

unsigned events_in_all() {
    return kAlwaysCount + kMoreCount + 2 * kExceptions;
}

Event event(const Guest& guest, unsigned number) {
    if (number < kAlwaysCount)
        return kAlways[number];
    number -= kAlwaysCount;
    if (number < kMoreCount)
        return kMore[number];
    number -= kMoreCount;
    const auto vector = static_cast<uint8_t>(number % kExceptions);
    if (number < kExceptions)
        return {EventKind::exception, vector, secret(guest)};
    return {EventKind::bare, vector, 0};
}

void inject(Guest& guest, const Event& event) {
    uint64_t& injected = guest.vmcb->control.event_injection;
    if (event.kind == EventKind::nmi) {
        injected = kEventValid | kEventNmi | kVectorNmi;
    } else if (event.kind == EventKind::interrupt) {
        injected = kEventValid | event.vector;
    } else {
        if (event.vector == kVectorPf)
            guest.save().cr2 = guest.save().rip;
        raise(guest, event);
    }
}

bool storm(Guest& guest, const Event& event) {
    for (unsigned i = 0; i != kMostInStorm; ++i) {
        const uint64_t stack = guest.gprs[rsp], rip = guest.save().rip;
        raise(guest, event);
        if (i != 0 && guest.gprs[rsp] == stack && guest.save().rip == rip)
            return true;
        if (!is_on_stack(guest))
            return false;
    }
    return true;
}

bool is_due(const Guest& guest, const Event& event) {
    if (event.kind != EventKind::exception || event.vector != kVectorVc)
        return false;
    const Op op = instruction_at(guest).op;
    switch (event.code) {
    case exit::kCpuid:
        return op == Op::cpuid;
    case exit::kMsr:
        return op == Op::rdmsr || op == Op::wrmsr;
    case exit::kIoio:
        return is_port_access(guest);
    case exit::kRdtsc:
        return is_rdtsc(guest);
    case exit::kVmmcall:
        return op == Op::vmmcall;
    case exit::kXsetbv:
        return op == Op::xsetbv;
    }
    return false;
}

} // namespace sevhost
