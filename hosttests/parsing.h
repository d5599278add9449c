// What the tests of the contracts have in common: a parse, and how its results
// compare with what a loader stated.
#pragma once

#include "loader_images.h"
#include "loader_info.h"
#include "seams.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace prologue::test {

inline std::string str(Text text) {
    return std::string(text.start, text.bytes);
}

inline std::vector<StatedRange> ranges_of(const RawMap& map) {
    std::vector<StatedRange> ranges;
    for (const RawRange& range : map)
        ranges.push_back({range.start, range.bytes, range.e820_type});
    return ranges;
}

inline bool operator==(const StatedRange& a, const StatedRange& b) {
    return a.start == b.start && a.bytes == b.bytes && a.type == b.type;
}
inline std::ostream& operator<<(std::ostream& out, const StatedRange& range) {
    return out << std::hex << range.start << "+" << range.bytes << " as " << range.type << std::dec;
}

// A module without a text and one with an empty text are the same to a kernel.
inline bool operator==(const StatedModule& a, const StatedModule& b) {
    return a.start == b.start && a.bytes == b.bytes &&
           a.cmdline.value_or("") == b.cmdline.value_or("");
}
inline std::ostream& operator<<(std::ostream& out, const StatedModule& module) {
    return out << std::hex << module.start << "+" << module.bytes << std::dec << " '"
               << module.cmdline.value_or("") << "'";
}

inline std::vector<StatedModule> modules_of(FakeMemory& memory, NextModule* next,
                                            ModuleCursor cursor) {
    std::vector<StatedModule> modules;
    for (LoaderModule module; next(memory.seen, cursor, module);)
        modules.push_back({module.bytes.start, module.bytes.bytes(), str(module.cmdline)});
    return modules;
}

// The numbers of the pages that the spans lie on.
inline std::set<uint64_t> pages_on(const std::vector<Span>& spans) {
    std::set<uint64_t> pages;
    for (const Span& span : spans)
        for (uint64_t at = page_down(span.start); at < span.end; at += kPage)
            pages.insert(at / kPage);
    return pages;
}

inline std::set<uint64_t> pages_occupied(const LoaderInfo& loader) {
    return pages_on({loader.structures, loader.structures + loader.structure_count});
}

inline Span text_span(uint64_t start, const std::optional<std::string>& text) {
    return {start, start + (text ? text->size() + 1 : 0)};
}

inline bool same(const prologue_framebuffer& a, const prologue_framebuffer& b) {
    return a.phys == b.phys && a.pitch == b.pitch && a.width == b.width && a.height == b.height &&
           a.bits_per_pixel == b.bits_per_pixel && a.kind == b.kind && a.red_shift == b.red_shift &&
           a.red_bits == b.red_bits && a.green_shift == b.green_shift &&
           a.green_bits == b.green_bits && a.blue_shift == b.blue_shift &&
           a.blue_bits == b.blue_bits;
}

inline constexpr prologue_framebuffer kTrueColour = {
    .phys = 0xfd000000,
    .pitch = 5120,
    .width = 1280,
    .height = 1024,
    .bits_per_pixel = 32,
    .kind = 1,
    .red_shift = 16,
    .red_bits = 8,
    .green_shift = 8,
    .green_bits = 7,
    .blue_shift = 1,
    .blue_bits = 6,
};
inline constexpr prologue_framebuffer kEgaText = {
    .phys = 0xb8000,
    .pitch = 160,
    .width = 80,
    .height = 25,
    .bits_per_pixel = 16,
    .kind = 2,
    .red_shift = 0,
    .red_bits = 0,
    .green_shift = 0,
    .green_bits = 0,
    .blue_shift = 0,
    .blue_bits = 0,
};

} // namespace prologue::test
