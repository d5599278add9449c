#include "guest_access.h"

#include <string.h>

#include "console.h"

namespace sevhost {
namespace {

constexpr uint64_t kPresent = 1 << 0;
constexpr uint64_t kWritable = 1 << 1;
constexpr uint64_t kUser = 1 << 2;
constexpr uint64_t kAccessed = 1 << 5;
constexpr uint64_t kDirty = 1 << 6;
constexpr uint64_t kLarge = 1 << 7;
constexpr uint64_t kNoExecute = uint64_t{1} << 63;
constexpr uint64_t kAddress = 0x000ffffffffff000;

constexpr uint32_t kFaultPresent = 1 << 0;
constexpr uint32_t kFaultWrite = 1 << 1;
constexpr uint32_t kFaultUser = 1 << 2;
constexpr uint32_t kFaultFetch = 1 << 4;

// How a paging mode cuts a linear address (APM vol. 2, 5.2, 5.3).
struct Mode {
    unsigned levels;
    unsigned index_bits;
    unsigned entry_bytes;
};

bool long_mode(const Guest& guest) {
    return (guest.vmcb->save.efer & kEferLma) != 0;
}

Mode mode_of(const Guest& guest) {
    const uint64_t cr4 = guest.vmcb->save.cr4;
    if (!(cr4 & kCr4Pae))
        return {2, 10, 4};
    if (!long_mode(guest))
        return {3, 9, 8};
    return {cr4 & kCr4La57 ? 5u : 4u, 9, 8};
}

uint64_t top_table(const Guest& guest) {
    const uint64_t cr3 = guest.vmcb->save.cr3;
    if (long_mode(guest))
        return cr3 & kAddress;
    return guest.vmcb->save.cr4 & kCr4Pae ? cr3 & 0xffffffe0 : cr3 & 0xfffff000;
}

uint32_t fault_code(Access access, bool user, bool present) {
    return (present ? kFaultPresent : 0) | (access == Access::write ? kFaultWrite : 0) |
           (user ? kFaultUser : 0) | (access == Access::fetch ? kFaultFetch : 0);
}

struct Rights {
    bool writable = true, user = true, executable = true;

