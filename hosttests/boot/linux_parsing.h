// A parse of boot_params and of what they lead to.
#pragma once

#include "parsing.h"

namespace prologue::test {

using namespace linux_boot;

inline constexpr uint64_t kMemory = 0x20000;
inline constexpr uint64_t kData = 0x10000; // pieces of setup_data

struct Linux : testing::Test {
    FakeMemory memory{kMemory};
    uint64_t info = 0;
    LoaderInfo loader;

    void put(const Stated& stated) { info = put_linux(memory, stated); }
    template <class T>
    void poke(uint64_t offset, T value) {
        memory.put<T>(info + offset, value);
    }
    void parse() {
        loader = {};
        prologue_parse_linux(memory.seen, info, loader);
    }
    std::optional<Failure> parse_fails() {
        return failure_of([&] { parse(); });
    }
    std::vector<StatedModule> modules() {
        return modules_of(memory, prologue_next_linux_module, loader.modules);
    }
    Failure refused(const char* what, uint64_t a, uint64_t b) {
        return failure(Error::linux_info, {a, b}, what);
    }
    void put_data(uint64_t at, uint64_t next, uint32_t type, uint32_t bytes) {
        memory.put(at, next);
        memory.put(at + kDataType, type);
        memory.put(at + kDataBytes, bytes);
    }
};

inline std::vector<StatedRange> many_ranges(unsigned count) {
    std::vector<StatedRange> ranges;
    for (uint64_t i = 0; i != count; ++i)
        ranges.push_back({i * 0x10000, 0x8000, static_cast<uint32_t>(1 + i % 2)});
    return ranges;
}

} // namespace prologue::test
