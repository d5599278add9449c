/* What a kernel wishes of Prologue. Each wish is a macro that stands once (but
 * PROLOGUE_WISH_WINDOW, as often as wanted) in a file of the kernel's, outside
 * of all functions, and that takes the place of a default in libprologue.a:
 *
 *     PROLOGUE_WISH_PAGING(PROLOGUE_PAGING_BEST);
 *     PROLOGUE_WISH_STACK(0x10000);
 *     PROLOGUE_WISH_HEADERS(pvh, multiboot1);
 *
 * Each leaves an ELF note: owner "Prologue", one of the types below, and a
 * descriptor that other languages can lay out by hand. A wish that cannot be
 * met ends the boot in a fatal line that names it.
 *
 * Numbers go to the assembler: write them without a suffix or a cast.
 *
 * ISC licence. Usable from C11, C++20 and assembly.
 */
#ifndef PROLOGUE_WISHES_H
#define PROLOGUE_WISHES_H

#define PROLOGUE_NOTE_OWNER "Prologue"

/* How deep the page tables are. Note 0x51: u32. */
#define PROLOGUE_NOTE_PAGING 0x51
#define PROLOGUE_WISH_PAGING(levels)                                                               \
    PROLOGUE_WISH_(prologue_wish_paging, PROLOGUE_NOTE_PAGING, .long levels)                       \
    PROLOGUE_CHECK_((levels) == PROLOGUE_PAGING_BEST || (levels) == PROLOGUE_PAGING_FOUR ||        \
                    (levels) == PROLOGUE_PAGING_FIVE)
#define PROLOGUE_PAGING_BEST 0 /* five levels where the CPU has them, else four */
#define PROLOGUE_PAGING_FOUR 4 /* the default */
#define PROLOGUE_PAGING_FIVE 5 /* or a fatal line */

/* Bytes of the kernel's stack, in whole pages. Note 0x52: u64. Defines the stack,
 * with its guard page, in the kernel's .bss. */
#define PROLOGUE_NOTE_STACK 0x52
#define PROLOGUE_WISH_STACK(bytes)                                                                 \
    PROLOGUE_EMIT_(PROLOGUE_NOTE_(prologue_wish_stack, PROLOGUE_NOTE_STACK, .quad bytes);          \
                   PROLOGUE_STACK_(bytes))                                                         \
    PROLOGUE_CHECK_((bytes) % 4096 == 0 && (bytes) >= PROLOGUE_STACK_LEAST)
#define PROLOGUE_STACK_DEFAULT 16384
#define PROLOGUE_STACK_LEAST 8192 /* Prologue itself runs on it */

/* Where the direct map begins, a multiple of 4096 in either half, or that there
 * is none. Note 0x53: u64. It has room up to the image or the end of its half, for
 * as much as the default's. With none, the handoff is seen through the identity
 * map. Either way the default identity map becomes one of 4 GiB. */
#define PROLOGUE_NOTE_DIRECT_MAP 0x53
#define PROLOGUE_WISH_DIRECT_MAP(address)                                                          \
    PROLOGUE_EMIT_(PROLOGUE_NOTE_(prologue_wish_direct_map, PROLOGUE_NOTE_DIRECT_MAP,              \
                                  PROLOGUE_PULL_(prologue_wished_maps); .quad address);            \
                   PROLOGUE_WINDOW_(1, 0x8000000000, 0x1000000000000))                             \
    PROLOGUE_CHECK_((address) % 4096 == 0)
#define PROLOGUE_NO_DIRECT_MAP 0

/* RAM below `end` at its own address: a multiple of 4096 up to 512 GiB, or 0
 * for none. It is mapped from PROLOGUE_FROM_PAGE_0 or PROLOGUE_FROM_PAGE_1 on.
 * Note 0x54: u64, u64. */
