#include "free_memory.h"

#include "bytes.h"
#include "errors.h"
#include "memory_map.h"

namespace prologue {
namespace {

// A window on physical memory, in blocks. What can be used, and what is in use, is noted
// where it begins: as the block at which it ends.
class Blocks {
public:
    static constexpr unsigned kMost = 512;

    Blocks(Span window, uint64_t block) : window_(window), block_(block) {}

    // The blocks that lie within it.
    void allow(Span usable) {
        if (!window_.overlaps(usable))
            return;
        usable = window_.shared(usable);
        note(usable_to_, (usable.start - window_.start + block_ - 1) / block_,
             (usable.end - window_.start) / block_);
    }
    // The blocks that it touches.
    void forbid(Span used) {
        if (used.bytes() == 0 || !window_.overlaps(used))
            return;
        used = window_.shared(used);
        note(used_to_, (used.start - window_.start) / block_,
             (used.end - window_.start + block_ - 1) / block_);
    }

    // Goes on with a run of free blocks, up to so many bytes: true if it got so far.
    bool continue_run(Span& run, uint64_t bytes) const {
        unsigned usable_to = 0, used_to = 0;
        for (unsigned i = 0; i != kMost; ++i) {
            usable_to = usable_to_[i] > usable_to ? usable_to_[i] : usable_to;
            used_to = used_to_[i] > used_to ? used_to_[i] : used_to;
            const uint64_t start = window_.start + i * block_;
            if (i >= usable_to || i < used_to)
                run.start = run.end = start + block_;
            else
                run.end = start + block_;
            if (run.bytes() >= bytes)
                return true;
        }
        return false;
    }

private:
    static void note(uint16_t* ends, uint64_t first, uint64_t end) {
        if (first < end && ends[first] < end)
            ends[first] = static_cast<uint16_t>(end);
    }

    Span window_;
    uint64_t block_;
    uint16_t usable_to_[kMost] = {}, used_to_[kMost] = {};
};

constexpr bool is_usable(const RawRange& range) {
    return range.e820_type == kE820Usable;
}

// As it will be in the map, which says what it had to leave out.
Span span_of(const RawRange& range) {
    uint32_t left_out = 0;
    return span_of_range(range.start, range.bytes, type_of_e820(range.e820_type), left_out);
}

[[gnu::noinline]] void look_at_all(Blocks& blocks, PhysMemory& memory, const LoaderInfo& loader,
                                   NextModule* next_module, Span image) {
    const RawMap* const maps[] = {&loader.memory, &loader.more_memory};
    for (const RawMap* map : maps)
        for (const RawRange& range : *map)
            if (is_usable(range))
                blocks.allow(span_of(range));
            else
                blocks.forbid(span_of(range));
    blocks.forbid(image);
    for (unsigned i = 0; i != loader.structure_count; ++i)
        blocks.forbid(loader.structures[i]);
    ModuleCursor cursor = loader.modules;
    for (LoaderModule module; next_module(memory, cursor, module);) {
        blocks.forbid(module.bytes);
        if (module.cmdline.start != nullptr)
            blocks.forbid(memory.span_of(module.cmdline.start, module.cmdline.bytes + 1));
    }
}

// From where usable memory begins, within the limits, to where it ends.
Span extent_of(const RawMap& map, Span limits) {
    Span extent;
    for (const RawRange& range : map) {
        const Span usable = is_usable(range) ? limits.shared(span_of(range)) : Span{};
        if (usable.bytes() != 0)
            extent = extent.bytes() == 0 ? usable : extent.hull(usable);
    }
    return extent;
}

// How often all is looked at, at the most.
constexpr uint64_t kMostWindows = 16;

} // namespace

// First by a look at all memory, in blocks that are large; where nothing is found, by several,
// each at a part of it, in blocks that are small.
Span find_free_memory(PhysMemory& memory, const LoaderInfo& loader, NextModule* next_module,
                      Span image, Span limits, uint64_t bytes) {
    const Span extent = extent_of(loader.memory, limits);
    for (uint64_t windows = 1; windows <= kMostWindows; windows *= kMostWindows) {
        const uint64_t most = windows * Blocks::kMost;
        const uint64_t block = page_up((extent.bytes() + most - 1) / most);
        Span run = {extent.start, extent.start};
        for (uint64_t start = extent.start; start < extent.end; start += block * Blocks::kMost) {
            Blocks blocks(extent.shared(Span{start, start + block * Blocks::kMost}), block);
            look_at_all(blocks, memory, loader, next_module, image);
            if (blocks.continue_run(run, bytes))
                return {run.start, run.start + bytes};
        }
    }
    fail(Error::no_room_for_map, bytes);
}

Arena::Arena(PhysMemory& memory, Span span)
    : window_(memory.window),
      start_(span.start),
      next_(span.end),
      end_(span.end) {
    if (span.bytes() > kMost)
        start_ = span.end - kMost;
    memory.at("free memory", start_, end_ - start_);
}

uint64_t Arena::take(uint64_t bytes, uint64_t alignment) {
    const uint64_t left = next_ - start_;
    const uint64_t start = (next_ - bytes) & ~(alignment - 1);
    if (bytes > left || start < start_)
        fail(Error::no_free_memory, bytes, left);
    next_ = start;
    return start;
}

const char* Arena::copy(const char* bytes, uint64_t count, bool end_with_nul) {
    char* to = array<char>(count + (end_with_nul ? 1 : 0));
    copy_bytes(to, bytes, count);
    if (end_with_nul)
        to[count] = 0;
    return to;
}

} // namespace prologue
