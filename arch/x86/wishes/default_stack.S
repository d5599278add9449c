// The kernel's stack, with its guard page. Weak: a wish that comes behind it holds all
// the same.
#include "prologue/wishes.h"

        .bss
        .balign 4096
        .weak   prologue_wished_stack, prologue_stack_bytes
prologue_wished_stack:
        .skip   PROLOGUE_STACK_GUARD_ + PROLOGUE_STACK_DEFAULT
prologue_stack_bytes = PROLOGUE_STACK_DEFAULT

        .section .note.GNU-stack, "", @progbits
