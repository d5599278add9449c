// The 64-bit stage sees physical memory where the direct map will be, so that
// its pointers hold for the kernel.
#include "bits.h"
#include "prologue/handoff.h"
#include "prologue/wishes.h"

        PROLOGUE_WINDOW_(UPPER_HALF_ENTRY, PROLOGUE_DIRECT_MAP_4_LEVEL, PROLOGUE_DIRECT_MAP_5_LEVEL)

        .section .note.GNU-stack, "", @progbits
