// What could not be laid down in its turn: sorted, and merged with the ranges that stand.
#include "bytes.h"
#include "memory_map.h"
#include "sort.h"

namespace prologue {

constexpr uint32_t kNone = 0; // no type's rank

// A look at all statements from the lowest start on: of each rank, how far those reach that
// have begun.
struct MemoryMap::Sweep {
    uint64_t at = 0;
    uint32_t begun = 0; // a bit for each rank that may reach beyond
    uint64_t reach[kTypes] = {};

    void begin(const prologue_range& range) {
        const uint32_t rank = rank_of(range.type);
        begun |= 1u << rank;
        if (range.end > reach[rank])
            reach[rank] = range.end;
    }
    // The strongest.
    uint32_t rank_in_force() {
        while (begun != 0) {
            const auto rank = static_cast<uint32_t>(31 - __builtin_clz(begun));
            if (reach[rank] > at)
                return rank;
            begun ^= 1u << rank;
        }
        return kNone;
    }
    uint64_t end_of(uint32_t rank, uint64_t limit) const {
        return rank != kNone && reach[rank] < limit ? reach[rank] : limit;
    }
};

void MemoryMap::put_aside(Span span, uint32_t type) {
    if (end_ == aside_)
        fail_full();
    *--aside_ = {span.start, span.end, type, 0};
}

// The ranges that stand move up to what was put aside, and all of it is sorted: then the storage
// holds, from below, what is laid down anew, a gap, and what is still to be read. Where there is
// storage_for() all statements the gap never closes. Of each statement's two ends, what was
// laid down has at most one range for each that was passed, and what is to be read has one,
// or what was put aside a half, for each to come.
void MemoryMap::settle() {
    if (aside_ == limit_)
        return;
    prologue_range* const all = aside_ - (end_ - begin_);
    copy_bytes_up(all, begin_, static_cast<uintptr_t>(end_ - begin_) * sizeof *begin_);
    sort(all, static_cast<uint64_t>(limit_ - all),
         [](const prologue_range& a, const prologue_range& b) { return a.start < b.start; });
    end_ = begin_;
    Sweep sweep;
    for (aside_ = all; aside_ != limit_; ++aside_) {
        lay_up_to(aside_->start, sweep);
        sweep.begin(*aside_);
    }
    lay_up_to(kLastPageStart, sweep);
}

// All that has begun, where no other range begins before.
void MemoryMap::lay_up_to(uint64_t start, Sweep& sweep) {
    while (sweep.at < start) {
        const uint32_t rank = sweep.rank_in_force();
        const uint64_t end = sweep.end_of(rank, start);
        if (rank != kNone)
            follow({sweep.at, end}, kByRank[rank]);
        sweep.at = end;
    }
}

} // namespace prologue
