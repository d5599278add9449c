#include "range_model.h"

#include "loader_info.h"

#include <algorithm>
#include <array>
#include <map>
#include <ostream>
#include <sstream>

namespace prologue::test {
namespace {

using Wide = unsigned __int128; // in which no end wraps

constexpr Wide kPageBytes = 4096;
constexpr Wide kLastPage = (Wide{1} << 64) - kPageBytes;
constexpr uint32_t kTypes = PROLOGUE_MEMORY_SOFT_RESERVED + 1; // and 0 for none

// ACPI 6.5, table 15-374, as far as contracts carry it; and the number of our own.
uint32_t type_of(uint32_t e820) {
    constexpr std::array<uint32_t, 6> kKnown = {PROLOGUE_MEMORY_RESERVED, PROLOGUE_MEMORY_USABLE,
                                                PROLOGUE_MEMORY_RESERVED, PROLOGUE_MEMORY_ACPI,
                                                PROLOGUE_MEMORY_NVS,      PROLOGUE_MEMORY_BAD};
    if (e820 == kInFirmwaresUse)
        return PROLOGUE_MEMORY_LOADER;
    if (e820 == kE820Unaccepted)
        return PROLOGUE_MEMORY_UNACCEPTED;
    if (e820 == kE820SoftReserved)
        return PROLOGUE_MEMORY_SOFT_RESERVED;
    return e820 < kKnown.size() ? kKnown[e820] : uint32_t{PROLOGUE_MEMORY_RESERVED};
}

// The types from the weakest to the strongest: stated apart from memory_map.h, whose order this
// judges.
constexpr std::array<uint32_t, kTypes> kByStrength = {0,
                                                      PROLOGUE_MEMORY_USABLE,
                                                      PROLOGUE_MEMORY_LOADER,
                                                      PROLOGUE_MEMORY_PROLOGUE,
                                                      PROLOGUE_MEMORY_ACPI,
                                                      PROLOGUE_MEMORY_NVS,
                                                      PROLOGUE_MEMORY_SOFT_RESERVED,
                                                      PROLOGUE_MEMORY_RESERVED,
                                                      PROLOGUE_MEMORY_BAD,
                                                      PROLOGUE_MEMORY_UNACCEPTED,
                                                      PROLOGUE_MEMORY_MODULE,
                                                      PROLOGUE_MEMORY_KERNEL};

uint32_t strength(uint32_t type) {
    return static_cast<uint32_t>(std::find(kByStrength.begin(), kByStrength.end(), type) -
                                 kByStrength.begin());
}

void append(Ranges& ranges, uint64_t start, uint64_t end, uint32_t type) {
    if (type == 0 || start == end)
        return;
    if (!ranges.empty() && ranges.back().end == start && ranges.back().type == type)
        ranges.back().end = end;
    else
        ranges.push_back({start, end, type, 0});
}

} // namespace

std::optional<Pages> pages_of(const Statement& statement) {
    Wide start = statement.start, end = start + statement.bytes;
    uint32_t type = statement.type;
    if (start == end)
        return std::nullopt;
    if (statement.kind == Statement::kAdd) {
        if (end > Wide{1} << 64) // it wraps: left out
            return std::nullopt;
        type = type_of(statement.type);
        const Wide slack = kPageBytes - 1;
        if (type == PROLOGUE_MEMORY_USABLE) {
            start = std::max((start + slack) / kPageBytes, Wide{1}) * kPageBytes;
            end = end > kLastPage ? 0 : end / kPageBytes * kPageBytes;
        } else {
            start = start / kPageBytes * kPageBytes;
            end = std::min((end + slack) / kPageBytes * kPageBytes, kLastPage);
        }
    }
    if (start >= end)
        return std::nullopt;
    return Pages{static_cast<uint64_t>(start), static_cast<uint64_t>(end), type};
}

Ranges map_by_pages(const std::vector<Statement>& statements, uint64_t universe, uint64_t pages) {
    constexpr auto kPageSize = static_cast<uint64_t>(kPageBytes);
    std::vector<uint32_t> types(pages);
    for (const Statement& statement : statements)
        if (const auto spanned = pages_of(statement))
            for (uint64_t page = spanned->start; page != spanned->end; page += kPageSize) {
                uint32_t& type = types.at((page - universe) / kPageSize);
                if (strength(spanned->type) > strength(type))
                    type = spanned->type;
            }
    Ranges ranges;
    for (uint64_t i = 0; i != pages; ++i)
        append(ranges, universe + i * kPageSize, universe + (i + 1) * kPageSize, types[i]);
    return ranges;
}

Ranges map_by_sweep(const std::vector<Statement>& statements) {
    struct Change {
        uint64_t at;
        uint32_t type;
        int by;
    };
    std::vector<Change> changes;
    for (const Statement& statement : statements)
        if (const auto spanned = pages_of(statement)) {
            changes.push_back({spanned->start, spanned->type, 1});
            changes.push_back({spanned->end, spanned->type, -1});
        }
    std::sort(changes.begin(), changes.end(),
              [](const Change& a, const Change& b) { return a.at < b.at; });
    std::array<int, kTypes> open = {};
    Ranges ranges;
    uint64_t since = 0;
    for (const Change& change : changes) {
        uint32_t at = kTypes - 1;
        while (at != 0 && open[kByStrength[at]] == 0)
            --at;
        append(ranges, since, change.at, kByStrength[at]);
        since = change.at;
        open[change.type] += change.by;
    }
    return ranges;
}

std::string flaw_of(const prologue_range* begin, const prologue_range* end) {
    std::ostringstream flaw;
    for (const prologue_range* range = begin; range != end; ++range) {
        if (range->start >= range->end)
            flaw << *range << " is empty or backwards; ";
        if (range->start % 4096 != 0 || range->end % 4096 != 0)
            flaw << *range << " is not page-aligned; ";
        if (range->type == 0 || range->type >= kTypes || range->flags != 0)
            flaw << *range << " has no known type; ";
        if (range == begin)
            continue;
        if (range[-1].end > range->start)
            flaw << range[-1] << " is not before " << *range << "; ";
        if (range[-1].end == range->start && range[-1].type == range->type)
            flaw << range[-1] << " is not merged with " << *range << "; ";
    }
    return flaw.str();
}

std::ostream& operator<<(std::ostream& out, const Statement& statement) {
    const auto flags = out.flags();
    out << (statement.kind == Statement::kAdd ? "add " : "overlay ") << std::hex << statement.start
        << " of " << statement.bytes << " bytes as " << std::dec << statement.type;
    out.flags(flags);
    return out;
}

} // namespace prologue::test

bool operator==(const prologue_range& a, const prologue_range& b) {
    return a.start == b.start && a.end == b.end && a.type == b.type && a.flags == b.flags;
}

std::ostream& operator<<(std::ostream& out, const prologue_range& range) {
    const auto flags = out.flags();
    out << std::hex << range.start << " to " << range.end << " (type " << std::dec << range.type
        << ")";
    out.flags(flags);
    return out;
}
