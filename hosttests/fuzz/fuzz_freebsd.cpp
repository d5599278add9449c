// FreeBSD's structures, as a loader that lies would leave them.
#include "loader_target.h"

constexpr prologue::test::FuzzedContract prologue::test::kContract = {
    recognise_and_parse<prologue_recognise_freebsd, prologue_parse_freebsd>,
    prologue_next_freebsd_module,
    put_freebsd,
};
