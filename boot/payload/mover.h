// What must be copied where, and in which order, so that nothing is overwritten before it
// was read: a payload's segments go where they were linked to lie, whatever lies there.
#pragma once
#pragma GCC visibility push(hidden)

#include "prologue/handoff.h"
#include "ranges.h"

namespace prologue {

// Bytes that belong elsewhere. Source and destination of one move may overlap, so each is
// to be done as memmove does.
struct Move {
    uint64_t from, to, bytes;

    constexpr Span source() const { return {from, from + bytes}; }
    constexpr Span destination() const { return {to, to + bytes}; }
};

class Mover {
public:
    static constexpr unsigned kMost = 128;

    // Refuses a destination that another move has already. Sources may be shared.
    void add(Move move);

    // Puts the moves in order: done one after the other, they leave what they would if all
    // sources were read before anything is written. Where moves wait for each other in a
    // circle, one of them goes through `scratch`, which no source and no destination
    // touches, and is two moves from then on.
    // All but the largest of a circle's moves need it at the most.
    void order(Span scratch);

    const Move* begin() const { return moves_; }
    const Move* end() const { return moves_ + count_; }

private:
    static constexpr unsigned kNone = ~0u;
    unsigned blocker_of(unsigned index, unsigned done) const;
    unsigned find_ready(unsigned done) const;
    unsigned least_of_circle(unsigned done) const;
    void insert(unsigned index, Move move);
    void put_aside(unsigned index, unsigned done, Span& scratch);

    Move moves_[kMost];
    unsigned count_ = 0;
};

// What the loader image can find room in: a handoff's memory map, and what is spoken for
// besides.
class Rooms {
public:
    static constexpr unsigned kMost = 2 * Mover::kMost;

    Rooms(const prologue_range* memory, uint64_t count) : memory_(memory), count_(count) {}

    // From now on nothing else gets it.
    void keep(Span span);

    // The highest free pages below `limit`, which are kept then; refuses where there are
    // none.
    Span take(uint64_t bytes, uint64_t limit);

    // How many free places there are from 1 MiB on for so many bytes that are linked to lie at an
    // address, modulo kSlot; and the one of that number.
    uint64_t places(uint64_t bytes, uint64_t linked) const;
    uint64_t place(uint64_t bytes, uint64_t linked, uint64_t number) const;

    // The largest free piece, which is not kept; empty where there is none.
    Span largest() const;

    // What of a destination is no RAM that is free once the payload runs: usable, a
    // module's, the loader's, or this image's and its handoff's. Empty where all of it is.
    Span obstacle(Span destination) const;

    // Refuses a destination that has one.
    void check_destination(Span destination) const;

private:
    uint64_t find_place(uint64_t bytes, uint64_t linked, uint64_t number, uint64_t& place) const;
    const Span* kept_on(Span span) const;
    Span free_below(const prologue_range& range, uint64_t end) const;

    const prologue_range* memory_;
    uint64_t count_;
    Span kept_[kMost];
    unsigned kept_count_ = 0;
};

} // namespace prologue

#pragma GCC visibility pop
