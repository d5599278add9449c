// ACPI's list of processors: any bytes, with checksums that are right or not.
#include "fuzzing.h"
#include "madt.h"

namespace prologue::test {
namespace {

constexpr uint64_t kRsdp = 0, kBase = 0x1000; // where the input lies
constexpr uint32_t kRoom = 16;

struct Memory {
    Input bytes;

    static bool read(void* context, uint64_t phys, void* to, uint64_t count) {
        const Input& from = static_cast<Memory*>(context)->bytes;
        if (phys < kBase || phys - kBase > from.size() || count > from.size() - (phys - kBase))
            return false;
        std::memcpy(to, from.data() + (phys - kBase), count);
        return true;
    }
    // Makes the bytes at `at` sum to zero, if they are there.
    void seal(uint64_t at, uint64_t count, uint64_t checksum_at) {
        if (count <= checksum_at || at > bytes.size() || count > bytes.size() - at)
            return;
        bytes[at + checksum_at] = 0;
        uint8_t sum = 0;
        for (uint64_t i = 0; i != count; ++i)
            sum = static_cast<uint8_t>(sum + bytes[at + i]);
        bytes[at + checksum_at] = static_cast<uint8_t>(-sum);
    }
    template <class T>
    T get(uint64_t at) const {
        T value = {};
        if (at <= bytes.size() && sizeof value <= bytes.size() - at)
            std::memcpy(&value, bytes.data() + at, sizeof value);
        return value;
    }
    template <class T>
    void put(uint64_t at, T value) {
        if (bytes.size() < at + sizeof value)
            bytes.resize(at + sizeof value);
        std::memcpy(bytes.data() + at, &value, sizeof value);
    }
};

// Whole tables, so that what is behind the checksums is reached.
void seal_all(Memory& memory) {
    const uint64_t xsdt = memory.get<uint64_t>(24) - kBase, rsdt = memory.get<uint32_t>(16) - kBase;
    const uint64_t madts[] = {memory.get<uint64_t>(xsdt + 36) - kBase,
                              memory.get<uint32_t>(rsdt + 36) - kBase};
    for (const uint64_t at : {madts[0], madts[1], xsdt, rsdt})
        memory.seal(at, memory.get<uint32_t>(at + 4), 9);
    memory.seal(kRsdp, 20, 8);
    memory.seal(kRsdp, memory.get<uint32_t>(20), 32);
}

std::vector<Input> seeds() {
    std::vector<Input> all;
    for (const bool xsdt : {false, true}) {
        Memory memory;
        memory.put(0, uint64_t{0x2052545020445352});
        memory.put(15, static_cast<uint8_t>(xsdt ? 2 : 0));
        memory.put(16, static_cast<uint32_t>(kBase + 64));
        memory.put(20, uint32_t{36});
        memory.put(24, kBase + 128);
        memory.put(64, uint32_t{0x54445352});
        memory.put(68, uint32_t{40});
        memory.put(100, static_cast<uint32_t>(kBase + 256));
        memory.put(128, uint32_t{0x54445358});
        memory.put(132, uint32_t{44});
        memory.put(164, kBase + 256);
        memory.put(256, uint32_t{0x43495041});
        memory.put(260, uint32_t{44 + 8 + 16 + 12 + 16});
        memory.put(292, uint32_t{0xfee00000});
        memory.put(300, uint64_t{0x0000000101000800}); // APIC 1
        memory.put(308, uint64_t{0x0000000200001009}); // x2APIC 2
        memory.put(316, uint64_t{0x0000000700000001});
        memory.put(324, uint64_t{0xfee0000000000c05});
        memory.put(332, uint32_t{0});
        memory.put(336, uint64_t{0x0000000000001010});
        memory.put(344, uint64_t{0x5000});
        memory.bytes.push_back(1);
        all.push_back(memory.bytes);
    }
    return all;
}

} // namespace
} // namespace prologue::test

using namespace prologue;
using namespace prologue::test;

BEGINS_WITH(seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Memory memory = {Input(data, data + size)};
    if (size != 0 && (data[size - 1] & 1) != 0)
        seal_all(memory);
    prologue_cpu list[kRoom + 1] = {};
    list[0].state = PROLOGUE_CPU_BOOT;
    list[kRoom].apic_id = 0x5a5a5a5a;
    prologue_cpus cpus = {};
    cpus.cpu = list;
    cpus.room = kRoom;
    cpus.count = cpus.found = 1;
    cpus.x2apic = size & 1;
    const prologue_cpus_result result = read_madt({Memory::read, &memory}, kBase + kRsdp, cpus);
    must(result == PROLOGUE_CPUS_DONE || result == PROLOGUE_CPUS_NO_MADT ||
             result == PROLOGUE_CPUS_BAD_TABLE,
         "a result of its own");
    must(cpus.count <= kRoom && cpus.found >= cpus.count, "the room is kept");
    must(list[kRoom].apic_id == 0x5a5a5a5a, "nothing is written behind the list");
    for (uint32_t i = 0; i != cpus.count; ++i) {
        must(list[i].index == i, "an index is its place");
        for (uint32_t j = 0; j != i; ++j)
            must(list[i].apic_id != list[j].apic_id, "none is listed twice");
    }
    return 0;
}
