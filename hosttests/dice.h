// Random numbers for tests: the same on every run and every library.
#pragma once

#include <cstdint>
#include <random>

namespace prologue::test {

class Dice {
public:
    explicit Dice(uint64_t seed) : bits_(seed) {}

    uint64_t any() { return bits_(); }
    uint64_t below(uint64_t limit) { return bits_() % limit; }
    uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
    bool one_in(uint64_t n) { return below(n) == 0; }

    template <class T>
    const T& one_of(std::initializer_list<T> list) {
        return list.begin()[below(list.size())];
    }
    template <class List>
    const auto& pick(const List& list) {
        return list[below(list.size())];
    }
    template <class List>
    void shuffle(List& list) {
        for (auto left = list.size(); left > 1; --left)
            std::swap(list[left - 1], list[below(left)]);
    }

private:
    std::mt19937_64 bits_;
};

} // namespace prologue::test
