// A payload that asks by the Limine protocol: requests in its file, each of which gets the address
// of an answer. Source: Limine's PROTOCOL.md, base revision 3.
#pragma once
#pragma GCC visibility push(hidden)

#include "payload/elf64.h"
#include "prologue/handoff.h"

namespace prologue {

// Has a file any of its requests, or the tag of its base revision?
bool asks_limine(const uint8_t* file, uint64_t bytes);

inline constexpr uint64_t kLimineStack = 64 * 1024; // at least, and of other processors too

// What of its requests is for more than an answer.
struct LimineWishes {
    uint64_t stack_bytes = kLimineStack; // in whole pages
    uint64_t entry = 0;                  // virtual; 0: e_entry
    bool wants_five_levels = false, needs_five_levels = false;
    bool wants_processors = false, wants_file = false, wants_time = false;
};

// Refuses more than 16 MiB of stack, a base revision before 3 and a request that stands twice.
LimineWishes limine_wishes(const uint8_t* file, const ElfPayload& elf);

// Another processor, or this one: where it waits to be sent to a function, which gets a pointer to
// this. As that protocol has it.
struct LimineProcessor {
    uint32_t acpi_id, apic_id;
    uint64_t reserved, goto_address, extra_argument;
};
static_assert(sizeof(LimineProcessor) == 32);

// All that run, this one first. What did not come has `reserved` set.
struct LimineProcessors {
    LimineProcessor* list = nullptr; // in the window
    uint32_t count = 0;
    bool x2apic = false;
};

struct LimineFacts {
    const prologue_handoff& handoff; // as it is when the payload runs, but for its pointers
    uint64_t window;                 // virtual address of physical 0 in those, for the time being
    uint64_t image_phys, image_virt;
    LimineProcessors processors = {};
    Span file = {};           // a copy of the payload's own
    int64_t time = 0;         // in seconds since 1970; 0: nobody knows
    bool smbios_is_3 = false; // the handoff's entry point
};

// Bytes that the answers take.
uint64_t limine_bytes(uint64_t modules, uint64_t ranges, uint64_t processors);

// Answers all requests in the file as it lies in memory, with what is written to zeroed bytes at
// `room`, which lie in the window.
void answer_limine(uint8_t* file, const ElfPayload& elf, const LimineFacts& facts, uint8_t* room);

} // namespace prologue

#pragma GCC visibility pop
