#include "free_memory.h"

#include "bytes.h"
#include "errors.h"
#include "memory_map.h"

namespace prologue {
namespace {

// What is left of a piece when something occupies part of it: the larger side.
void trim(Span& piece, Span occupied) {
    if (!piece.overlaps(occupied))
        return;
    const Span below = {piece.start, page_down(occupied.start)};
    const Span above = {page_up(occupied.end), piece.end};
    const uint64_t below_bytes = occupied.start > piece.start ? below.bytes() : 0;
    const uint64_t above_bytes = above.start < piece.end ? above.bytes() : 0;
    if (below_bytes >= above_bytes)
        piece = {piece.start, piece.start + below_bytes};
    else
        piece = above;
}

class FreePieces {
public:
    FreePieces(PhysMemory& memory, const LoaderInfo& loader, NextModule* next_module, Span image)
        : memory_(memory), loader_(loader), next_module_(next_module), image_(image) {}

    // The piece without all that is known to occupy some of it.
    Span unoccupied(Span piece) const {
        for_each_range(loader_.memory, [&](const RawRange& range) {
            const uint32_t type = type_of_e820(range.e820_type);
            if (type != PROLOGUE_MEMORY_USABLE)
                trim(piece, span_of_range(range.start, range.bytes, type));
        });
        trim(piece, image_);
        for (unsigned i = 0; i != loader_.structure_count; ++i)
            trim(piece, loader_.structures[i]);
        ModuleCursor cursor = loader_.modules;
        for (LoaderModule module; next_module_(memory_, cursor, module);) {
            trim(piece, module.bytes);
            if (module.cmdline.bytes != 0)
                trim(piece, memory_.span_of(module.cmdline.start, module.cmdline.bytes + 1));
        }
        return piece;
    }

private:
    PhysMemory& memory_;
    const LoaderInfo& loader_;
    NextModule* next_module_;
    Span image_;
};

}  // namespace

Span find_free_memory(PhysMemory& memory, const LoaderInfo& loader, NextModule* next_module,
                      Span image, uint64_t limit, uint64_t least) {
    const FreePieces pieces(memory, loader, next_module, image);
    Span best;
    for_each_range(loader.memory, [&](const RawRange& range) {
        if (range.e820_type != 1)
            return;
        Span piece = span_of_range(range.start, range.bytes, PROLOGUE_MEMORY_USABLE);
        if (piece.start < kMiB)
            piece.start = kMiB;
        if (piece.end > limit)
            piece.end = limit;
        if (piece.start >= piece.end || piece.bytes() <= best.bytes())
            return;
        piece = pieces.unoccupied(piece);
        if (piece.bytes() > best.bytes())
            best = piece;
    });
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
