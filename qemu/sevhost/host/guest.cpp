#include "guest.h"

namespace sevhost {

Guest::Guest(HostMemory& host_memory, const Settings& wanted)
    : settings(wanted), profile(find_profile(wanted.host)), host(host_memory), rmp(memory) {
    memory.noise_seed = settings.seed;
    c_bit_mask = encrypted() ? uint64_t{1} << settings.c_bit : 0;
}

} // namespace sevhost