    bool allow(const Guest& guest, Access access, bool is_user) const {
        if (is_user && !user)
            return false;
        if (access == Access::write && !writable)
            return !is_user && !(guest.vmcb->save.cr0 & kCr0Wp);
        return access != Access::fetch || executable;
    }
};

// Visits each entry of a walk: visit(level, its guest-physical address, the entry).
template <typename Visit>
Translation walk(const Guest& guest, uint64_t linear, Access access, bool user, Visit visit) {
    if (!(guest.vmcb->save.cr0 & kCr0Pg))
        return {true, linear & 0xffffffff, Backing::private_, 0};
    const Mode mode = mode_of(guest);
    if (!long_mode(guest))
        linear &= 0xffffffff;
    const uint64_t c_bit = paging_has_c_bit(guest) ? guest.c_bit_mask() : 0;
    GuestPhys table = top_table(guest) & ~guest.c_bit_mask();
    Rights rights;
    for (unsigned level = mode.levels;; --level) {
        const unsigned shift = 12 + mode.index_bits * (level - 1);
        const uint64_t index = linear >> shift & ((1u << mode.index_bits) - 1);
        const GuestPhys at = table + index * mode.entry_bytes;
        // Table walks are private, whatever the C-bits say (15.34.5).
        auto* entry_bytes = guest.memory.at(at, mode.entry_bytes, Backing::private_);
        uint64_t entry = 0;
        if (entry_bytes != nullptr)
            memcpy(&entry, entry_bytes, mode.entry_bytes);
        visit(level, at, entry);
        if (!(entry & kPresent))
            return {false, at, Backing::private_, fault_code(access, user, false)};
        const bool legacy_top = mode.levels == 3 && level == 3; // has no rights of its own
        if (!legacy_top) {
            rights.writable &= (entry & kWritable) != 0;
            rights.user &= (entry & kUser) != 0;
            rights.executable &= (entry & kNoExecute) == 0;
        }
        const bool large = level > 1 && !legacy_top && (entry & kLarge) != 0 &&
                           (mode.levels != 2 || (guest.vmcb->save.cr4 & kCr4Pse));
        if (level != 1 && !large) {
            table = entry & kAddress & ~c_bit;
            continue;
        }
        if (!rights.allow(guest, access, user))
            return {false, at, Backing::private_, fault_code(access, user, true)};
        const uint64_t updated = entry | kAccessed | (access == Access::write ? kDirty : 0);
        memcpy(entry_bytes, &updated, mode.entry_bytes);
        const uint64_t offset = linear & ((uint64_t{1} << shift) - 1);
        const GuestPhys page = entry & kAddress & ~((uint64_t{1} << shift) - 1) & ~c_bit;
        const bool shared = c_bit != 0 && (entry & c_bit) == 0;
        return {true, page | offset, shared ? Backing::shared : Backing::private_, 0};
    }
}

constexpr uint64_t rest_of_page(uint64_t linear) {
    return kPageBytes - linear % kPageBytes;
}

// Calls copy(host's bytes, count) for each page of the range.
template <typename Copy>
bool for_each_page(const Guest& guest, uint64_t linear, uint64_t bytes, Access access, bool user,
                   Copy copy) {
    while (bytes != 0) {
        uint64_t part = rest_of_page(linear);
        if (part > bytes)
            part = bytes;
        const Translation t = translate(guest, linear, access, user);
        uint8_t* seen = t.mapped ? guest.memory.at(t.gpa, part, t.backing) : nullptr;
        if (seen == nullptr)
            return false;
        copy(seen, part);
        linear += part;
        bytes -= part;
    }
    return true;
}

} // namespace

bool paging_has_c_bit(const Guest& guest) {
    const VmcbSave& save = guest.vmcb->save;
    return guest.encrypted() && (save.cr0 & kCr0Pg) && (save.cr4 & kCr4Pae);
}

Translation translate(const Guest& guest, uint64_t linear, Access access, bool user) {
    return walk(guest, linear, access, user, [](unsigned, GuestPhys, uint64_t) {});
}

bool read_linear(const Guest& guest, uint64_t linear, void* to, uint64_t bytes) {
    auto* out = static_cast<uint8_t*>(to);
    return for_each_page(guest, linear, bytes, Access::read, false,
                         [&](const uint8_t* seen, uint64_t part) {
                             memcpy(out, seen, part);
                             out += part;
                         });
}

bool write_linear(const Guest& guest, uint64_t linear, const void* from, uint64_t bytes) {
    const auto* in = static_cast<const uint8_t*>(from);
    return for_each_page(guest, linear, bytes, Access::write, false,
                         [&](uint8_t* seen, uint64_t part) {
                             memcpy(seen, in, part);
                             in += part;
                         });
}

Code fetch_instruction(const Guest& guest) {
    const VmcbSave& save = guest.vmcb->save;
    const bool flat = long_mode(guest) && (save.cs.attributes & kSegmentLong) != 0;
    const uint64_t linear = flat ? save.rip : (save.cs.base + save.rip) & 0xffffffff;
    const bool user = save.cpl == 3;
    Code code = {};
    const uint64_t first = rest_of_page(linear) < kMaxInstructionBytes ? rest_of_page(linear)
                                                                       : kMaxInstructionBytes;
    auto take = [&](const uint8_t* seen, uint64_t part) {
        memcpy(code.bytes + code.count, seen, part);
        code.count += static_cast<unsigned>(part);
    };
    if (for_each_page(guest, linear, first, Access::fetch, user, take))
        for_each_page(guest, linear + first, kMaxInstructionBytes - first, Access::fetch, user,
                      take);
    return code;
}

void say_walk(const Guest& guest, uint64_t linear) {
    say("  walk of ", hex(linear), ":");
    const Translation t =
        walk(guest, linear, Access::read, false, [](unsigned level, GuestPhys at, uint64_t entry) {
            say(" [", decimal(level), "] ", hex(at), "=", hex(entry));
        });
    if (t.mapped)
        say(" -> ", hex(t.gpa), t.backing == Backing::shared ? " shared\n" : " private\n");
    else
        say(" -> not mapped\n");
}

} // namespace sevhost
