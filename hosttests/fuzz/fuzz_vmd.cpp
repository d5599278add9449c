// OpenBSD vmd's structures, as a loader that lies would leave them.
#include "loader_target.h"

constexpr prologue::test::FuzzedContract prologue::test::kContract = {
    recognise_and_parse<prologue_recognise_vmd, prologue_parse_vmd>,
    prologue_next_vmd_module,
    put_vmd,
};
