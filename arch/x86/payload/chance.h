// Whether a payload lies by chance, as `random` on the command line wants, and `nokaslr` does not.
#pragma once
#pragma GCC visibility push(hidden)

#include "prologue/handoff.h"
#include "random.h"

namespace prologue {

// Fills `random` with all the randomness that there is, if it is wanted.
bool draws_places(const prologue_handoff& handoff, Random& random);

} // namespace prologue

#pragma GCC visibility pop
