// Waiting for a time that is known, at the start of other processors.
#pragma once
#pragma GCC visibility push(hidden)

#include "cpu.h"

namespace prologue {

// Ticks of the TSC in a millisecond.
class Clock {
public:
    Clock();
    uint64_t in_microseconds(uint64_t us) const { return read_tsc() + ticks_a_ms_ * us / 1000; }
    void wait_microseconds(uint64_t us) const {
        for (const uint64_t end = in_microseconds(us); read_tsc() < end;)
            asm volatile("pause");
    }

private:
    uint64_t ticks_a_ms_;
};

} // namespace prologue

#pragma GCC visibility pop
