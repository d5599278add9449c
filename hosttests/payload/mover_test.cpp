// What must move for a payload, in which order, and where there is room for it.

#include "payload/mover.h"

#include "dice.h"
#include "mover_model.h"
#include "refusing.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

constexpr uint64_t kMemory = 1024;
constexpr Span kScratch = {384, kMemory}; // nothing else is there

Bytes numbered() {
    Bytes memory(kMemory);
    Dice dice(1);
    for (uint8_t& byte : memory)
        byte = static_cast<uint8_t>(dice.any());
    return memory;
}

std::optional<Refused> refusal_of_order(const std::vector<Move>& moves, Span scratch = kScratch) {
    return refusal_of([&] {
        Mover mover;
        for (const Move& move : moves)
            mover.add(move);
        mover.order(scratch);
    });
}

// How many moves it takes, after a look at what they come to.
size_t moves_taken(const std::vector<Move>& moves, Span scratch = kScratch) {
    Mover mover;
    for (const Move& move : moves)
        mover.add(move);
    mover.order(scratch);
    Bytes due = moved_at_once(numbered(), moves), is = moved_in_order(numbered(), mover);
    due.resize(kScratch.start); // what is left in the scratch does not matter
    is.resize(kScratch.start);
    EXPECT_EQ(is, due);
    return static_cast<size_t>(mover.end() - mover.begin());
}

// --- The order ------------------------------------------------------------------------------

TEST(Mover, MovesWhatIsInTheWayFirst) {
    EXPECT_EQ(moves_taken({{0, 32, 16}, {32, 64, 16}, {64, 96, 16}}), 3u);
    EXPECT_EQ(moves_taken({{64, 96, 16}, {32, 64, 16}, {0, 32, 16}}), 3u);
    EXPECT_EQ(moves_taken({{96, 64, 16}, {64, 40, 20}, {0, 80, 40}}), 3u) << "parts of each other";
}

TEST(Mover, MovesWithinItself) {
    EXPECT_EQ(moves_taken({{0, 5, 40}}), 1u);
    EXPECT_EQ(moves_taken({{5, 0, 40}}), 1u);
    EXPECT_EQ(moves_taken({{7, 7, 40}}), 1u);
}

TEST(Mover, PutsTheLeastOfACircleAside) {
    EXPECT_EQ(moves_taken({{0, 64, 32}, {64, 0, 8}}, {384, 392}), 3u);
    EXPECT_EQ(moves_taken({{0, 64, 8}, {64, 0, 32}}, {384, 392}), 3u);
    EXPECT_EQ(moves_taken({{0, 32, 16}, {32, 64, 12}, {64, 0, 16}}, {384, 396}), 4u);
    EXPECT_EQ(moves_taken({{0, 32, 4}, {32, 0, 4}, {64, 96, 4}, {96, 64, 4}}, {384, 392}), 6u)
        << "two circles";
}

TEST(Mover, ASourceMayBeReadTwice) {
    EXPECT_EQ(moves_taken({{0, 64, 32}, {0, 128, 32}, {64, 0, 16}}), 4u);
    EXPECT_EQ(moves_taken({{0, 64, 32}, {16, 128, 32}, {200, 16, 16}}), 3u);
}

TEST(Mover, WithoutMovesThereIsNothingToDo) {
    EXPECT_EQ(moves_taken({}), 0u);
    EXPECT_EQ(moves_taken({{5, 9, 0}}), 0u);
}

TEST(Mover, AnyMovesComeToWhatTheyWouldAtOnce) {
    Dice dice(16);
    size_t circles = 0;
    for (unsigned round = 0; round != 20000; ++round) {
        std::vector<Move> moves;
        for (uint64_t at = dice.below(40); at < 300 && moves.size() < 12;) {
            const uint64_t bytes = 1 + dice.below(40);
            moves.push_back({dice.below(kScratch.start - bytes), at, bytes});
            at += bytes + dice.below(30);
        }
        dice.shuffle(moves);
        circles += moves_taken(moves) != moves.size();
        if (HasFailure())
            FAIL() << "round " << round;
    }
    EXPECT_GT(circles, 1000u);
}

// --- What it refuses ------------------------------------------------------------------------

TEST(Mover, RefusesTwoPiecesForOnePlace) {
    EXPECT_EQ(refusal_of_order({{0, 64, 16}, {32, 79, 16}}),
              refused(Refusal::same_place, {32, 48, 0, 16}));
    EXPECT_EQ(refusal_of_order({{0, 64, 16}, {32, 80, 16}}), std::nullopt);
}

TEST(Mover, RefusesACircleWithoutScratch) {
    EXPECT_EQ(refusal_of_order({{0, 64, 32}, {64, 0, 8}}, {384, 391}),
              refused(Refusal::no_scratch, {64, 72, 0, 32}));
    EXPECT_EQ(refusal_of_order({{0, 64, 32}, {64, 0, 8}}, {}),
              refused(Refusal::no_scratch, {64, 72, 0, 32}));
    EXPECT_EQ(refusal_of_order({{0, 64, 32}, {64, 128, 8}}, {}), std::nullopt) << "no circle";
}

