#include "schedule.h"

namespace sevhost {
namespace {

constexpr unsigned kMostTurns = 8;    // of those that come often
constexpr unsigned kLongTurns = 4096; // of those that come seldom
constexpr uint64_t kSeldom = 64;

uint64_t state;

// xorshift64 (Marsaglia 2003)
uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

} // namespace

unsigned turns_to_wait(const Settings& settings) {
    if (settings.schedule == 0)
        return 1;
    if (state == 0)
        state = settings.schedule;
    const uint64_t number = next() >> 16;
    return static_cast<unsigned>(number % kSeldom == 0 ? number / kSeldom % kLongTurns
                                                       : number / kSeldom % kMostTurns);
}

} // namespace sevhost
