// Multiboot 2's structures, as a loader that lies would leave them.
#include "loader_target.h"

constexpr prologue::test::FuzzedContract prologue::test::kContract = {
    prologue_parse_multiboot2,
    prologue_next_multiboot2_module,
    put_multiboot2,
};
