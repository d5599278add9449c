// What moves must come to, byte for byte: all sources are read before anything is written.
#pragma once

#include "payload/mover.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace prologue::test {

using Bytes = std::vector<uint8_t>;

inline Bytes moved_at_once(const Bytes& before, const std::vector<Move>& moves) {
    Bytes after = before;
    for (const Move& move : moves)
        std::memcpy(after.data() + move.to, before.data() + move.from, move.bytes);
    return after;
}

inline Bytes moved_in_order(Bytes memory, const Mover& mover) {
    for (const Move& move : mover)
        std::memmove(memory.data() + move.to, memory.data() + move.from, move.bytes);
    return memory;
}

} // namespace prologue::test
