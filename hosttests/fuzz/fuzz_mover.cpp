// Moves of any kind: four bytes each say from, to and how many.
#include "fuzzing.h"
#include "mover_model.h"
#include "refusing.h"

namespace prologue::test {
namespace {

constexpr uint64_t kMoved = 0x200;

std::vector<Move> moves_of(const uint8_t* data, size_t size) {
    std::vector<Move> moves;
    for (; size >= 4; data += 4, size -= 4) {
        const uint64_t bytes = data[2] & 0x7f;
        moves.push_back(
            {data[0] + uint64_t{data[3] & 1u}, data[1] + uint64_t{data[3] & 0x80u}, bytes});
    }
    return moves;
}

std::vector<Input> seeds() {
    return {{0, 64, 32, 0, 64, 0, 8, 0, 200},
            {0, 32, 16, 0, 32, 64, 16, 0, 64, 96, 16, 0, 7},
            {0, 5, 40, 0, 60, 50, 20, 1, 100}};
}

} // namespace
} // namespace prologue::test

using namespace prologue;
using namespace prologue::test;

BEGINS_WITH(seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::vector<Move> moves = moves_of(data, size);
    const Span scratch = {kMoved, kMoved + (size != 0 ? data[size - 1] : 0)};
    Bytes before(kMoved + 0x100);
    for (size_t i = 0; i != before.size(); ++i)
        before[i] = static_cast<uint8_t>(i * 167 + i / 256);

    Mover mover;
    if (const auto refused = refusal_of([&] {
            for (const Move& move : moves)
                mover.add(move);
            mover.order(scratch);
        })) {
        must(refused->refusal == Refusal::same_place || refused->refusal == Refusal::no_scratch ||
                 refused->refusal == Refusal::too_many_moves,
             "a refusal of its own");
        return 0;
    }
    const Bytes due = moved_at_once(before, moves), is = moved_in_order(before, mover);
    for (size_t i = 0; i != before.size(); ++i)
        must(is[i] == due[i] || (i >= scratch.start && i < scratch.end), "each byte has its place");
    return 0;
}
