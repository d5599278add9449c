// PVH's structures, as a loader that lies would leave them; and dom0's memory map, as Xen would
// that does.
#include "loader_target.h"

#include <algorithm>
#include <cstring>

namespace prologue::test {
namespace {

constexpr uint8_t kFails = 0xff; // Xen has an error number, and no map
constexpr uint64_t kVersion = 4, kMemoryMap = 40, kMemoryMapEntries = 48;

// The last byte is how many ranges there are. None: there is no Xen. Those that do not stand before
// it are empty.
size_t ask_xen(const uint8_t* data, size_t size) {
    fake_xen = {};
    if (size == 0 || data[size - 1] == 0)
        return size;
    const uint8_t last = data[--size];
    fake_xen.is_there = true;
    fake_xen.status = last == kFails ? -38 : 0;
    fake_xen.map.resize(last);
    const size_t given = std::min<size_t>(last, size / sizeof(RawRange)) * sizeof(RawRange);
    std::memcpy(fake_xen.map.data(), data + size - given, given);
    return size - given;
}

void answer_for_xen(const Stated& stated, std::vector<uint8_t>& seed) {
    for (const StatedRange& stated_range : stated.memory) {
        const RawRange range = {stated_range.start, stated_range.bytes, stated_range.type};
        const auto* const bytes = reinterpret_cast<const uint8_t*>(&range);
        seed.insert(seed.end(), bytes, bytes + sizeof range);
    }
    seed.push_back(static_cast<uint8_t>(stated.memory.size()));
}

// As Xen enters dom0.
void without_a_map(FakeMemory& memory, uint64_t info) {
    memory.put(info + kVersion, uint32_t{0});
    memory.put(info + kMemoryMap, uint64_t{0});
    memory.put(info + kMemoryMapEntries, uint32_t{0});
}

} // namespace

constexpr FuzzedContract kContract = {
    prologue_parse_pvh, prologue_next_pvh_module, put_pvh, {without_a_map}, ask_xen, answer_for_xen,
};

} // namespace prologue::test
