#include "table_audit.h"

#include <algorithm>
#include <ostream>
#include <set>
#include <sstream>
#include <utility>

namespace prologue::test {
namespace {

constexpr uint64_t k4K = 1ull << 12, k2M = 1ull << 21, k1G = 1ull << 30;

// SDM 2.5 and 2.2.1: PE, WP and PG; PAE and LA57; LME, LMA and NXE.
constexpr uint64_t kCr0 = 1ull << 0 | 1ull << 16 | 1ull << 31;
constexpr uint64_t kCr4 = 1ull << 5, kCr4La57 = 1ull << 12;
constexpr uint64_t kEfer = 1ull << 8 | 1ull << 10 | 1ull << 11;

bool canonical(const Cpu& cpu, uint64_t virt) {
    const unsigned unused = cpu.levels == 5 ? 7 : 16;
    return static_cast<uint64_t>(static_cast<int64_t>(virt << unused) >> unused) == virt;
}

std::vector<Stretch> sorted(std::vector<Stretch> stretches) {
    const auto empty = [](const Stretch& stretch) { return stretch.bytes == 0; };
    stretches.erase(std::remove_if(stretches.begin(), stretches.end(), empty), stretches.end());
    std::sort(stretches.begin(), stretches.end(),
              [](const Stretch& a, const Stretch& b) { return a.virt < b.virt; });
    return stretches;
}

class Audit {
public:
    Audit(const Cpu& cpu, const FakeMemory& memory, uint64_t root,
          const std::vector<Stretch>& stretches)
        : cpu_(cpu),
          state_(state_of(cpu, root)),
          read_(reader_of(memory)),
          stretches_(sorted(stretches)) {}

    std::string flaw() {
        for (const Stretch& stretch : stretches_) {
            look_at(stretch.virt);
            look_at(stretch.last());
            look_at(stretch.virt - 1);
            look_at(stretch.last() + 1);
        }
        look_at_leaves();
        return out_.str();
    }

private:
    const Stretch* stretch_at(uint64_t virt) const {
        auto after = std::upper_bound(
            stretches_.begin(), stretches_.end(), virt,
            [](uint64_t at, const Stretch& stretch) { return at < stretch.virt; });
        if (after == stretches_.begin() || (--after)->last() < virt)
            return nullptr;
        return &*after;
    }

    void look_at(uint64_t virt) {
        const WalkResult result = walk(state_, read_, virt, Access::Read, false);
        const Stretch* stretch = stretch_at(virt);
        const auto* fault = std::get_if<Fault>(&result);
        if (stretch == nullptr) {
            const FaultKind due = canonical(cpu_, virt) ? FaultKind::NotPresent
                                                        : FaultKind::NonCanonical;
            if (fault == nullptr)
                out_ << "mapped by nobody's wish: " << std::get<Translation>(result) << "; ";
            else if (fault->kind != due)
                out_ << *fault << "; ";
            return;
        }
        if (fault != nullptr) {
            out_ << *stretch << " is not mapped: " << *fault << "; ";
            return;
        }
        const Translation due = {
            .pa = stretch->phys + (virt - stretch->virt),
            .page_bytes = largest_page(*stretch, virt, cpu_.has_1g_pages),
            .writable = stretch->writable,
            .executable = stretch->executable,
            .pwt = (stretch->caching & 1) != 0,
            .pcd = (stretch->caching & 2) != 0,
            .pat = (stretch->caching & 4) != 0,
            .encrypted = cpu_.c_bit != 0,
        };
        const auto& page = std::get<Translation>(result);
        if (!(page == due))
            out_ << *stretch << " is mapped as " << page << ", not as " << due << "; ";
    }

    void look_at_leaves() {
        uint64_t seen = 0, due = 0;
        for (const Stretch& stretch : stretches_)
            due += stretch.bytes;
        const auto look_at_leaf = [&](uint64_t va, uint64_t pa, uint64_t bytes, bool writable,
                                      bool executable, bool user) {
            seen += bytes;
            const Stretch* stretch = stretch_at(va);
            const bool fits = stretch != nullptr && va + (bytes - 1) <= stretch->last() &&
                              pa == stretch->phys + (va - stretch->virt) &&
                              writable == stretch->writable && executable == stretch->executable &&
                              !user && bytes == largest_page(*stretch, va, cpu_.has_1g_pages);
            if (!fits && flaws_++ < 3)
                out_ << std::hex << "leaf " << va << " to " << pa << " of " << bytes << std::dec
                     << (writable ? " w" : "") << (executable ? " x" : "") << (user ? " u" : "")
                     << " belongs to no stretch; ";
        };
        const auto fault = for_each_leaf(state_, read_, look_at_leaf);
        if (fault)
            out_ << *fault << "; ";
        if (seen != due)
            out_ << std::hex << seen << " bytes are mapped, not " << due << "; ";
    }

