// The kernel's stack.
#include "prologue/wishes.h"

        PROLOGUE_STACK_(PROLOGUE_STACK_DEFAULT)

        .section .note.GNU-stack, "", @progbits
