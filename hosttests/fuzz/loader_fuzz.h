// A fuzz target for one loader's structures. An input is the address of the
// information (a u32) and physical memory from 0 on. It is taken through all
// that the 64-bit stage does with a loader's word, and what comes of it is held
// against a model; to fail by name is as good as not to fail.
#pragma once

#include "loader_images.h"
#include "loader_info.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace prologue::test {

// Changes what a well-meaning loader has left into what some loader really leaves.
using Quirk = void(FakeMemory& memory, uint64_t info);

// What a hypervisor is to answer, which is the input's end: takes that, and tells what is left.
using Ask = size_t(const uint8_t* data, size_t size);

// The end of a seed, so that it answers what the loader states.
using Answer = void(const Stated& stated, std::vector<uint8_t>& seed);

struct FuzzedContract {
    ParseLoaderInfo* parse;
    NextModule* next_module;
    uint64_t (*put)(FakeMemory& memory, const Stated& stated, const Places& places);
    Quirk* quirks[4] = {}; // seeds of their own, up to the first that is null
    Ask* ask = nullptr;
    Answer* answer = nullptr;
};

void fuzz_loader(const FuzzedContract& contract, const uint8_t* data, size_t size);

// What well-meaning loaders leave, to begin with: see write_seeds_if_asked().
void write_loader_seeds_if_asked(const FuzzedContract& contract, int argc, char** argv);

} // namespace prologue::test
