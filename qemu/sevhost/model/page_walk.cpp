#include "page_walk.h"

#include <string.h>

#include "reverse_map.h"

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
constexpr uint32_t kFaultReserved = 1 << 3;
constexpr uint32_t kFaultFetch = 1 << 4;

// How a paging mode cuts a linear address (5.2, 5.3).
struct Mode {
    unsigned levels;
    unsigned index_bits;
    unsigned entry_bytes;

    unsigned shift(unsigned level) const { return 12 + index_bits * (level - 1); }
    bool legacy_pae() const { return levels == 3; }
};

Mode mode_of(const Processor& processor) {
    const uint64_t cr4 = processor.save().cr4;
    if (!(cr4 & kCr4Pae))
        return {2, 10, 4};
    if (!processor.long_mode())
        return {3, 9, 8};
    return {cr4 & kCr4La57 ? 5u : 4u, 9, 8};
}

// CR3's C-bit decides nothing: walks are private (15.34.5).
GuestPhys top_table(const Processor& processor) {
    const uint64_t cr3 = processor.save().cr3 & ~(processor.c_bit_mask | processor.alias_mask);
    if (processor.long_mode())
        return cr3 & kAddress;
    return processor.save().cr4 & kCr4Pae ? cr3 & 0xffffffe0 : cr3 & 0xfffff000;
}

struct Rights {
    bool writable = true, user = true, executable = true;

    void narrow(uint64_t entry) {
        writable &= (entry & kWritable) != 0;
        user &= (entry & kUser) != 0;
        executable &= (entry & kNoExecute) == 0;
    }
    bool allow(const Processor& processor, Access access, bool is_user) const {
        if (is_user && !user)
            return false;
        if (access == Access::write && !writable)
            return !is_user && !(processor.save().cr0 & kCr0Wp);
        return access != Access::fetch || executable;
    }
};

bool is_large(const Processor& processor, const Mode& mode, unsigned level, uint64_t entry) {
    if (!(entry & kLarge))
        return false;
    if (mode.levels == 2)
        return level == 2 && (processor.save().cr4 & kCr4Pse);
    return level == 2 || (level == 3 && !mode.legacy_pae());
}

bool has_reserved_bits(const Processor& processor, const Mode& mode, unsigned level,
                       uint64_t entry) {
    if (mode.levels == 2)
        return false;
    const bool above_pages = level > 3 || (level == 3 && mode.legacy_pae());
    if (above_pages && (entry & kLarge))
        return true;
    return (entry & kNoExecute) && !(processor.save().efer & kEferNxe);
}

Translation fault_at(Translation t, Access access, bool user, uint32_t why) {
    t.fault = why | (access == Access::write ? kFaultWrite : 0) | (user ? kFaultUser : 0) |
              (access == Access::fetch ? kFaultFetch : 0);
    return t;
}

uint64_t read_entry(const Processor& processor, GuestPhys at, unsigned bytes) {
    uint64_t entry = 0;
    const uint8_t* seen = processor.memory.at(at, bytes, Backing::private_);
    if (seen != nullptr)
        memcpy(&entry, seen, bytes);
    return entry;
}

void write_entry(const Processor& processor, GuestPhys at, uint64_t entry, unsigned bytes) {
    uint8_t* seen = processor.memory.at(at, bytes, Backing::private_);
    if (seen != nullptr)
        memcpy(seen, &entry, bytes);
}

Translation flat(uint64_t linear) {
    Translation t;
    t.mapped = true;
    t.gpa = linear & 0xffffffff;
    return t;
}

Translation walk(const Processor& processor, uint64_t linear, Access access, bool user) {
    const Mode mode = mode_of(processor);
    if (!processor.long_mode())
        linear &= 0xffffffff;
    const uint64_t c_bit = processor.paging_has_c_bit() ? processor.c_bit_mask : 0;
    const uint64_t address = kAddress & ~(c_bit | processor.alias_mask);
    GuestPhys table = top_table(processor);
    Translation t;
    Rights rights;
    for (unsigned level = mode.levels;; --level) {
        const unsigned shift = mode.shift(level);
        const uint64_t index = linear >> shift & ((1u << mode.index_bits) - 1);
        const GuestPhys at = table + index * mode.entry_bytes;
        const uint64_t entry = read_entry(processor, at, mode.entry_bytes);
        t.step[t.steps++] = {level, at, entry};
        if (!(entry & kPresent))
            return fault_at(t, access, user, 0);
        if (has_reserved_bits(processor, mode, level, entry))
            return fault_at(t, access, user, kFaultPresent | kFaultReserved);
        if (!(level == 3 && mode.legacy_pae())) // whose entries have no rights
            rights.narrow(entry);
        if (level != 1 && !is_large(processor, mode, level, entry)) {
            table = entry & address;
            continue;
        }
        if (!rights.allow(processor, access, user))
            return fault_at(t, access, user, kFaultPresent);
        const uint64_t offset = linear & ((uint64_t{1} << shift) - 1);
        t.mapped = true;
        t.gpa = (entry & address & ~((uint64_t{1} << shift) - 1)) | offset;
        const bool shared = c_bit != 0 && (entry & c_bit) == 0 && access != Access::fetch;
        t.backing = shared ? Backing::shared : Backing::private_;
        return t;
    }
}

