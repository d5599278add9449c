#include "mover.h"

#include "refusals.h"
#include "slots.h"

namespace prologue {

void Mover::add(Move move) {
    if (move.bytes == 0)
        return;
    for (const Move& other : *this)
        if (other.destination().overlaps(move.destination()))
            refuse(Refusal::same_place, move.from, move.from + move.bytes, other.from,
                   other.from + other.bytes);
    insert(count_, move);
}

void Mover::insert(unsigned index, Move move) {
    if (count_ == kMost)
        refuse(Refusal::too_many_moves, kMost);
    for (unsigned i = count_++; i != index; --i)
        moves_[i] = moves_[i - 1];
    moves_[index] = move;
}

// A move that is not done yet and still reads what this one would write; kNone if it is
// ready.
unsigned Mover::blocker_of(unsigned index, unsigned done) const {
    for (unsigned i = done; i != count_; ++i)
        if (i != index && moves_[i].source().overlaps(moves_[index].destination()))
            return i;
    return kNone;
}

unsigned Mover::find_ready(unsigned done) const {
    for (unsigned i = done; i != count_; ++i)
        if (blocker_of(i, done) == kNone)
            return i;
    return kNone;
}

// Of a circle of moves, the one with the fewest bytes. None is ready, so whoever follows
// blockers for as many steps as there are moves has arrived in one.
unsigned Mover::least_of_circle(unsigned done) const {
    unsigned first = done;
    for (unsigned steps = done; steps != count_; ++steps)
        first = blocker_of(first, done);
    unsigned least = first;
    for (unsigned i = blocker_of(first, done); i != first; i = blocker_of(i, done))
        if (moves_[i].bytes < moves_[least].bytes)
            least = i;
    return least;
}

// Reads the move's source now, before all that is not done yet.
void Mover::put_aside(unsigned index, unsigned done, Span& scratch) {
    Move& move = moves_[index];
    if (move.bytes > scratch.bytes()) {
        const Span waiting = moves_[blocker_of(index, done)].source();
        refuse(Refusal::no_scratch, move.from, move.from + move.bytes, waiting.start, waiting.end);
    }
    const Move aside = {move.from, scratch.start, move.bytes};
    move.from = scratch.start;
    scratch.start += move.bytes;
    insert(done, aside);
}

void Mover::order(Span scratch) {
    for (unsigned done = 0; done != count_; ++done) {
        const unsigned ready = find_ready(done);
        if (ready == kNone) {
            put_aside(least_of_circle(done), done, scratch);
            continue;
        }
        const Move move = moves_[ready];
        moves_[ready] = moves_[done];
        moves_[done] = move;
    }
}

void Rooms::keep(Span span) {
    span = {page_down(span.start), page_up(span.end)};
    if (kept_count_ == kMost)
        refuse(Refusal::too_many_moves, kMost);
    kept_[kept_count_++] = span;
}

// Of what is kept on a span, the one that ends last.
const Span* Rooms::kept_on(Span span) const {
    const Span* last = nullptr;
    for (const Span* kept = kept_; kept != kept_ + kept_count_; ++kept)
        if (kept->overlaps(span) && (!last || kept->end > last->end))
            last = kept;
    return last;
}

// The highest free piece below `end` in a range of memory; empty where there is none.
Span Rooms::free_below(const prologue_range& range, uint64_t end) const {
    if (range.type != PROLOGUE_MEMORY_USABLE)
        return {};
    // Physical page 0 is nobody's.
    const uint64_t start = range.start == 0 ? kPage : range.start;
    end = range.end < end ? range.end : end;
    while (start < end) {
        const Span* const kept = kept_on({start, end});
        if (!kept)
            return {start, end};
        if (kept->end < end)
            return {kept->end, end};
        end = kept->start;
    }
    return {};
}

Span Rooms::take(uint64_t bytes, uint64_t limit) {
    const uint64_t wanted = page_up(bytes);
    for (const prologue_range* range = memory_ + count_; range-- != memory_;) {
        for (Span piece = free_below(*range, page_down(limit)); piece.bytes() != 0;
             piece = free_below(*range, piece.start)) {
            if (piece.bytes() < wanted)
                continue;
            const Span room = {piece.end - wanted, piece.end};
            keep(room);
            return room;
        }
    }
    refuse(Refusal::no_room, wanted, limit);
}

Span Rooms::largest() const {
    Span largest;
    for (const prologue_range* range = memory_; range != memory_ + count_; ++range)
        for (Span piece = free_below(*range, kMostPhysical); piece.bytes() != 0;
             piece = free_below(*range, piece.start))
            if (piece.bytes() > largest.bytes())
                largest = piece;
    return largest;
}

// The number of all, and the place of that number, if there is one.
uint64_t Rooms::find_place(uint64_t bytes, uint64_t linked, uint64_t number,
                           uint64_t& place) const {
    uint64_t count = 0;
    for (const prologue_range* range = memory_; range != memory_ + count_; ++range) {
        for (Span piece = free_below(*range, kMostPhysical); piece.bytes() != 0;
             piece = free_below(*range, piece.start)) {
            const Span high = Span{kMiB, kMostPhysical}.shared(piece);
            const uint64_t slots = slots_in(high, bytes, linked);
            if (number >= count && number - count < slots)
                place = first_slot(high.start, linked) + kSlot * (number - count);
            count += slots;
        }
    }
    return count;
}

uint64_t Rooms::places(uint64_t bytes, uint64_t linked) const {
    uint64_t none;
    return find_place(bytes, linked, kMostPhysical, none);
}

uint64_t Rooms::place(uint64_t bytes, uint64_t linked, uint64_t number) const {
    uint64_t place = 0;
    find_place(bytes, linked, number, place);
    return place;
}

Span Rooms::obstacle(Span destination) const {
    uint64_t next = destination.start;
    for (const prologue_range* range = memory_; range != memory_ + count_; ++range) {
        if (range->end <= next)
            continue;
        if (next >= destination.end)
            return {};
        if (range->start > next)
            return {next, range->start};
        switch (range->type) {
        case PROLOGUE_MEMORY_USABLE:
        case PROLOGUE_MEMORY_LOADER:
        case PROLOGUE_MEMORY_PROLOGUE:
        case PROLOGUE_MEMORY_MODULE:
        case PROLOGUE_MEMORY_KERNEL:
            break;
        default:
            return {range->start, range->end};
        }
        next = range->end;
    }
    return next < destination.end ? Span{next, kMostPhysical} : Span{};
}

void Rooms::check_destination(Span destination) const {
    const Span found = obstacle(destination);
    if (found.bytes() != 0)
        refuse(Refusal::not_ram, destination.start, destination.end, found.start, found.end);
}

} // namespace prologue
