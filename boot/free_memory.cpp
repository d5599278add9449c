#include "free_memory.h"

#include "bytes.h"
#include "errors.h"
#include "memory_map.h"

namespace prologue {
namespace {

// The end of the last thing that lies on a span; 0 where nothing does.
class Obstacles {
public:
    explicit Obstacles(Span span) : span_(span) {}
    [[gnu::noinline]] void look_at(Span occupied) {
        if (occupied.bytes() != 0 && span_.overlaps(occupied) && occupied.end > last_)
            last_ = occupied.end;
    }
    uint64_t last() const { return last_; }

private:
    Span span_;
    uint64_t last_ = 0;
};

[[clang::minsize]] uint64_t last_obstacle(Span span, PhysMemory& memory, const LoaderInfo& loader,
                                          NextModule* next_module, Span image) {
    Obstacles obstacles(span);
    const RawMap* const maps[] = {&loader.memory, &loader.more_memory};
    for (const RawMap* map : maps)
        for (const RawRange& range : *map)
            if (range.e820_type != kE820Usable)
                obstacles.look_at(
                    span_of_range(range.start, range.bytes, PROLOGUE_MEMORY_RESERVED));
    obstacles.look_at(image);
    for (unsigned i = 0; i != loader.structure_count; ++i)
        obstacles.look_at(loader.structures[i]);
    ModuleCursor cursor = loader.modules;
    for (LoaderModule module; next_module(memory, cursor, module);) {
        obstacles.look_at(module.bytes);
        if (module.cmdline.start != nullptr)
            obstacles.look_at(memory.span_of(module.cmdline.start, module.cmdline.bytes + 1));
    }
    return obstacles.last();
}

}  // namespace

// Whatever lies on a span, a later one can only begin behind it: so going from
// obstacle to obstacle misses no room.
[[clang::minsize]] Span find_free_memory(PhysMemory& memory, const LoaderInfo& loader, NextModule* next_module,
                      Span image, Span limits, uint64_t bytes) {
    for (const RawRange& range : loader.memory) {
        if (range.e820_type != kE820Usable)
            continue;
        const Span piece =
            limits.shared(span_of_range(range.start, range.bytes, PROLOGUE_MEMORY_USABLE));
        uint64_t start = piece.start;
        while (start < piece.end && bytes <= piece.end - start) {
            const Span span = {start, start + bytes};
            const uint64_t behind = last_obstacle(span, memory, loader, next_module, image);
            if (behind == 0)
                return span;
            start = page_up(behind);
        }
    }
    fail(Error::no_room_for_map, bytes);
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
