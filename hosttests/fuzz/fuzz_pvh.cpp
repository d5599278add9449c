// PVH's structures, as a loader that lies would leave them.
#include "loader_fuzz.h"

namespace {

constexpr prologue::test::FuzzedContract kContract = {
    prologue::prologue_parse_pvh,
    prologue::prologue_next_pvh_module,
    prologue::test::put_pvh,
};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    prologue::test::write_loader_seeds_if_asked(kContract, *argc, *argv);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    prologue::test::fuzz_loader(kContract, data, size);
    return 0;
}