void mark_used(const Processor& processor, const Translation& t, Access access) {
    const Mode mode = mode_of(processor);
    for (unsigned i = 0; i != t.steps; ++i) {
        const WalkStep& step = t.step[i];
        if (step.level == 3 && mode.legacy_pae())
            continue; // they have no accessed bit
        const bool last = i + 1 == t.steps;
        const uint64_t used = kAccessed | (last && access == Access::write ? kDirty : 0);
        if ((step.entry & used) != used)
            write_entry(processor, step.at, step.entry | used, mode.entry_bytes);
    }
}

constexpr uint64_t rest_of_page(uint64_t linear) {
    return kPageBytes - linear % kPageBytes;
}

Reached reach_page(const Processor& processor, uint64_t linear, uint64_t bytes, Access access,
                   bool user, uint8_t*& seen) {
    const Translation t = translate(processor, linear, access, user);
    if (!t.mapped)
        return {Reach::page_fault, linear, t.fault};
    if (processor.reverse_map != nullptr &&
        processor.reverse_map->check(t.gpa, t.backing) != PageCheck::allowed)
        return {Reach::not_validated, linear, 0};
    seen = processor.memory.at(t.gpa, bytes, t.backing);
    return seen != nullptr ? Reached() : Reached{Reach::no_memory, linear, 0};
}

// Calls copy(host's bytes, count) for each page of the range.
template <typename Copy>
Reached for_each_page(const Processor& processor, uint64_t linear, uint64_t bytes, Access access,
                      bool user, Copy copy) {
    while (bytes != 0) {
        const uint64_t rest = rest_of_page(linear);
        const uint64_t part = rest < bytes ? rest : bytes;
        uint8_t* seen = nullptr;
        const Reached reached = reach_page(processor, linear, part, access, user, seen);
        if (!reached)
            return reached;
        copy(seen, part);
        linear += part;
        bytes -= part;
    }
    return {};
}

} // namespace

Translation translate(const Processor& processor, uint64_t linear, Access access, bool user) {
    if (!processor.paging())
        return flat(linear);
    const Translation t = walk(processor, linear, access, user);
    if (t.mapped)
        mark_used(processor, t, access);
    return t;
}

Translation look_up(const Processor& processor, uint64_t linear) {
    return processor.paging() ? walk(processor, linear, Access::read, false) : flat(linear);
}

Reached read_linear(const Processor& processor, uint64_t linear, void* to, uint64_t bytes,
                    bool user) {
    auto* out = static_cast<uint8_t*>(to);
    return for_each_page(processor, linear, bytes, Access::read, user,
                         [&](const uint8_t* seen, uint64_t part) {
                             memcpy(out, seen, part);
                             out += part;
                         });
}

Reached write_linear(const Processor& processor, uint64_t linear, const void* from, uint64_t bytes,
                     bool user) {
    const auto* in = static_cast<const uint8_t*>(from);
    return for_each_page(processor, linear, bytes, Access::write, user,
                         [&](uint8_t* seen, uint64_t part) {
                             memcpy(seen, in, part);
                             in += part;
                         });
}

Code fetch_instruction(const Processor& processor) {
    const VmcbSave& save = processor.save();
    const uint64_t linear = processor.in_64_bit_code() ? save.rip
                                                       : (save.cs.base + save.rip) & 0xffffffff;
    const bool user = save.cpl == 3;
    Code code = {};
    auto take = [&](const uint8_t* seen, uint64_t part) {
        memcpy(code.bytes + code.count, seen, part);
        code.count += static_cast<unsigned>(part);
    };
    const uint64_t rest = rest_of_page(linear);
    const uint64_t first = rest < kMaxInstructionBytes ? rest : kMaxInstructionBytes;
    if (for_each_page(processor, linear, first, Access::fetch, user, take))
        for_each_page(processor, linear + first, kMaxInstructionBytes - first, Access::fetch, user,
                      take);
    return code;
}

} // namespace sevhost
