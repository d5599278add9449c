// Multiboot 1's structures, as a loader that lies would leave them.
#include "loader_target.h"

constexpr prologue::test::FuzzedContract prologue::test::kContract = {
    prologue_parse_multiboot1,
    prologue_next_multiboot1_module,
    put_multiboot1,
};