#define PROLOGUE_NOTE_IDENTITY_MAP 0x54
#define PROLOGUE_WISH_IDENTITY_MAP(end, start)                                                     \
    PROLOGUE_WISH_(prologue_wish_identity_map, PROLOGUE_NOTE_IDENTITY_MAP,                         \
                   PROLOGUE_PULL_(prologue_wished_maps); .quad end, start)                         \
    PROLOGUE_CHECK_((end) % 4096 == 0 && (end) <= 0x8000000000 &&                                  \
                    ((start) == PROLOGUE_FROM_PAGE_0 || (start) == PROLOGUE_FROM_PAGE_1))
#define PROLOGUE_NO_IDENTITY_MAP 0
#define PROLOGUE_IDENTITY_1_GIB 0x40000000
#define PROLOGUE_IDENTITY_4_GIB 0x100000000
#define PROLOGUE_FROM_PAGE_0 0
#define PROLOGUE_FROM_PAGE_1 4096 /* address 0 stays unmapped */

/* A window: `bytes` at `virt` show what lies at `phys`, RAM or not, all three in
 * whole pages. `rights` is a sum of PROLOGUE_WINDOW_*. Note 0x55, in a section of
 * its own: u64, u64, u64, u64. Nothing else may be mapped there. One in the
 * first 512 GiB (256 TiB with five levels) needs an identity map by wish. */
#define PROLOGUE_NOTE_WINDOW 0x55
#define PROLOGUE_WISH_WINDOW(virt, phys, bytes, rights)                                            \
    PROLOGUE_EMIT_(.pushsection prologue_windows, "a", @note;                                      \
                   PROLOGUE_NOTE_BODY_(PROLOGUE_NOTE_WINDOW, PROLOGUE_PULL_(prologue_wished_maps); \
                                       .quad virt, phys, bytes, rights);                           \
                   .popsection)                                                                    \
    PROLOGUE_CHECK_(((virt) | (phys) | (bytes)) % 4096 == 0 && (bytes) != 0)
#define PROLOGUE_WINDOW_READ 0x00
#define PROLOGUE_WINDOW_WRITE 0x01
#define PROLOGUE_WINDOW_EXECUTE 0x02 /* not with WRITE, unless all of the image is so, by wish */
#define PROLOGUE_WINDOW_WRITE_BACK 0x00 /* caching: an index into PROLOGUE_PAT, times 16 */
#define PROLOGUE_WINDOW_WRITE_THROUGH 0x10
#define PROLOGUE_WINDOW_UNCACHED_MINUS 0x20
#define PROLOGUE_WINDOW_UNCACHED 0x30
#define PROLOGUE_WINDOW_WRITE_PROTECTED 0x40
#define PROLOGUE_WINDOW_WRITE_COMBINING 0x50

/* The image may be loaded elsewhere than p_paddr says, at any multiple of 4 KiB.
 * Without this wish that is a fatal line, since many a kernel computes physical
 * = virtual - constant. Note 0x56: u32, 1. With it comes PVH's note that allows
 * it, and Multiboot 2's header does. */
#define PROLOGUE_NOTE_RELOCATABLE 0x56
#define PROLOGUE_WISH_RELOCATABLE                                                                  \
    PROLOGUE_WISH_(prologue_wish_relocatable, PROLOGUE_NOTE_RELOCATABLE,                           \
                   PROLOGUE_PULL_(prologue_relocatable); .long 1)                                  \
    PROLOGUE_CHECK_(1)

/* All of the image in one mapping, writable and executable: for kernels whose
 * program headers do not say what they need. Note 0x57: u32, 1. */
#define PROLOGUE_NOTE_WRITABLE_TEXT 0x57
#define PROLOGUE_WISH_WRITABLE_TEXT                                                                \
    PROLOGUE_WISH_(prologue_wish_writable_text, PROLOGUE_NOTE_WRITABLE_TEXT,                       \
                   PROLOGUE_PULL_(prologue_wished_maps); .long 1)                                  \
    PROLOGUE_CHECK_(1)

