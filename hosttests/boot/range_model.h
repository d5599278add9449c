// What a memory map must be, computed the slow way from what was stated: the
// model that MemoryMap is held against. It shares no arithmetic with boot/.
#pragma once

#include "prologue/handoff.h"

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace prologue::test {

// One thing that a map was told: a loader's range, or pages of ours.
struct Statement {
    enum Kind { kAdd, kOverlay } kind;
    uint64_t start;
    uint64_t bytes; // of an overlay, as its start: whole pages
    uint32_t type;  // of an add, the e820's; of an overlay, ours
};

// Whole pages, half open: what a statement comes to. No end is above the start
// of the last page, since an end at 2^64 is no number; RAM that is said to reach
// into that page is not believed at all.
struct Pages {
    uint64_t start;
    uint64_t end;
    uint32_t type;
};
std::optional<Pages> pages_of(const Statement& statement);

using Ranges = std::vector<prologue_range>;

// By a look at every page of the universe, which no statement may leave.
Ranges map_by_pages(const std::vector<Statement>& statements, uint64_t universe, uint64_t pages);

// By a sweep over all starts and ends.
Ranges map_by_sweep(const std::vector<Statement>& statements);

// What is wrong with a map, whatever was stated; empty if nothing is.
std::string flaw_of(const prologue_range* begin, const prologue_range* end);

std::ostream& operator<<(std::ostream& out, const Statement& statement);

} // namespace prologue::test

// For gtest, which looks in the type's own namespace.
bool operator==(const prologue_range& a, const prologue_range& b);
std::ostream& operator<<(std::ostream& out, const prologue_range& range);