TEST(Mover, RefusesMoreThanItHasRoomFor) {
    std::vector<Move> moves;
    for (uint64_t i = 0; i != Mover::kMost; ++i)
        moves.push_back({1000 + i, i, 1});
    EXPECT_EQ(refusal_of_order(moves, {}), std::nullopt);
    moves.push_back({2000, 999, 1});
    EXPECT_EQ(refusal_of_order(moves, {}), refused(Refusal::too_many_moves, {Mover::kMost}));
    moves.pop_back();
    moves[0] = {1, 0, 1}, moves[1] = {0, 1, 1};
    EXPECT_EQ(refusal_of_order(moves, {5000, 5001}),
              refused(Refusal::too_many_moves, {Mover::kMost}))
        << "what goes through the scratch is one more";
}

// --- Rooms ----------------------------------------------------------------------------------

constexpr prologue_range kRanges[] = {
    {0, 0x9f000, PROLOGUE_MEMORY_USABLE, 0},
    {0xf0000, 0x100000, PROLOGUE_MEMORY_RESERVED, 0},
    {0x100000, 0x140000, PROLOGUE_MEMORY_KERNEL, 0},
    {0x140000, 0x800000, PROLOGUE_MEMORY_USABLE, 0},
    {0x800000, 0x900000, PROLOGUE_MEMORY_ACPI, 0},
    {0x100000000, 0x110000000, PROLOGUE_MEMORY_USABLE, 0},
};

bool operator==(Span a, Span b) {
    return a.start == b.start && a.end == b.end;
}

TEST(Rooms, AreTheHighestThatAreFree) {
    Rooms rooms(kRanges, std::size(kRanges));
    EXPECT_TRUE(rooms.take(1, kMostPhysical) == (Span{0x10ffff000, 0x110000000}));
    EXPECT_TRUE(rooms.take(0x2000, kMostPhysical) == (Span{0x10fffd000, 0x10ffff000}));
    EXPECT_TRUE(rooms.take(0x1001, 4 * kGiB) == (Span{0x7fe000, 0x800000}));
    rooms.keep({0x7f0123, 0x7f1001});
    EXPECT_TRUE(rooms.take(0xc000, 4 * kGiB) == (Span{0x7f2000, 0x7fe000}));
    EXPECT_TRUE(rooms.take(0x1000, 4 * kGiB) == (Span{0x7ef000, 0x7f0000}));
    EXPECT_TRUE(rooms.take(0x9e000, 0x9ffff) == (Span{0x1000, 0x9f000})) << "but page 0";
    EXPECT_EQ(refusal_of([&] { rooms.take(1, 0x9ffff); }),
              refused(Refusal::no_room, {0x1000, 0x9ffff}));
}

TEST(Rooms, TheLargestIsWhatIsLeftOver) {
    Rooms rooms(kRanges, 4);
    EXPECT_TRUE(rooms.largest() == (Span{0x140000, 0x800000}));
    rooms.keep({0x400000, 0x401000});
    EXPECT_TRUE(rooms.largest() == (Span{0x401000, 0x800000}));
    rooms.keep({0x3ff000, 0x780000});
    EXPECT_TRUE(rooms.largest() == (Span{0x140000, 0x3ff000}));
    rooms.keep({0, 0x800000});
    EXPECT_TRUE(rooms.largest() == Span{});
}

TEST(Rooms, APayloadMayBelongWhereverRamIsFreeOnceItRuns) {
    const Rooms rooms(kRanges, std::size(kRanges));
    const auto check = [&](Span span) {
        return refusal_of([&] { rooms.check_destination(span); });
    };
    EXPECT_EQ(check({0x100000, 0x800000}), std::nullopt) << "on this image too";
    EXPECT_EQ(check({0x100000000, 0x110000000}), std::nullopt);
    EXPECT_EQ(check({0x90000, 0x9f001}),
              refused(Refusal::not_ram, {0x90000, 0x9f001, 0x9f000, 0xf0000}));
    EXPECT_EQ(check({0xff000, 0x101000}),
              refused(Refusal::not_ram, {0xff000, 0x101000, 0xf0000, 0x100000}));
    EXPECT_EQ(check({0x7ff000, 0x800001}),
              refused(Refusal::not_ram, {0x7ff000, 0x800001, 0x800000, 0x900000}));
    EXPECT_EQ(check({0x10ffff000, 0x110000001}),
              refused(Refusal::not_ram, {0x10ffff000, 0x110000001, 0x110000000, kMostPhysical}));
    EXPECT_EQ(check({0xa0000, 0xb0000}),
              refused(Refusal::not_ram, {0xa0000, 0xb0000, 0xa0000, 0xf0000}));
}

} // namespace
} // namespace prologue::test