/* A fatal end writes PROLOGUE_EXIT_FATAL to QEMU's isa-debug-exit device at port
 * 0xf4, before it halts. Not for kernels that run anywhere else. Note 0x58: u32, 1. */
#define PROLOGUE_NOTE_QEMU_EXIT 0x58
#define PROLOGUE_WISH_QEMU_EXIT                                                                    \
    PROLOGUE_WISH_(prologue_wish_qemu_exit, PROLOGUE_NOTE_QEMU_EXIT, .long 1)                      \
    PROLOGUE_CHECK_(1)
#define PROLOGUE_EXIT_PORT 0xf4
#define PROLOGUE_EXIT_SUCCESS 0x10 /* QEMU's exit status 33 */
#define PROLOGUE_EXIT_FATAL 0x20   /* 65 */

/* The contracts whose headers the image carries, in place of the default's pvh
 * and multiboot2: one to six names. Note 0x59: u32, a sum of PROLOGUE_HEADER_*. */
#define PROLOGUE_NOTE_HEADERS 0x59
#define PROLOGUE_WISH_HEADERS(...)                                                                 \
    PROLOGUE_WISH_(prologue_wish_headers, PROLOGUE_NOTE_HEADERS,                                   \
                   PROLOGUE_EACH_(PROLOGUE_PULL_HEADER_, __VA_ARGS__)                              \
                   .long 0 PROLOGUE_EACH_(PROLOGUE_ADD_HEADER_, __VA_ARGS__))                      \
    PROLOGUE_CHECK_(1)
#define PROLOGUE_HEADER_pvh 1
#define PROLOGUE_HEADER_multiboot1 2
#define PROLOGUE_HEADER_multiboot2 4
#define PROLOGUE_HEADER_linux 8 /* for a bzImage */
#define PROLOGUE_HEADER_vmd 16 /* known by its stack, as FreeBSD's: no header */
#define PROLOGUE_HEADER_freebsd 32

/* Whether the kernel serves AMD SEV guests: PROLOGUE_SEV_NONE leaves out all that
 * knows of it, some 12 KiB, and ends such a boot by name. Note 0x5a: u32. */
#define PROLOGUE_NOTE_SEV 0x5a
#define PROLOGUE_WISH_SEV(which)                                                                   \
    PROLOGUE_WISH_(prologue_wish_sev, PROLOGUE_NOTE_SEV, .long which)                              \
    PROLOGUE_CHECK_((which) == PROLOGUE_SEV_NONE)
#define PROLOGUE_SEV_NONE 0

/* Up to which physical address an SNP guest's memory is accepted before the kernel,
 * a multiple of 4096; what lies above is PROLOGUE_MEMORY_UNACCEPTED. By default all of
 * it, or by a loader that has done so none. Note 0x5b: u64. */
#define PROLOGUE_NOTE_SNP_ACCEPT 0x5b
#define PROLOGUE_WISH_SNP_ACCEPT(end)                                                              \
    PROLOGUE_WISH_(prologue_wish_snp_accept, PROLOGUE_NOTE_SNP_ACCEPT, .quad end)                  \
    PROLOGUE_CHECK_((end) % 4096 == 0)
#define PROLOGUE_ACCEPT_BY_LOADER 0

/* GRUB on UEFI leaves the boot services running: the kernel gets what `efi` of the
 * handoff says, calls them by prologue/boot_services.h, and ends them itself.
 * Elsewhere it changes nothing. Note 0x5c: u32, 1. It goes with the header
 * multiboot2. */
#define PROLOGUE_NOTE_BOOT_SERVICES 0x5c
#define PROLOGUE_WISH_BOOT_SERVICES                                                                \
    PROLOGUE_WISH_(prologue_wish_boot_services, PROLOGUE_NOTE_BOOT_SERVICES,                       \
                   PROLOGUE_PULL_(prologue_boot_services); .long 1)                                \
    PROLOGUE_CHECK_(1)

/* ---- What the macros are made of ---- */

