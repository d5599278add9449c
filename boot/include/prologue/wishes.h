/* What a kernel wishes of Prologue: a structure that it may define, once, with
 * PROLOGUE_WISHES. It stands in the image as an ELF note (owner "Prologue",
 * type 1). A kernel that defines none gets the defaults, which are written
 * beside each field. A wish that cannot be met ends in a fatal line.
 *
 * ISC licence. Usable from C11, C++20 and assembly.
 */
#ifndef PROLOGUE_WISHES_H
#define PROLOGUE_WISHES_H

#define PROLOGUE_PAGING_BEST 0 /* five levels where the CPU has them, else four */
#define PROLOGUE_PAGING_FOUR 4 /* the default */
#define PROLOGUE_PAGING_FIVE 5 /* or a fatal line */

/* A fatal end writes PROLOGUE_EXIT_FATAL to QEMU's isa-debug-exit device at
 * port 0xf4, before it halts. Not for kernels that run anywhere else. */
#define PROLOGUE_WISH_QEMU_EXIT 1

#define PROLOGUE_EXIT_PORT 0xf4
#define PROLOGUE_EXIT_SUCCESS 0x10 /* QEMU's exit status 33 */
#define PROLOGUE_EXIT_FATAL 0x20   /* 65 */

#define PROLOGUE_NOTE_WISHES 1
#define PROLOGUE_WISHES_PAGING_OFFSET 24
#define PROLOGUE_WISHES_FLAGS_OFFSET 28

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

typedef struct prologue_wishes_note {
    uint32_t name_bytes;
    uint32_t desc_bytes;
    uint32_t type;
    char name[12]; /* "Prologue" */
    uint32_t paging; /* PROLOGUE_PAGING_*; FOUR */
    uint32_t flags;  /* PROLOGUE_WISH_*; 0 */
} prologue_wishes_note;

#ifdef __cplusplus
extern "C" {
static_assert(offsetof(prologue_wishes_note, paging) == PROLOGUE_WISHES_PAGING_OFFSET);
static_assert(offsetof(prologue_wishes_note, flags) == PROLOGUE_WISHES_FLAGS_OFFSET);
#endif
extern const prologue_wishes_note prologue_wishes;
#ifdef __cplusplus
}
#endif

#define PROLOGUE_WISHES(paging_, flags_)                                                       \
    __attribute__((section(".note.prologue"), used, aligned(4)))                               \
    const prologue_wishes_note prologue_wishes = {                                             \
        9, sizeof(prologue_wishes_note) - PROLOGUE_WISHES_PAGING_OFFSET, PROLOGUE_NOTE_WISHES, \
        "Prologue", paging_, flags_}
#endif

#endif
