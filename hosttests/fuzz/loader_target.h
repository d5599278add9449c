// What makes a file a fuzz target for a loader: the file includes this once, and
// defines kContract.
#pragma once

#include "entry_state.h"
#include "loader_fuzz.h"

namespace prologue::test {

extern const FuzzedContract kContract;

// For contracts without a magic, which are looked at first for what they are.
template <auto recognise, auto parse>
void recognise_and_parse(PhysMemory& memory, uint64_t info, LoaderInfo& loader) {
    const EntryState state = {.sp = info};
    uint64_t known_at = info;
    recognise(memory, state, known_at);
    parse(memory, known_at, loader);
}

} // namespace prologue::test

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    prologue::test::write_loader_seeds_if_asked(prologue::test::kContract, *argc, *argv);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    prologue::test::fuzz_loader(prologue::test::kContract, data, size);
    return 0;
}
