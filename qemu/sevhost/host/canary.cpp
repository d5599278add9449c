#include "canary.h"

#include "console.h"
#include "ghcb_msr_protocol.h"
#include "launch.h"
#include "outcome.h"
#include "snp_pages.h"

#include <string.h>

namespace sevhost {
namespace {

constexpr unsigned kMostTold = 8;
constexpr uint64_t kHalfBytes = 4;
constexpr unsigned kNewWithLongMode = 8; // R8, and all behind it
unsigned told;

bool wanted(const Guest& guest) {
    return guest.settings.canary != 0 && guest.encrypted();
}

bool is_half(const Guest& guest, const void* at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value == static_cast<uint32_t>(guest.settings.canary) ||
           value == static_cast<uint32_t>(guest.settings.canary >> 32);
}

template <typename... Parts>
void tell(const Guest& guest, Parts... parts) {
    if (told++ < kMostTold)
        say("sevhost: canary seen ", parts..., ", at ", hex(guest.save().rip), "\n");
}

// Calls found(offset) for each half of it. No byte of the canary is zero, so that words
// that are need no closer look: most of the guest's memory.
template <typename Found>
void for_each_half(const Guest& guest, const uint8_t* bytes, uint64_t count, Found found) {
    for (uint64_t at = 0; at + kHalfBytes <= count; at += kHalfBytes) {
        uint32_t word;
        memcpy(&word, bytes + at, sizeof word);
        for (uint64_t i = 0; word != 0 && i != kHalfBytes && at + i + kHalfBytes <= count; ++i)
            if (is_half(guest, bytes + at + i))
                found(at + i);
    }
}

void fill(const Guest& guest, GuestPhys start, uint64_t count) {
    uint8_t* bytes = guest.memory.at(start, count, Backing::private_);
    if (bytes == nullptr)
        fail("no place for the canary: ", hex(start));
    for (uint64_t at = 0; at != count; at += sizeof guest.settings.canary)
        memcpy(bytes + at, &guest.settings.canary, sizeof guest.settings.canary);
}

} // namespace

unsigned canaries_seen() {
    return told;
}

bool holds_canary(const Guest& guest, const uint8_t* bytes, uint64_t count) {
    bool found = false;
    if (wanted(guest))
        for_each_half(guest, bytes, count, [&](uint64_t) { found = true; });
    return found;
}

void plant_canary(Guest& guest) {
    if (!wanted(guest))
        return;
    for (unsigned i = 0; i != guest.memory.count(); ++i) {
        const Region& region = guest.memory[i];
        for (uint64_t done = 0; done != region.bytes; done += kPageBytes)
            if (!was_launched(region.start + done))
                fill(guest, region.start + done, kPageBytes);
    }
    for (unsigned i = 0; i != guest.settings.stack_count; ++i)
        fill(guest, guest.settings.stacks[i].start,
             guest.settings.stacks[i].end - guest.settings.stacks[i].start);
    if (guest.snp_pages.secrets != 0)
        fill(guest, guest.snp_pages.secrets + offsetof(SecretsPage, keys),
             sizeof SecretsPage::keys);
}

void plant_canary_in_registers(Guest& guest) {
    if (!wanted(guest))
        return;
    for (unsigned gpr = 0; gpr != kGprCount; ++gpr)
        if (gpr == rax || gpr == rcx || gpr == rdx || gpr >= kNewWithLongMode)
            guest.gprs[gpr] = guest.settings.canary;
}

void look_for_canary_at_vmgexit(const Guest& guest) {
    if (!wanted(guest))
        return;
    for_each_half(guest, reinterpret_cast<const uint8_t*>(&guest.ghcb_msr), sizeof guest.ghcb_msr,
                  [&](uint64_t) { tell(guest, "in the GHCB MSR, ", hex(guest.ghcb_msr)); });
    const uint8_t* page = guest.memory.at(guest.ghcb_msr, kPageBytes, Backing::shared);
    if ((guest.ghcb_msr & ghcb_msr::kCodeMask) == 0 && page != nullptr)
        for_each_half(guest, page, kPageBytes, [&](uint64_t offset) {
            tell(guest, "in the GHCB page, offset ", hex(offset));
        });
}

void look_for_canary_at_port(const Guest& guest, uint16_t port, unsigned bytes, uint32_t value) {
    static uint32_t last; // bytes, one behind the other, as a console takes them
    if (!wanted(guest))
        return;
    last = bytes == 1 ? last >> 8 | value << 24 : value;
    if (is_half(guest, &last))
        tell(guest, "at port ", hex(port));
}

void look_for_canary_in_shared_memory(const Guest& guest) {
    if (!wanted(guest))
        return;
    for (unsigned i = 0; i != guest.memory.count(); ++i) {
        const Region& region = guest.memory[i];
        for_each_half(guest, region.shared, region.bytes, [&](uint64_t offset) {
            tell(guest, "in shared memory, ", hex(region.start + offset));
        });
    }
}

} // namespace sevhost
