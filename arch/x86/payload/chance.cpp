#include "chance.h"

#include "payload/seed.h"
#include "prologue/kernel.h"
#include "random_sources.h"

namespace prologue {

bool draws_places(const prologue_handoff& handoff, Random& random) {
    uint64_t bytes;
    if (!prologue_option(&handoff, "random", &bytes) ||
        prologue_option(&handoff, "nokaslr", &bytes))
        return false;
    const Text seed = loader_seed(handoff, handoff.direct_map);
    gather(random, Processor(), reinterpret_cast<const uint8_t*>(seed.start), seed.bytes,
           handoff.sev.status != 0);
    return true;
}

} // namespace prologue
