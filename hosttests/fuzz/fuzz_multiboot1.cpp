// Multiboot 1's structures, as a loader that lies would leave them.
#include "loader_fuzz.h"

namespace {

constexpr prologue::test::FuzzedContract kContract = {
    prologue::prologue_parse_multiboot1,
    prologue::prologue_next_multiboot1_module,
    prologue::test::put_multiboot1,
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
