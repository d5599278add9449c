// SNP's reverse map (APM vol. 2, 15.36.3): which pages are the guest's private
// ones, which of them it has validated, and which of these are 2 MiB pages.
#pragma once

#include <stdint.h>

#include "guest_memory.h"

namespace sevhost {

// What an access to a page of the guest's memory meets (15.36.10).
enum class PageCheck : uint8_t { allowed, not_validated, not_private, not_shared };

// What PVALIDATE and RMPADJUST come to (APM vol. 3). `not_the_guests`: a nested fault,
// which a host that is right ends by giving the page, and this one by refusing.
struct Adjusted {
    uint64_t code = 0;      // what EAX gets
    bool unchanged = false; // PVALIDATE's carry
    bool not_the_guests = false;
};
constexpr uint64_t kAdjustSuccess = 0;
constexpr uint64_t kAdjustFailInput = 1;
constexpr uint64_t kAdjustFailPermission = 2;
constexpr uint64_t kAdjustFailInUse = 3;
constexpr uint64_t kAdjustFailSizeMismatch = 6;

class ReverseMap {
public:
    explicit ReverseMap(const GuestMemory& memory) : memory_(memory) {}

    static constexpr uint64_t bytes_for(const Region& region) { return region.bytes / kPageBytes; }

    // Gives the region of that number its map, in which every page is private, and
    // none is validated.
    void create(unsigned region, uint8_t* states);

    // A byte for each page of the region; nullptr where it has no map.
    uint8_t* states(unsigned region) const { return states_[region]; }

    PageCheck check(GuestPhys gpa, Backing wanted) const;
    bool is_assigned(GuestPhys gpa) const;
    bool is_validated(GuestPhys gpa) const;
    bool is_large(GuestPhys gpa) const;
    bool is_vmsa(GuestPhys gpa) const;
    // A processor runs with it (15.36.12).
    void set_in_use(GuestPhys vmsa, bool in_use);

    // What the processor does for the guest. Pages of 2 MiB are taken apart where a
    // 4 KiB page of them is meant, as a host does on the nested fault (15.36.11).
    Adjusted pvalidate(GuestPhys gpa, bool large, bool validate);
    // `vmsa`: what the page is from then on, to VMPL 0.
    Adjusted rmpadjust(GuestPhys gpa, bool large, unsigned target_vmpl, bool vmsa = false);

    // The level at which the guest runs: below 0 it may do neither (APM vol. 3).
    void set_vmpl(unsigned vmpl) { vmpl_ = vmpl; }

    // RMPUPDATE by the host (15.36.5): a page that changes hands is not validated, and one
    // that stays the guest's stays as it is. `bytes`: 4 KiB, or 2 MiB and aligned so.
    void assign(GuestPhys gpa, uint64_t bytes);
    void share(GuestPhys gpa, uint64_t bytes);
    // PSMASH: nothing is lost but the size.
    void smash(GuestPhys gpa);
    // What launch measured, or a host that lies.
    void set_validated(GuestPhys gpa, bool validated);

private:
    static constexpr uint8_t kAssigned = 1 << 0;
    static constexpr uint8_t kValidated = 1 << 1;
    static constexpr uint8_t kLarge = 1 << 2; // in each of the 512

    static constexpr uint8_t kVmsa = 1 << 3;
    static constexpr uint8_t kInUse = 1 << 4;

    uint8_t* state_of(GuestPhys gpa) const;
    void set(GuestPhys gpa, uint8_t bit, bool value);

    const GuestMemory& memory_;
    unsigned vmpl_ = 0;
    uint8_t* states_[GuestMemory::kMaxRegions] = {};
};

} // namespace sevhost
