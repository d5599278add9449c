/* What the kernel and its wishes both know. */
#pragma once

#define LOCAL_APIC 0xffffffffc0000000 /* where its window is */

/* PROLOGUE_EXIT_* of prologue/wishes.h, whose macros are not for Zig. */
enum { EXIT_PORT = 0xf4, EXIT_SUCCESS = 0x10, EXIT_FATAL = 0x20 };
