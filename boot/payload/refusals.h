// Every way in which the loader image can refuse its payload, with the sentence that says
// so: %x prints a number in hexadecimal, %u in decimal, in order.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

#define PROLOGUE_PAYLOAD_REFUSALS(X)                                                               \
    X(too_many_moves, "payload: more than %u pieces must be moved")                                \
    X(same_place, "payload: %x to %x and %x to %x belong at one place")                            \
    X(no_scratch, "payload: %x to %x is in the way of %x to %x, and no memory is free to put it aside") \
    X(no_room, "payload: %x free bytes below %x are wanted for what must move")                    \
    X(not_ram, "payload: %x to %x belongs where no RAM is, or what must stay: %x to %x")

namespace prologue {

enum class Refusal : uint32_t {
#define PROLOGUE_REFUSAL_NAME(name, sentence) name,
    PROLOGUE_PAYLOAD_REFUSALS(PROLOGUE_REFUSAL_NAME)
#undef PROLOGUE_REFUSAL_NAME
};

// Ends the boot with that line. As fail() of errors.h, each environment brings its own.
[[noreturn]] void refuse(Refusal refusal, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0,
                         uint64_t d = 0);

}  // namespace prologue

#pragma GCC visibility pop
