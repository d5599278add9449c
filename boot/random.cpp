#include "random.h"

namespace prologue {
namespace {

constexpr uint64_t rotate(uint64_t word, unsigned bits) {
    return word << bits | word >> (64 - bits);
}

} // namespace

void Random::round() {
    v_[0] += v_[1];
    v_[2] += v_[3];
    v_[1] = rotate(v_[1], 13) ^ v_[0];
    v_[3] = rotate(v_[3], 16) ^ v_[2];
    v_[0] = rotate(v_[0], 32);
    v_[2] += v_[1];
    v_[0] += v_[3];
    v_[1] = rotate(v_[1], 17) ^ v_[2];
    v_[3] = rotate(v_[3], 21) ^ v_[0];
    v_[2] = rotate(v_[2], 32);
}

void Random::mix(uint64_t word) {
    v_[3] ^= word;
    round();
    round();
    v_[0] ^= word;
}

// What SipHash ends with, of a copy: the state goes on by a mix of its own.
uint64_t Random::draw() {
    Random end = *this;
    end.v_[2] ^= 0xff;
    for (unsigned i = 0; i != 4; ++i)
        end.round();
    const uint64_t word = end.v_[0] ^ end.v_[1] ^ end.v_[2] ^ end.v_[3];
    mix(word);
    return word;
}

// Draws above the last multiple of `count` are thrown away.
uint64_t Random::below(uint64_t count) {
    const uint64_t thrown = -count % count;
    uint64_t word = draw();
    while (word < thrown)
        word = draw();
    return word % count;
}

} // namespace prologue
