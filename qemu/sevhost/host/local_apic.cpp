#include "local_apic.h"

#include <string.h>

#include "machine.h"
#include "processor_start.h"
#include "processors.h"

namespace sevhost {
namespace {

// APM vol. 2, 16.3.2 and 16.5
constexpr GuestPhys kPage = 0xfee00000;
constexpr unsigned kLogicalId = 0xd0;
constexpr unsigned kCommand = 0x300;
constexpr unsigned kCommandHigh = 0x310;
constexpr unsigned kIdShift = 24;
constexpr uint32_t kMsrApicBase = 0x1b;
constexpr uint64_t kX2Apic = 1 << 10;
constexpr uint32_t kMsrCommand = 0x830;

constexpr uint32_t kModeMask = 7 << 8, kNmi = 4 << 8, kInit = 5 << 8, kStartup = 6 << 8;
constexpr uint32_t kLogical = 1 << 11;
constexpr uint32_t kAssert = 1 << 14;
constexpr uint32_t kLevel = 1 << 15;
constexpr uint32_t kVectorMask = 0xff;
enum class Shorthand : uint32_t { none, self, all, others };
constexpr unsigned kShorthandShift = 18;
constexpr uint32_t kEverybody = 0xff, kEverybodyX2 = 0xffffffff;

struct Command {
    uint32_t word;
    uint32_t destination;
    bool x2;
};

bool is_meant(const Guest& sender, const Guest& other, const Command& command) {
    switch (static_cast<Shorthand>(command.word >> kShorthandShift & 3)) {
    case Shorthand::self:
        return &other == &sender;
    case Shorthand::all:
        return true;
    case Shorthand::others:
        return &other != &sender;
    case Shorthand::none:
        break;
    }
    if (command.destination == (command.x2 ? kEverybodyX2 : kEverybody))
        return true;
    if (!(command.word & kLogical))
        return command.destination == other.standing.apic_id;
    if (command.x2) // the cluster, and a bit in it (SDM vol. 3, 11.12.10.2)
        return command.destination >> 16 == other.standing.apic_id >> 4 &&
               (command.destination >> (other.standing.apic_id & 0xf) & 1);
    return (command.destination & other.standing.logical_id) != 0; // the flat model
}

void deliver(Guest& sender, Guest& other, uint32_t word) {
    switch (word & kModeMask) {
    case kNmi:
        return deliver_nmi(sender, other);
    case kInit:
        return deliver_init(sender, other);
    case kStartup:
        return deliver_sipi(sender, other, static_cast<uint8_t>(word & kVectorMask));
    }
}

bool carry_out(Guest& sender, const Command& command) {
    const uint32_t mode = command.word & kModeMask;
    if (mode != kNmi && mode != kInit && mode != kStartup)
        return false;
    const bool deasserts = mode == kInit && (command.word & kLevel) && !(command.word & kAssert);
    if (!deasserts)
        for_each_processor(sender.vm, [&](Guest& other) {
            if (is_meant(sender, other, command))
                deliver(sender, other, command.word);
        });
    return true;
}

volatile uint32_t& apic_register(Guest& guest, unsigned offset) {
    return *reinterpret_cast<volatile uint32_t*>(guest.host.window(kPage + offset));
}

} // namespace

bool apic_takes_write(Guest& guest, GuestPhys at, const uint8_t* from, unsigned bytes) {
    if (guest.alone() || (at & ~(kPageBytes - 1)) != kPage || bytes != sizeof(uint32_t))
        return false;
    uint32_t word;
    memcpy(&word, from, sizeof word);
    if (at == kPage + kLogicalId)
        guest.standing.logical_id = static_cast<uint8_t>(word >> kIdShift);
    return at == kPage + kCommand &&
           carry_out(guest, {word, apic_register(guest, kCommandHigh) >> kIdShift, false});
}

bool apic_takes_msr(Guest& guest, uint32_t msr, uint64_t value) {
    return !guest.alone() && msr == kMsrCommand &&
           carry_out(guest,
                     {static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32), true});
}

void send_nmi(Guest& guest, uint32_t apic_id) {
    if (read_msr(kMsrApicBase) & kX2Apic)
        return write_msr(kMsrCommand, uint64_t{apic_id} << 32 | kAssert | kNmi);
    const uint32_t guests = apic_register(guest, kCommandHigh);
    apic_register(guest, kCommandHigh) = apic_id << kIdShift;
    apic_register(guest, kCommand) = kAssert | kNmi;
    apic_register(guest, kCommandHigh) = guests;
}

} // namespace sevhost
