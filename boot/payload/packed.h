// What prologue-pack has put behind the loader image: a payload, modules of its own, and a command
// line. They come before those of the loader.
#pragma once
#pragma GCC visibility push(hidden)

#include "prologue/handoff.h"

namespace prologue {

inline constexpr uint64_t kPackedMagic = 0x6b6361706c677270; // "prglpack"
inline constexpr uint32_t kPackedVersion = 1;

// All places are in bytes from the head on, all strings end in a NUL that is not counted.
struct PackedHead {
    uint64_t magic;
    uint32_t version, modules; // so many PackedModules follow
    uint64_t cmdline, cmdline_bytes;
};
static_assert(sizeof(PackedHead) == 32);

struct PackedModule {
    uint64_t start, bytes, string, string_bytes;
};
static_assert(sizeof(PackedModule) == 32);

// Where what the handoff points to then lies.
struct PackedRoom {
    static constexpr uint64_t kMostModules = 128, kMostCmdline = 8192;
    prologue_module modules[kMostModules];
    char cmdline[kMostCmdline];
};

// Puts what is packed in `bytes` at `head` (physical `phys`) into a handoff, as if the loader had
// given it; nothing where nothing is. Refuses what does not fit in.
void add_packed(const uint8_t* head, uint64_t bytes, uint64_t phys, prologue_handoff& handoff,
                PackedRoom& room);

} // namespace prologue

#pragma GCC visibility pop
