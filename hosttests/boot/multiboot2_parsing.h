// A parse of Multiboot 2's information, tag by tag.
#pragma once

#include "parsing.h"

namespace prologue::test {

enum : uint32_t {
    kMemoryMap = 6,
    kFramebuffer = 8,
    kEfi32 = 11,
    kEfi64 = 12,
    kRsdp1 = 14,
    kRsdp2 = 15,
    kEfiMemoryMap = 17,
    kBootServices = 18,
};

inline constexpr uint64_t kInfo = at::kInfo;

inline const std::vector<StatedRange> kRam = {{0x100000, 0x7f00000, 1}};

struct Multiboot2 : testing::Test {
    FakeMemory memory{at::kMemory};
    uint64_t info = kInfo;
    LoaderInfo loader;
    Tags tags;

    void parse() {
        loader = {};
        prologue_parse_multiboot2(memory.seen, info, loader);
    }
    void put_and_parse() {
        tags.put(memory, kInfo);
        parse();
    }
    std::optional<Failure> parse_fails() {
        return failure_of([&] { parse(); });
    }
    std::optional<Failure> put_and_parse_fails() {
        tags.put(memory, kInfo);
        return parse_fails();
    }
    std::vector<StatedModule> modules() {
        return modules_of(memory, prologue_next_multiboot2_module, loader.modules);
    }
    // Puts the information so that the first byte after it is past memory.
    void put_at_the_end(bool padded) {
        info = (memory.end() - tags.bytes(padded).size()) & ~uint64_t{7};
        tags.put(memory, info, padded);
    }
};

} // namespace prologue::test
