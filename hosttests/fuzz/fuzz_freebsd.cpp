// FreeBSD's structures, as a loader that lies would leave them. They have no magic, so
// they are looked at first for what they are.
#include "entry_state.h"
#include "loader_fuzz.h"

namespace {

using namespace prologue;

void parse(PhysMemory& memory, uint64_t info, LoaderInfo& loader) {
    const EntryState state = {.sp = info};
    uint64_t known_at = info;
    prologue_recognise_freebsd(memory, state, known_at);
    prologue_parse_freebsd(memory, known_at, loader);
}

constexpr test::FuzzedContract kContract = {
    parse,
    prologue_next_freebsd_module,
    test::put_freebsd,
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
