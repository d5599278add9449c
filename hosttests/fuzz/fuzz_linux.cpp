// boot_params and setup_data, as a loader that lies would leave them.
#include "loader_fuzz.h"

namespace {

using namespace prologue::test;

// boot_params is the whole of an input's page: what it points to lies in it, too.
uint64_t put(FakeMemory& memory, const Stated& stated, const Places&) {
    Stated longer = stated;
    while (stated.modules.size() == 1 && longer.memory.size() < linux_boot::kMapMost + 3)
        longer.memory.push_back({longer.memory.size() << 20, 0x1000, 2});
    return put_linux(memory, longer, {.info = 0, .map = 0xe00, .cmdline = 0xf00});
}

constexpr FuzzedContract kContract = {
    prologue::prologue_parse_linux,
    prologue::prologue_next_linux_module,
    put,
};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    write_loader_seeds_if_asked(kContract, *argc, *argv);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz_loader(kContract, data, size);
    return 0;
}
