// What fuzz targets have in common.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace prologue::test {

// What must hold whatever the input.
inline void must(bool holds, std::string_view what) {
    if (holds)
        return;
    std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(what.size()), what.data());
    std::abort();
}

// The same where it takes longer to say what than to look: `tell` is called only then.
template <std::invocable Tell>
void must(bool holds, Tell tell) {
    if (!holds)
        must(false, tell());
}

using Input = std::vector<uint8_t>;

// Given --write-seeds DIRECTORY, writes the inputs to
// begin with there, and ends. So none of them is a file in the tree.
template <class Seeds>
void write_seeds_if_asked(int argc, char** argv, Seeds seeds) {
    if (argc != 3 || std::strcmp(argv[1], "--write-seeds") != 0)
        return;
    const std::filesystem::path directory = argv[2];
    std::filesystem::create_directories(directory);
    unsigned number = 0;
    for (const Input& seed : seeds()) {
        std::ofstream file(directory / std::to_string(number++), std::ios::binary);
        file.write(reinterpret_cast<const char*>(seed.data()),
                   static_cast<std::streamsize>(seed.size()));
    }
    std::exit(0);
}

} // namespace prologue::test

// What a target begins with: a function of inputs.
#define BEGINS_WITH(seeds)                                                                         \
    extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {                                 \
        prologue::test::write_seeds_if_asked(*argc, *argv, seeds);                                 \
        return 0;                                                                                  \
    }
