// What the CPU held at the loader's jump, for contracts that have no magic in
// EAX. The entry fills it in, for whom it does not know by a magic.
#pragma once

#define ENTRY_SP 0
#define ENTRY_SI 8
#define ENTRY_MODE 16
#define ENTRY_STATE_BYTES 24

// Modes are the handoff's, counted from 32-bit protected mode: it is what .bss says.
#define MODE_PAGED32 1
#define MODE_COMPAT32 2
#define MODE_LONG64 3

#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)

#include "phys_memory.h"
#include "prologue/handoff.h"

#include <stddef.h>

namespace prologue {

struct EntryState {
    uint64_t sp, si;
    uint32_t mode;

    uint32_t entry_mode() const { return PROLOGUE_ENTRY_PROTECTED32 + mode; }
};
static_assert(PROLOGUE_ENTRY_PROTECTED32 + MODE_PAGED32 == PROLOGUE_ENTRY_PAGED32 &&
              PROLOGUE_ENTRY_PROTECTED32 + MODE_COMPAT32 == PROLOGUE_ENTRY_COMPAT32 &&
              PROLOGUE_ENTRY_PROTECTED32 + MODE_LONG64 == PROLOGUE_ENTRY_LONG64);
static_assert(offsetof(EntryState, sp) == ENTRY_SP && offsetof(EntryState, si) == ENTRY_SI &&
              offsetof(EntryState, mode) == ENTRY_MODE && sizeof(EntryState) == ENTRY_STATE_BYTES);

// The magic of the contract that left this state, and its information; 0 where
// it is none's that this part knows.
using Recognise = uint32_t(PhysMemory& memory, const EntryState& state, uint64_t& info);

extern "C" {
extern const EntryState prologue_entry_state;
Recognise prologue_recognise_linux, prologue_recognise_pvh, prologue_recognise_vmd,
    prologue_recognise_freebsd;
}

} // namespace prologue

#pragma GCC visibility pop
#endif
