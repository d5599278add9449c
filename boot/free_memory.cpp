#include "free_memory.h"

#include "bytes.h"
#include "errors.h"
#include "memory_map.h"

namespace prologue {
namespace {

constexpr uint32_t kUsable = 1; // the e820's number for it

// What is left of a piece when something occupies part of it: the larger side.
void trim(Span& piece, Span occupied) {
    if (!piece.overlaps(occupied)) [[likely]]
        return;
    const Span below = {piece.start, page_down(occupied.start)};
    const Span above = {page_up(occupied.end), piece.end};
    const uint64_t below_bytes = below.end > below.start ? below.bytes() : 0;
    const uint64_t above_bytes = above.end > above.start ? above.bytes() : 0;
    piece = below_bytes >= above_bytes ? Span{piece.start, piece.start + below_bytes} : above;
}

// The piece without what the loader's map says is not usable.
void trim_by_map(Span& piece, const RawMap& map) {
    for (const RawRange& range : map)
        if (range.e820_type != kUsable)
            trim(piece, span_of_range(range.start, range.bytes, PROLOGUE_MEMORY_RESERVED));
}

// The piece without the image and what the loader has put into memory.
[[gnu::noinline]] void trim_by_contents(Span& piece, PhysMemory& memory, const LoaderInfo& loader,
                                        NextModule* next_module, Span image) {
    trim(piece, image);
    for (unsigned i = 0; i != loader.structure_count; ++i)
        trim(piece, loader.structures[i]);
    ModuleCursor cursor = loader.modules;
    for (LoaderModule module; next_module(memory, cursor, module);) {
        trim(piece, module.bytes);
        trim(piece, memory.span_of(module.cmdline.start, module.cmdline.bytes));
    }
}

// Do the ranges follow each other without overlaps?
bool is_sorted(const RawMap& map) {
    uint64_t previous_end = 0;
    for (const RawRange& range : map) {
        if (range.start < previous_end || range.bytes > ~range.start)
            return false;
        previous_end = range.start + range.bytes;
    }
    return true;
}

}  // namespace

Span find_free_memory(PhysMemory& memory, const LoaderInfo& loader, NextModule* next_module,
                      Span image, uint64_t limit, uint64_t least) {
    const bool sorted = is_sorted(loader.memory);
    Span best;
    for (const RawRange& range : loader.memory) {
        if (range.e820_type != kUsable || range.bytes <= best.bytes())
            continue;
        Span piece = span_of_range(range.start, range.bytes, PROLOGUE_MEMORY_USABLE);
        if (piece.start < kMiB)
            piece.start = kMiB;
        if (piece.end > limit)
            piece.end = limit;
        if (piece.start >= piece.end || piece.bytes() <= best.bytes())
            continue;
        if (!sorted)
            trim_by_map(piece, loader.memory);
        trim_by_contents(piece, memory, loader, next_module, image);
        if (piece.bytes() > best.bytes())
            best = piece;
    }
    if (best.bytes() < least)
        fail(Error::no_free_memory, least, best.bytes());
    return best;
}

uint64_t Arena::take(uint64_t bytes, uint64_t alignment) {
    const uint64_t start = (next_ + alignment - 1) & ~(alignment - 1);
    if (start > span_.end || bytes > span_.end - start)
        fail(Error::no_free_memory, bytes, span_.end - next_);
    next_ = start + bytes;
    return start;
}

const char* Arena::copy(const char* bytes, uint64_t count, bool end_with_nul) {
    char* to = array<char>(count + (end_with_nul ? 1 : 0));
    copy_bytes(to, bytes, count);
    if (end_with_nul)
        to[count] = 0;
    return to;
}

}  // namespace prologue
