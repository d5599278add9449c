// An IGVM file's information page, and a host's memory map, as hosts that lie would leave them.
#include "loader_target.h"

constexpr prologue::test::FuzzedContract prologue::test::kContract = {
    prologue_parse_igvm,
    prologue_next_igvm_module,
    put_igvm,
};
