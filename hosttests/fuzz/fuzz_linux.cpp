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

using namespace linux_boot;

void no_version(FakeMemory& memory, uint64_t info) {
    memory.put<uint16_t>(info + kVersion, 0);
    memory.put<uint8_t>(info + kHeaderRest, 0);
}

// One that leads to the command line, as to a piece of its own.
void indirect_setup_data(FakeMemory& memory, uint64_t info) {
    constexpr uint64_t kAt = 0xf80;
    constexpr uint32_t kIndirect = 0x80000000;
    memory.put<uint64_t>(kAt, 0);
    memory.put(kAt + kDataType, kIndirect);
    memory.put<uint32_t>(kAt + kDataBytes, 24);
    memory.put(kAt + kDataPayload, kIndirect | 9); // which, reserved, bytes, address
    memory.put<uint64_t>(kAt + kDataPayload + 8, 16);
    memory.put<uint64_t>(kAt + kDataPayload + 16, 0xf00);
    memory.put(info + kSetupData, kAt);
}

// A firmware's map of two descriptors, over the page's end.
void firmwares_map(FakeMemory& memory, uint64_t info) {
    memory.put_bytes(info + 0x1c0, "EL64", 4);
    memory.put<uint32_t>(info + 0x1c8, 48);
    memory.put<uint32_t>(info + 0x1d0, 0xfa0);
    memory.put<uint32_t>(info + 0x1d4, 96);
}

} // namespace

constexpr FuzzedContract kContract = {
    prologue_parse_linux,
    prologue_next_linux_module,
    put,
    {no_version, indirect_setup_data, firmwares_map},
};

} // namespace prologue::test
