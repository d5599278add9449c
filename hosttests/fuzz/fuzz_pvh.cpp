// PVH's structures, as a loader that lies would leave them.
#include "loader_target.h"

constexpr prologue::test::FuzzedContract prologue::test::kContract = {
    prologue_parse_pvh,
    prologue_next_pvh_module,
    put_pvh,
};
