#include "free_memory.h"

#include "bytes.h"
#include "errors.h"
#include "memory_map.h"

namespace prologue {
namespace {

constexpr uint32_t kUsable = 1; // the e820's number for it

// What is left of a piece when something occupies part of it: the larger side.
[[gnu::noinline]] void trim(Span& piece, Span occupied) {
    if (!piece.overlaps(occupied))
        return;
    const Span below = {piece.start, page_down(occupied.start)};
    const Span above = {page_up(occupied.end), piece.end};
    const uint64_t below_bytes = below.end > below.start ? below.bytes() : 0;
    const uint64_t above_bytes = above.end > above.start ? above.bytes() : 0;
    piece = below_bytes >= above_bytes ? Span{piece.start, piece.start + below_bytes} : above;
}

// The piece without what the loader's map says is not usable.
[[gnu::noinline]] void trim_by_map(Span& piece, const RawMap& map) {
    for (const RawRange& range : map)
        if (range.e820_type != kUsable && range.start < piece.end)
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

}  // namespace

Span find_free_memory(PhysMemory& memory, const LoaderInfo& loader, NextModule* next_module,
                      Span image, uint64_t limit, uint64_t least) {
    Span best;
    for (const RawRange& range : loader.memory) {
        if (range.e820_type != kUsable)
            continue;
        Span piece = Span{kMiB, limit}.shared(
            span_of_range(range.start, range.bytes, PROLOGUE_MEMORY_USABLE));
        if (piece.bytes() <= best.bytes())
            continue;
        trim_by_map(piece, loader.memory);
        trim_by_contents(piece, memory, loader, next_module, image);
        if (piece.bytes() > best.bytes())
            best = piece;
    }
    if (best.bytes() < least)
        fail(Error::no_free_memory, least, best.bytes());
    return best;
}

Arena::Arena(PhysMemory& memory, Span span)
    : window_(memory.window), start_(span.start), next_(span.start), end_(span.end) {
    if (span.bytes() > kMost)
        end_ = span.start + kMost;
    memory.at("free memory", start_, end_ - start_);
}

uint64_t Arena::take(uint64_t bytes, uint64_t alignment) {
    const uint64_t start = (next_ + alignment - 1) & ~(alignment - 1);
    if (start > end_ || bytes > end_ - start)
        fail(Error::no_free_memory, bytes, end_ - next_);
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
