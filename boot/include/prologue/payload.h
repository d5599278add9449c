/* For a kernel that is not linked with Prologue, and that the loader image prologue.elf is to
 * start: with this once in a file of its own, its e_entry is called as kernel_main is, with a
 * prologue_handoff. See docs/payload.md. Note 0x70: u32, the version, 1.
 *
 * ISC licence. Usable from C11, C++20 and assembly; nothing is linked.
 */
#ifndef PROLOGUE_PAYLOAD_H
#define PROLOGUE_PAYLOAD_H

#include "prologue/wishes.h"

#define PROLOGUE_NOTE_PAYLOAD 0x70
#define PROLOGUE_PAYLOAD                                                                           \
    PROLOGUE_RECORD_32_(payload, PROLOGUE_NOTE_PAYLOAD, 1)                                         \
    PROLOGUE_CHECK_(1)

#endif
