// boot_params and setup_data, as a loader that lies would leave them.
#include "loader_target.h"

namespace prologue::test {
namespace {

// boot_params is the whole of an input's page: what it points to lies in it, too.
uint64_t put(FakeMemory& memory, const Stated& stated, const Places&) {
    Stated longer = stated;
    while (stated.modules.size() == 1 && longer.memory.size() < linux_boot::kMapMost + 3)
        longer.memory.push_back({longer.memory.size() << 20, 0x1000, 2});
    return put_linux(memory, longer, {.info = 0, .map = 0xe00, .cmdline = 0xf00});
}

}  // namespace

constexpr FuzzedContract kContract = {
    prologue_parse_linux,
    prologue_next_linux_module,
    put,
};

}  // namespace prologue::test
