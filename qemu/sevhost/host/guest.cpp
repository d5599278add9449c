#include "guest.h"

namespace sevhost {

Vm::Vm(HostMemory& host_memory, const Settings& wanted)
    : settings(wanted),
      profile(find_profile(wanted.host)),
      host(host_memory),
      rmp(memory) {
    memory.noise_seed = settings.seed;
}

Guest::Guest(Vm& all)
    : Processor(all.memory),
      vm(all),
      settings(all.settings),
      profile(all.profile),
      host(all.host),
      by_c_bit(all.by_c_bit),
      all_private(all.all_private),
      rmp(all.rmp),
      ap_jump_table(all.ap_jump_table),
      snp_pages(all.snp_pages),
      hostile(all.hostile) {
    c_bit_mask = encrypted() ? uint64_t{1} << settings.c_bit : 0;
}

} // namespace sevhost
