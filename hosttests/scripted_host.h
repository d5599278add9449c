// The host of an SEV guest, played by a test: it answers what the test says, and keeps
// what it was asked. An end of the guest is thrown.
#pragma once

#include "accept.h"
#include "ghcb.h"
#include "msr_protocol.h"
#include "sev_state.h"
#include "vc.h"

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace prologue::test {

struct Terminated {
    unsigned code;
};

// What the guest asked by the page, as the host found it.
struct PageRequest {
    std::array<uint8_t, 4096> bytes;

    uint64_t get(unsigned offset) const {
        uint64_t value;
        std::memcpy(&value, bytes.data() + offset, sizeof value);
        return value;
    }
    bool valid(unsigned offset) const {
        return (bytes[kGhcbValid + offset / 64] >> (offset / 8 % 8) & 1) != 0;
    }
};

struct ScriptedHost {
    ScriptedHost(); // a guest with a page that stands, and a host that answers nothing
    ~ScriptedHost();

    uint64_t ghcb_msr = 0;
    std::function<uint64_t(uint64_t)> on_msr;
    std::function<void()> on_page;
    std::function<Validated(uint64_t, bool, bool)> on_pvalidate;
    std::function<uint32_t(uint64_t, uint64_t)> on_rmpadjust;
    std::function<void(uint64_t)> on_read_line; // without it, memory is read
    std::vector<uint64_t> msr_requests;
    std::vector<PageRequest> page_requests;

    uint64_t cr3 = 0, cr4 = 0, xcr0 = 1, xss = 0, tsc_aux = 0, fs_base = 0, gs_base = 0;
    uint64_t pat_write_at = 0;
    bool is_64bit = true;
    std::map<uint64_t, std::array<uint64_t, 512>> tables;
    CpuidPage* cpuid_page = nullptr;

    alignas(4096) uint8_t page[4096] = {};

    // In the page: a field with its bit; and the whole of an answer that is done.
    void put(unsigned offset, uint64_t value) { std::memcpy(page + offset, &value, sizeof value); }
    void set(unsigned offset, uint64_t value) {
        put(offset, value);
        page[kGhcbValid + offset / 64] = static_cast<uint8_t>(page[kGhcbValid + offset / 64] |
                                                              1u << (offset / 8 % 8));
    }
    uint64_t get(unsigned offset) const {
        uint64_t value;
        std::memcpy(&value, page + offset, sizeof value);
        return value;
    }
    void done(uint64_t info1 = 0, uint64_t info2 = 0) {
        set(kGhcbExitInfo1, info1);
        set(kGhcbExitInfo2, info2);
    }

    // Maps a page of device memory or RAM at `virt`, in four levels.
    // A page of 4 KiB, or by an entry of a higher table; as deep as CR4 says.
    void map(uint64_t virt, uint64_t phys, bool is_private, unsigned in_level = 1);
};

extern ScriptedHost* scripted_host;

inline constexpr uint64_t kCBit = uint64_t{1} << 47;

// The code by which the guest ends itself; nothing where it goes on.
template <class Run>
std::optional<unsigned> end_of(Run run) {
    try {
        run();
    } catch (const Terminated& end) {
        return end.code;
    }
    return std::nullopt;
}

} // namespace prologue::test
