// A payload that asks by the Limine protocol: requests in its file, each of which gets the address
// of an answer. Source: Limine's PROTOCOL.md, base revision 3.
#pragma once
#pragma GCC visibility push(hidden)

#include "payload/elf64.h"
#include "prologue/handoff.h"

namespace prologue {

// Has a file any of its requests, or the tag of its base revision?
bool asks_limine(const uint8_t* file, uint64_t bytes);

inline constexpr uint64_t kLimineStack = 64 * 1024; // at least

// The stack that is asked for, in whole pages. Refuses more than 16 MiB, a base revision before 3
// and a request that stands twice.
uint64_t limine_stack(const uint8_t* file, const ElfPayload& elf);

struct LimineFacts {
    const prologue_handoff& handoff; // as it is when the payload runs, but for its pointers
    uint64_t window;                 // virtual address of physical 0 in those, for the time being
    uint64_t image_phys, image_virt;
};

// Bytes that the answers take.
uint64_t limine_bytes(uint64_t modules, uint64_t ranges);

// Answers all requests in the file as it lies in memory, with what is written to zeroed bytes at
// `room`, which lie in the window.
void answer_limine(uint8_t* file, const ElfPayload& elf, const LimineFacts& facts, uint8_t* room);

} // namespace prologue

#pragma GCC visibility pop