#ifdef __ASSEMBLER__
#define PROLOGUE_EMIT_(...) __VA_ARGS__
#define PROLOGUE_CHECK_(condition)
#else
#include <stdint.h>
#define PROLOGUE_EMIT_(...) __asm__(PROLOGUE_TEXT_(__VA_ARGS__));
#define PROLOGUE_TEXT_(...) #__VA_ARGS__
#ifdef __cplusplus
#define PROLOGUE_CHECK_(condition) static_assert(condition, "see prologue/wishes.h")
extern "C" {
#else
#define PROLOGUE_CHECK_(condition) _Static_assert(condition, "see prologue/wishes.h")
#endif
/* The descriptors, for code that reads them. */
extern const uint32_t prologue_wish_paging;
extern const uint32_t prologue_wish_qemu_exit;
extern const uint32_t prologue_wish_relocatable;
#ifdef __cplusplus
}
#endif
#endif

#define PROLOGUE_NOTE_BODY_(type, ...)                                                             \
    .balign 4; .long 9, 92f - 91f, type; .asciz PROLOGUE_NOTE_OWNER; .balign 4; 91: __VA_ARGS__; 92:
#define PROLOGUE_NOTE_(symbol, type, ...)                                                          \
    .pushsection .prologue.notes, "a", @note;                                                      \
    PROLOGUE_NOTE_BODY_(type, .globl symbol; symbol: __VA_ARGS__);                                 \
    .popsection
#define PROLOGUE_WISH_(symbol, type, ...)                                                          \
    PROLOGUE_EMIT_(PROLOGUE_NOTE_(symbol, type, __VA_ARGS__))
#define PROLOGUE_PULL_(symbol) .globl symbol; .reloc ., R_X86_64_NONE, symbol

#define PROLOGUE_STACK_(bytes)                                                                     \
    .if (bytes) % 4096 || (bytes) < PROLOGUE_STACK_LEAST;                                          \
    .error "PROLOGUE_WISH_STACK: whole pages, two at least"; .endif;                               \
    .pushsection .bss; .balign 4096;                                                               \
    .globl prologue_stack_guard, prologue_stack_bottom, prologue_stack_top;                        \
    prologue_stack_guard: .skip 4096; prologue_stack_bottom: .skip bytes; prologue_stack_top:      \
    .popsection

/* The top-level entry, and with it the address, where the 64-bit stage sees
 * physical memory: with four levels and with five. */
#define PROLOGUE_WINDOW_(entry, with_4_levels, with_5_levels)                                      \
    .pushsection .rodata; .balign 8; .globl prologue_window;                                       \
    prologue_window: .quad 8 * (entry), with_4_levels, with_5_levels; .popsection

#define PROLOGUE_ADD_HEADER_(name) + PROLOGUE_HEADER_##name
#define PROLOGUE_PULL_HEADER_(name) PROLOGUE_PULL_(prologue_##name);
#define PROLOGUE_EACH_(macro, ...)                                                                 \
    PROLOGUE_NTH_(__VA_ARGS__, PROLOGUE_6_, PROLOGUE_5_, PROLOGUE_4_, PROLOGUE_3_, PROLOGUE_2_,    \
                  PROLOGUE_1_, )(macro, __VA_ARGS__)
#define PROLOGUE_NTH_(a, b, c, d, e, f, g, ...) g
#define PROLOGUE_1_(macro, a) macro(a)
#define PROLOGUE_2_(macro, a, b) macro(a) macro(b)
#define PROLOGUE_3_(macro, a, b, c) macro(a) macro(b) macro(c)
#define PROLOGUE_4_(macro, a, b, c, d) macro(a) macro(b) macro(c) macro(d)
#define PROLOGUE_5_(macro, a, ...) macro(a) PROLOGUE_4_(macro, __VA_ARGS__)
#define PROLOGUE_6_(macro, a, ...) macro(a) PROLOGUE_5_(macro, __VA_ARGS__)

#endif