    Cpu cpu_;
    PagingState state_;
    ReadPhys read_;
    std::vector<Stretch> stretches_;
    std::ostringstream out_;
    unsigned flaws_ = 0;
};

} // namespace

std::ostream& operator<<(std::ostream& out, const Stretch& stretch) {
    const auto flags = out.flags();
    out << std::hex << "[" << stretch.virt << " to " << stretch.phys << ", " << stretch.bytes
        << " bytes" << (stretch.writable ? " w" : "") << (stretch.executable ? " x" : "") << "]";
    out.flags(flags);
    return out;
}

std::ostream& operator<<(std::ostream& out, const Cpu& cpu) {
    const auto flags = out.flags();
    out << std::hex << cpu.levels << " levels" << (cpu.has_1g_pages ? ", 1G pages" : "")
        << ", C-bit " << cpu.c_bit;
    out.flags(flags);
    return out;
}

std::vector<Stretch> joined(const std::vector<Stretch>& stretches) {
    std::vector<Stretch> result;
    for (const Stretch& stretch : sorted(stretches)) {
        Stretch* before = result.empty() ? nullptr : &result.back();
        if (before != nullptr && before->last() + 1 == stretch.virt &&
            before->virt - before->phys == stretch.virt - stretch.phys &&
            before->writable == stretch.writable && before->executable == stretch.executable &&
            before->caching == stretch.caching)
            before->bytes += stretch.bytes;
        else
            result.push_back(stretch);
    }
    return result;
}

PagingState state_of(const Cpu& cpu, uint64_t root) {
    return {
        .cr0 = kCr0,
        .cr3 = root | cpu.c_bit,
        .cr4 = kCr4 | (cpu.levels == 5 ? kCr4La57 : 0),
        .efer = kEfer,
        .phys_bits = 52,
        .has_1g_pages = cpu.has_1g_pages,
        .c_bit = cpu.c_bit,
    };
}

ReadPhys reader_of(const FakeMemory& memory) {
    return [&memory](uint64_t phys) -> std::optional<uint64_t> {
        if (phys < memory.start() || phys >= memory.end())
            return std::nullopt;
        return memory.get<uint64_t>(phys);
    };
}

uint64_t largest_page(const Stretch& stretch, uint64_t virt, bool has_1g_pages) {
    for (const uint64_t page : {k1G, k2M}) {
        const uint64_t start = virt & ~(page - 1);
        const bool aligned = (stretch.virt - stretch.phys) % page == 0;
        const bool within = start >= stretch.virt && start + (page - 1) <= stretch.last();
        if (aligned && within && (page != k1G || has_1g_pages))
            return page;
    }
    return k4K;
}

std::string flaw_of_tables(const Cpu& cpu, const FakeMemory& memory, uint64_t root,
                           const std::vector<Stretch>& disjoint) {
    return Audit(cpu, memory, root, disjoint).flaw();
}

uint64_t tables_needed(const Cpu& cpu, const std::vector<Stretch>& disjoint) {
    std::set<std::pair<unsigned, uint64_t>> tables; // by what each covers
    const unsigned top_shift = 12 + 9 * cpu.levels;
    for (const Stretch& stretch : disjoint) {
        const auto page_at = [&](uint64_t at) {
            return largest_page(stretch, at, cpu.has_1g_pages);
        };
        for (uint64_t at = stretch.virt;;) {
            const uint64_t page = page_at(at);
            const unsigned leaf_shift = page == k1G ? 30 : page == k2M ? 21 : 12;
            for (unsigned shift = leaf_shift + 9; shift < top_shift; shift += 9)
                tables.insert({shift, at >> shift});
            // On to the next table of such leaves, or to the next page where that may be of
            // another size.
            const uint64_t table_last = at | ((page << 9) - 1);
            const bool fills_table = table_last <= stretch.last() && page_at(table_last) == page;
            const uint64_t last = fills_table ? table_last : at | (page - 1);
            if (last >= stretch.last())
                break;
            at = last + 1;
        }
    }
    return 1 + tables.size();
}

} // namespace prologue::test
