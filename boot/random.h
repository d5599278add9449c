// Randomness for where a kernel lies: words of whatever source, mixed by SipHash-2-4's rounds.
// Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

class Random {
public:
    void mix(uint64_t word);

    // Any number; or any below `count`, which is not 0, each as likely as the others.
    uint64_t draw();
    uint64_t below(uint64_t count);

private:
    void round();

    uint64_t v_[4] = {0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261,
                      0x7465646279746573};
};

// Where randomness came from.
enum RandomSource : unsigned {
    kFromRdseed = 1,
    kFromRdrand = 2,
    kFromLoader = 4, // the seed that it gave
    kFromTsc = 8,    // which is not random, but nobody knows it to the last bit
};

inline constexpr unsigned kWordsOfSource = 4; // 256 bits
inline constexpr unsigned kTriesOfWord = 10;  // Intel's guide for RDRAND, section 5.2.1

// Mixes in words of one source: all, or it does not count. A word of zeroes or ones is what
// broken ones say (Linux, arch/x86/kernel/cpu/rdrand.c).
template <class Source>
bool mix_words(Random& random, Source source) {
    for (unsigned words = 0; words != kWordsOfSource; ++words) {
        uint64_t word = 0;
        unsigned tries = 0;
        while (!source(word) || word == 0 || word == ~uint64_t{0})
            if (++tries == kTriesOfWord)
                return false;
        random.mix(word);
    }
    return true;
}

// Asks all sources, and returns those that counted. In an SEV guest (`from_cpu_alone`) the
// loader's seed and the TSC, which are the host's to know, do not.
// A Cpu has rdseed(word) and rdrand(word), false where there is none, and tsc().
template <class Cpu>
unsigned gather(Random& random, const Cpu& cpu, const uint8_t* seed, uint64_t seed_bytes,
                bool from_cpu_alone) {
    unsigned sources = 0;
    if (mix_words(random, [&](uint64_t& word) { return cpu.rdseed(word); }))
        sources |= kFromRdseed;
    if (mix_words(random, [&](uint64_t& word) { return cpu.rdrand(word); }))
        sources |= kFromRdrand;
    if (from_cpu_alone)
        return sources;
    for (uint64_t i = 0; i != seed_bytes; ++i)
        random.mix(seed[i]);
    if (seed_bytes != 0)
        sources |= kFromLoader;
    random.mix(cpu.tsc());
    return sources | kFromTsc;
}

} // namespace prologue

#pragma GCC visibility pop
