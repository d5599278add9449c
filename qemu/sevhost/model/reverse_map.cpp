#include "reverse_map.h"

#include <string.h>

namespace sevhost {
namespace {

constexpr uint64_t kPagesInLarge = kLargePageBytes / kPageBytes;

constexpr GuestPhys start_of_large(GuestPhys gpa) {
    return gpa & ~(kLargePageBytes - 1);
}

} // namespace

void ReverseMap::create(unsigned region, uint8_t* states) {
    states_[region] = states;
    memset(states, kAssigned, bytes_for(memory_[region]));
}

uint8_t* ReverseMap::state_of(GuestPhys gpa) const {
    for (unsigned i = 0; i != memory_.count(); ++i)
        if (memory_[i].holds(gpa, 1))
            return states_[i] + (gpa - memory_[i].start) / kPageBytes;
    return nullptr;
}

bool ReverseMap::is_assigned(GuestPhys gpa) const {
    const uint8_t* state = state_of(gpa);
    return state != nullptr && (*state & kAssigned);
}

bool ReverseMap::is_validated(GuestPhys gpa) const {
    const uint8_t* state = state_of(gpa);
    return state != nullptr && (*state & kValidated);
}

bool ReverseMap::is_large(GuestPhys gpa) const {
    const uint8_t* state = state_of(gpa);
    return state != nullptr && (*state & kLarge);
}

bool ReverseMap::is_vmsa(GuestPhys gpa) const {
    const uint8_t* state = state_of(gpa);
    return state != nullptr && (*state & kVmsa);
}

void ReverseMap::set_in_use(GuestPhys vmsa, bool in_use) {
    set(vmsa, kInUse, in_use);
}

PageCheck ReverseMap::check(GuestPhys gpa, Backing wanted) const {
    if (wanted == Backing::shared)
        return is_assigned(gpa) ? PageCheck::not_shared : PageCheck::allowed;
    if (!is_assigned(gpa))
        return PageCheck::not_private;
    return is_validated(gpa) ? PageCheck::allowed : PageCheck::not_validated;
}

Adjusted ReverseMap::pvalidate(GuestPhys gpa, bool large, bool validate) {
    if (vmpl_ != 0)
        return {.code = kAdjustFailPermission};
    if (state_of(gpa) == nullptr || (large && gpa % kLargePageBytes != 0))
        return {.code = kAdjustFailInput};
    if (!is_assigned(gpa))
        return {.not_the_guests = true};
    if (large && !is_large(gpa))
        return {.code = kAdjustFailSizeMismatch};
    if (!large)
        smash(gpa);
    if (is_validated(gpa) == validate)
        return {.unchanged = true};
    const uint64_t bytes = large ? kLargePageBytes : kPageBytes;
    for (uint64_t offset = 0; offset != bytes; offset += kPageBytes)
        set_validated(gpa + offset, validate);
    return {};
}

Adjusted ReverseMap::rmpadjust(GuestPhys gpa, bool large, unsigned target_vmpl, bool vmsa) {
    if (state_of(gpa) == nullptr || (large && gpa % kLargePageBytes != 0))
        return {.code = kAdjustFailInput};
    if (target_vmpl <= vmpl_)
        return {.code = kAdjustFailPermission}; // only those below the caller's
    if (!is_assigned(gpa))
        return {.not_the_guests = true};
    if (large && !is_large(gpa))
        return {.code = kAdjustFailSizeMismatch};
    if (*state_of(gpa) & kInUse)
        return {.code = kAdjustFailInUse};
    if (!large)
        smash(gpa);
    if (vmpl_ == 0)
        set(gpa, kVmsa, vmsa);
    return {};
}

void ReverseMap::assign(GuestPhys gpa, uint64_t bytes) {
    const bool large = bytes == kLargePageBytes;
    for (uint64_t offset = 0; offset != bytes; offset += kPageBytes)
        if (!is_assigned(gpa + offset) || (large && !is_large(gpa)))
            *state_of(gpa + offset) = kAssigned;
    if (!large)
        return;
    for (uint64_t offset = 0; offset != bytes; offset += kPageBytes)
        *state_of(gpa + offset) |= kLarge;
}

void ReverseMap::share(GuestPhys gpa, uint64_t bytes) {
    if (bytes != kLargePageBytes)
        smash(gpa);
    for (uint64_t offset = 0; offset != bytes; offset += kPageBytes)
        *state_of(gpa + offset) = 0;
}

void ReverseMap::smash(GuestPhys gpa) {
    if (!is_large(gpa))
        return;
    uint8_t* states = state_of(start_of_large(gpa));
    for (uint64_t i = 0; i != kPagesInLarge; ++i)
        states[i] &= static_cast<uint8_t>(~kLarge);
}

void ReverseMap::set_validated(GuestPhys gpa, bool validated) {
    set(gpa, kValidated, validated);
}

void ReverseMap::set(GuestPhys gpa, uint8_t bit, bool value) {
    uint8_t* state = state_of(gpa);
    if (state != nullptr)
        *state = static_cast<uint8_t>(value ? *state | bit : *state & ~bit);
}

} // namespace sevhost
