/* What a kernel wishes of Prologue. Each wish is a macro that stands once (but
 * PROLOGUE_WISH_WINDOW, as often as wanted) in a file of the kernel's, outside
 * of all functions:
 *
 *     PROLOGUE_WISH_PAGING(PROLOGUE_PAGING_BEST);
 *     PROLOGUE_WISH_STACK(0x10000);
 *     PROLOGUE_WISH_HEADERS(pvh, multiboot1);
 *
 * Each leaves a record, prologue_note_ and the wish's name: an ELF note of owner
 * "Prologue", one of the types below, and a descriptor. The linker scripts
 * (prologue-wishes.ld) look for these names in objects and in libraries alike, and
 * fall back on the defaults in libprologue.a. A wish that cannot be met ends the
 * boot in a fatal line that names it.
 *
 * Numbers of STACK go to the assembler: write them without a suffix or a cast. In
 * assembly so do all.
 *
 * ISC licence. Usable from C11, C++20 and assembly.
 */
#ifndef PROLOGUE_WISHES_H
#define PROLOGUE_WISHES_H

#define PROLOGUE_NOTE_OWNER "Prologue"

/* How deep the page tables are. Note 0x51: u32. */
#define PROLOGUE_NOTE_PAGING 0x51
#define PROLOGUE_WISH_PAGING(levels)                                                               \
    PROLOGUE_RECORD_32_(paging, PROLOGUE_NOTE_PAGING, levels)                                      \
    PROLOGUE_CHECK_((levels) == PROLOGUE_PAGING_BEST || (levels) == PROLOGUE_PAGING_FOUR ||        \
                    (levels) == PROLOGUE_PAGING_FIVE)
#define PROLOGUE_PAGING_BEST 0 /* five levels where the CPU has them, else four */
#define PROLOGUE_PAGING_FOUR 4 /* the default */
#define PROLOGUE_PAGING_FIVE 5 /* or a fatal line */

/* Bytes of the kernel's stack, in whole pages. Note 0x52: u64. Defines the stack,
 * with its guard page, in the kernel's .bss. */
#define PROLOGUE_NOTE_STACK 0x52
#define PROLOGUE_WISH_STACK(bytes)                                                                 \
    PROLOGUE_RECORD_64_(stack, PROLOGUE_NOTE_STACK, bytes)                                         \
    PROLOGUE_STACK_(bytes)                                                                         \
    PROLOGUE_CHECK_((bytes) % 4096 == 0 && (bytes) >= PROLOGUE_STACK_LEAST)
#define PROLOGUE_STACK_DEFAULT 16384
#define PROLOGUE_STACK_LEAST 8192 /* Prologue itself runs on it */

/* Where the direct map begins, a multiple of 4096 in either half, or that there
 * is none. Note 0x53: u64. It has room up to the image or the end of its half, for
 * as much as the default's. At the image's own virtual - physical it has the image in it,
 * whose pages keep their rights. With none, the handoff is seen through the identity
 * map. Either way the default identity map becomes one of 4 GiB. */
#define PROLOGUE_NOTE_DIRECT_MAP 0x53
#define PROLOGUE_WISH_DIRECT_MAP(address)                                                          \
    PROLOGUE_RECORD_64_(direct_map, PROLOGUE_NOTE_DIRECT_MAP, address)                             \
    PROLOGUE_NEED_(prologue_wished_maps)                                                           \
    PROLOGUE_CHECK_((address) % 4096 == 0)
#define PROLOGUE_NO_DIRECT_MAP 0

/* RAM below `end` at its own address: a multiple of 4096 up to 512 GiB, or 0
 * for none. It is mapped from PROLOGUE_FROM_PAGE_0 or PROLOGUE_FROM_PAGE_1 on; with
 * `| PROLOGUE_WITH_DEVICES` so is all that is not RAM: firmware's memory, devices, what
 * nobody has stated, all of it UNCACHED_MINUS and not executable. Note 0x54: u64, u64. */
#define PROLOGUE_NOTE_IDENTITY_MAP 0x54
#define PROLOGUE_WISH_IDENTITY_MAP(end, start)                                                     \
    PROLOGUE_RECORD_64_64_(identity_map, PROLOGUE_NOTE_IDENTITY_MAP, end, start)                   \
    PROLOGUE_NEED_(prologue_wished_maps)                                                           \
    PROLOGUE_CHECK_((end) % 4096 == 0 && (end) <= 0x8000000000 &&                                  \
                    (((start) & ~PROLOGUE_WITH_DEVICES) == PROLOGUE_FROM_PAGE_0 ||                 \
                     ((start) & ~PROLOGUE_WITH_DEVICES) == PROLOGUE_FROM_PAGE_1))
#define PROLOGUE_NO_IDENTITY_MAP 0
#define PROLOGUE_IDENTITY_1_GIB 0x40000000
#define PROLOGUE_IDENTITY_4_GIB 0x100000000
#define PROLOGUE_FROM_PAGE_0 0
#define PROLOGUE_FROM_PAGE_1 4096 /* address 0 stays unmapped */
#define PROLOGUE_WITH_DEVICES 1

/* A window: `bytes` at `virt` show what lies at `phys`, RAM or not, all three in
 * whole pages. `rights` is a sum of PROLOGUE_WINDOW_*. Caching other than WRITE_BACK says that it
 * is a device's, which an SEV guest does not encrypt. Note 0x55, in a section of
 * its own: u64, u64, u64, u64. Nothing else may be mapped there. One in the
 * first 512 GiB (256 TiB with five levels) needs an identity map by wish.
 * In C that is not for -fPIE, each of the first three may be a symbol that the linker script
 * defines, declared as an array; elsewhere there is SYMBOL_WINDOW. */
#define PROLOGUE_NOTE_WINDOW 0x55
#define PROLOGUE_WISH_WINDOW(virt, phys, bytes, rights)                                            \
    PROLOGUE_WINDOW_RECORD_(virt, phys, bytes, rights)                                             \
    PROLOGUE_NEED_(prologue_wished_maps)                                                           \
    PROLOGUE_WINDOW_CHECK_(PROLOGUE_64_(virt), PROLOGUE_64_(phys), PROLOGUE_64_(bytes))
/* The same by way of the assembler, in any language and for -fPIE too: numbers without a
 * suffix or a cast, or symbols, which need no declaration. */
#define PROLOGUE_WISH_SYMBOL_WINDOW(virt, phys, bytes, rights)                                     \
    PROLOGUE_EMIT_(PROLOGUE_WINDOW_TEXT_(virt, phys, bytes, rights))                               \
    PROLOGUE_NEED_(prologue_wished_maps)                                                           \
    PROLOGUE_CHECK_(1)
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
    PROLOGUE_RECORD_32_(relocatable, PROLOGUE_NOTE_RELOCATABLE, 1)                                 \
    PROLOGUE_NEED_(prologue_relocatable)                                                           \
    PROLOGUE_CHECK_(1)

/* All of the image in one mapping, writable and executable: for kernels whose
 * program headers do not say what they need. Note 0x57: u32, 1. */
#define PROLOGUE_NOTE_WRITABLE_TEXT 0x57
#define PROLOGUE_WISH_WRITABLE_TEXT                                                                \
    PROLOGUE_RECORD_32_(writable_text, PROLOGUE_NOTE_WRITABLE_TEXT, 1)                             \
    PROLOGUE_NEED_(prologue_wished_maps)                                                           \
    PROLOGUE_CHECK_(1)

/* A fatal end writes PROLOGUE_EXIT_FATAL to QEMU's isa-debug-exit device at port
 * 0xf4, before it halts. Not for kernels that run anywhere else. Note 0x58: u32, 1. */
#define PROLOGUE_NOTE_QEMU_EXIT 0x58
#define PROLOGUE_WISH_QEMU_EXIT                                                                    \
    PROLOGUE_RECORD_32_(qemu_exit, PROLOGUE_NOTE_QEMU_EXIT, 1)                                     \
    PROLOGUE_CHECK_(1)
#define PROLOGUE_EXIT_PORT 0xf4
#define PROLOGUE_EXIT_SUCCESS 0x10 /* QEMU's exit status 33 */
#define PROLOGUE_EXIT_FATAL 0x20   /* 65 */

/* The contracts whose headers the image carries, in place of the default's pvh
 * and multiboot2: one to seven names. Note 0x59: u32, a sum of PROLOGUE_HEADER_*.
 * `linux` may be a macro: it is one of GCC's and clang's, if not by -std=c11. */
#define PROLOGUE_NOTE_HEADERS 0x59
#define PROLOGUE_WISH_HEADERS(...)                                                                 \
    PROLOGUE_HEADERS_(PROLOGUE_HEADER_SUM_(PROLOGUE_HEADER_##__VA_ARGS__, , , , , , , , ))         \
    PROLOGUE_CHECK_(1)
#define PROLOGUE_HEADER_pvh 1
#define PROLOGUE_HEADER_multiboot1 2
#define PROLOGUE_HEADER_multiboot2 4
#define PROLOGUE_HEADER_linux 8 /* for a bzImage */
#define PROLOGUE_HEADER_vmd 16 /* known by its stack, as FreeBSD's: no header */
#define PROLOGUE_HEADER_freebsd 32
#define PROLOGUE_HEADER_igvm 64 /* for an IGVM file */

/* How the kernel serves AMD SEV guests: PROLOGUE_SEV_NONE leaves out all that knows of
 * it, some 12 KiB, and ends such a boot by name. By default SEV guests are served as
 * any other. A kernel whose data must not be a host's to read wishes for what it must
 * find itself to be; in any other guest, and on a plain machine, it ends by name:
 * without that, a host that hides SEV from it is found out, if at all, by the CPU's
 * CPUID (docs/sev.md). With restricted injection (SNP; SEV_STATUS bit 5) no other event
 * comes than #HV, which is the kernel's to serve: it says that it does, or that it must
 * have it. Values may be joined by |. Note 0x5a: u32. */
#define PROLOGUE_NOTE_SEV 0x5a
#define PROLOGUE_WISH_SEV(which)                                                                   \
    PROLOGUE_RECORD_32_(sev, PROLOGUE_NOTE_SEV, which)                                             \
    PROLOGUE_INSTEAD_OF_DEFAULT_(sev)                                                              \
    PROLOGUE_EMIT_(PROLOGUE_NEED_IF_(which, prologue_sev)                                          \
                   PROLOGUE_NEED_IF_(which, prologue_sev_any_mode)                                 \
                   PROLOGUE_ABSENT_UNLESS_(which, prologue_start_sev_cpus))                        \
    PROLOGUE_CHECK_((which) == PROLOGUE_SEV_NONE || ((which) & PROLOGUE_SEV_SERVED) != 0)
#define PROLOGUE_SEV_NONE 0x0
#define PROLOGUE_SEV_SERVED 0x1 /* the default */
#define PROLOGUE_SEV_REQUIRED 0x101 /* bits 15:8: what SEV_STATUS must have */
#define PROLOGUE_SEV_ES_REQUIRED 0x301
#define PROLOGUE_SEV_SNP_REQUIRED 0x701
#define PROLOGUE_SEV_RESTRICTED_SERVED 0x200001 /* bits 23:16: what it may have */
#define PROLOGUE_SEV_RESTRICTED_REQUIRED 0x202701

/* Up to which physical address an SNP guest's memory is accepted before the kernel,
 * a multiple of 4096; what lies above is PROLOGUE_MEMORY_UNACCEPTED. By default all of
 * it, or by a loader that has done so none. Note 0x5b: u64. */
#define PROLOGUE_NOTE_SNP_ACCEPT 0x5b
#define PROLOGUE_WISH_SNP_ACCEPT(end)                                                              \
    PROLOGUE_RECORD_64_(snp_accept, PROLOGUE_NOTE_SNP_ACCEPT, end)                                 \
    PROLOGUE_CHECK_((end) % 4096 == 0)
#define PROLOGUE_ACCEPT_BY_LOADER 0

/* GRUB on UEFI, and the stub in a bzImage that UEFI itself starts, leave the boot
 * services running: the kernel gets what `efi` of the handoff says, calls them by
 * prologue/boot_services.h, and ends them itself. Elsewhere it changes nothing.
 * Note 0x5c: u32, 1. It goes with the headers multiboot2 and linux. */
#define PROLOGUE_NOTE_BOOT_SERVICES 0x5c
#define PROLOGUE_WISH_BOOT_SERVICES                                                                \
    PROLOGUE_RECORD_32_(boot_services, PROLOGUE_NOTE_BOOT_SERVICES, 1)                             \
    PROLOGUE_NEED_(prologue_boot_services)                                                         \
    PROLOGUE_CHECK_(1)

/* Nothing of Prologue's in so many bytes behind the image, a multiple of 4096: the handoff
 * and the page tables lie above that. Without it they are at the end of the largest piece
 * of memory below 4 GiB. Note 0x5d: u64. */
#define PROLOGUE_NOTE_FREE_BEHIND_IMAGE 0x5d
#define PROLOGUE_WISH_FREE_BEHIND_IMAGE(bytes)                                                     \
    PROLOGUE_RECORD_64_(free_behind_image, PROLOGUE_NOTE_FREE_BEHIND_IMAGE, bytes)                 \
    PROLOGUE_CHECK_((bytes) % 4096 == 0 && (bytes) < 0x100000000)

/* The image lies at a random place below `physical`, in free RAM, and at a random virtual address
 * from `virtual` on, to which it moves by multiples of 2 MiB; the direct map begins at a random
 * GiB. Either of the first two may be PROLOGUE_RANDOM_NOT. A virtual address takes a static PIE;
 * `nokaslr` on the command line turns all of it off. Note 0x5e: u64, u64. See
 * docs/kernel-contract.md for what is random in which guest. */
#define PROLOGUE_NOTE_RANDOM 0x5e
#define PROLOGUE_WISH_RANDOM(physical, virtual)                                                    \
    PROLOGUE_RECORD_64_64_(random, PROLOGUE_NOTE_RANDOM, physical, virtual)                        \
    PROLOGUE_NEED_(prologue_wished_maps)                                                           \
    PROLOGUE_NEED_(prologue_random_places)                                                         \
    PROLOGUE_CHECK_((physical) % 0x200000 == 0 && (physical) <= 0x100000000 &&                     \
                    (virtual) % 0x200000 == 0)
#define PROLOGUE_RANDOM_NOT 0
#define PROLOGUE_RANDOM_PHYSICAL 0x100000000
#define PROLOGUE_RANDOM_VIRTUAL 0xffffffff80000000 /* the last 2 GiB */

/* A screen: a frame buffer of so many pixels, of so many bits each; 0 for width and height,
 * or for bits: as it is, or as the loader likes it. Asked for wherever a loader, UEFI or a
 * BIOS can set one; nobody fails where there is none, or another. What is there is in the
 * handoff's `framebuffer`. Numbers go to the headers: no casts. Note 0x5f: u32, u32, u32. */
#define PROLOGUE_NOTE_FRAMEBUFFER 0x5f
#define PROLOGUE_WISH_FRAMEBUFFER(width, height, bits)                                             \
    PROLOGUE_RECORD_32_32_32_(framebuffer, PROLOGUE_NOTE_FRAMEBUFFER, width, height, bits)         \
    PROLOGUE_TAG_(".prologue.headers.multiboot1.wishes", 4, PROLOGUE_LINEAR_, width, height, bits) \
    PROLOGUE_TAG_(".prologue.headers.multiboot2.wishes", 8, PROLOGUE_TAG_FRAMEBUFFER_, 20, width,  \
                  height, bits, 0)                                                                 \
    PROLOGUE_CHECK_((width) <= 0xffff && (height) <= 0xffff && (bits) <= 32 &&                     \
                    ((width) == 0) == ((height) == 0))

/* ---- What the macros are made of ---- */

/* Multiboot's: mode_type; an optional tag's type, with the flag. Sources: Multiboot
 * Specification 0.6.96, section 3.1.4; Multiboot2 Specification 2.0, section 3.1.10. */
#define PROLOGUE_LINEAR_ 0
#define PROLOGUE_TAG_FRAMEBUFFER_ 0x10005

/* Names of headers are pasted before the preprocessor looks for macros in them. One
 * that is expanded all the same, by a macro around the wish, is GCC's linux: 1. */
#define PROLOGUE_HEADER_SUM_(a, b, c, d, e, f, g, h, ...)                                          \
    (a | PROLOGUE_HEADER_##b | PROLOGUE_HEADER_##c | PROLOGUE_HEADER_##d | PROLOGUE_HEADER_##e |   \
     PROLOGUE_HEADER_##f | PROLOGUE_HEADER_##g | PROLOGUE_HEADER_##h)
#define PROLOGUE_HEADER_ 0
#define PROLOGUE_HEADER_1 PROLOGUE_HEADER_linux

/* The contracts' parts of the library, as the sum wants them. */
#define PROLOGUE_HEADERS_(sum)                                                                     \
    PROLOGUE_RECORD_32_(headers, PROLOGUE_NOTE_HEADERS, sum)                                       \
    PROLOGUE_INSTEAD_OF_DEFAULT_(headers)                                                          \
    PROLOGUE_EMIT_(PROLOGUE_NEED_IF_((sum) & PROLOGUE_HEADER_pvh, prologue_pvh)                    \
                   PROLOGUE_NEED_IF_((sum) & PROLOGUE_HEADER_multiboot1, prologue_multiboot1)      \
                   PROLOGUE_NEED_IF_((sum) & PROLOGUE_HEADER_multiboot2, prologue_multiboot2)      \
                   PROLOGUE_NEED_IF_((sum) & PROLOGUE_HEADER_1, prologue_linux)              \
                   PROLOGUE_NEED_IF_((sum) & PROLOGUE_HEADER_vmd, prologue_vmd)                    \
                   PROLOGUE_NEED_IF_((sum) & PROLOGUE_HEADER_freebsd, prologue_freebsd)        \
                   PROLOGUE_NEED_IF_((sum) & PROLOGUE_HEADER_igvm, prologue_igvm))

/* A reference, for the linker's eyes alone; and a symbol by which prologue-wishes.ld
 * knows that there is one. */
#define PROLOGUE_PULL_(symbol) .globl symbol; .reloc ., R_X86_64_NONE, symbol
#define PROLOGUE_NEED_IF_(condition, symbol)                                                       \
    .if condition;                                                                                 \
    .pushsection .prologue.notes, "a", @note; PROLOGUE_PULL_(symbol); .popsection;                 \
    .weak symbol##_wanted; symbol##_wanted = 1; .endif;
/* A function that is never called stands in for the library's, which so is not linked. */
#define PROLOGUE_ABSENT_UNLESS_(condition, symbol)                                                 \
    .ifeq (condition);                                                                             \
    .pushsection .text; .weak symbol; .hidden symbol; symbol: ud2; .popsection; .endif;
#define PROLOGUE_NEED_(symbol) PROLOGUE_EMIT_(PROLOGUE_NEED_IF_(1, symbol))

#define PROLOGUE_OWNER_LOW_ 0x6c6f7250 /* "Prologue", and NULs */
#define PROLOGUE_OWNER_HIGH_ 0x6575676f
#define PROLOGUE_STACK_GUARD_ 4096

/* A window's record, and that there are some: any of them will do. */
#define PROLOGUE_WINDOW_TEXT_(virt, phys, bytes, rights)                                           \
    .pushsection .note.prologue.windows, "a", @note; .balign 4;                                    \
    .long 9, 32, PROLOGUE_NOTE_WINDOW, PROLOGUE_OWNER_LOW_, PROLOGUE_OWNER_HIGH_, 0;               \
    .quad virt, phys, bytes, rights; .popsection; PROLOGUE_WINDOWS_TEXT_
#define PROLOGUE_WINDOWS_TEXT_ .weak prologue_note_window; prologue_note_window = 1;

#ifdef __ASSEMBLER__

#define PROLOGUE_EMIT_(...) __VA_ARGS__
#define PROLOGUE_CHECK_(condition)
#define PROLOGUE_WINDOW_CHECK_(virt, phys, bytes)

#define PROLOGUE_NOTE_HEAD_(type, bytes)                                                           \
    .balign 4; .long 9, bytes, type, PROLOGUE_OWNER_LOW_, PROLOGUE_OWNER_HIGH_, 0;
#define PROLOGUE_RECORD_(name, type, bytes, ...)                                                   \
    .pushsection .note.prologue, "a", @note; .balign 4;                                            \
    .globl prologue_note_##name; prologue_note_##name:                                             \
    PROLOGUE_NOTE_HEAD_(type, bytes) __VA_ARGS__; .popsection;
#define PROLOGUE_RECORD_32_(name, type, value) PROLOGUE_RECORD_(name, type, 4, .long value)
#define PROLOGUE_RECORD_64_(name, type, value) PROLOGUE_RECORD_(name, type, 8, .quad value)
#define PROLOGUE_RECORD_64_64_(name, type, a, b) PROLOGUE_RECORD_(name, type, 16, .quad a, b)
#define PROLOGUE_RECORD_32_32_32_(name, type, a, b, c)                                             \
    PROLOGUE_RECORD_(name, type, 12, .long a, b, c)
#define PROLOGUE_TAG_(section, alignment, ...)                                                     \
    .pushsection section, "a", @progbits; .balign alignment; .long __VA_ARGS__; .popsection;
#define PROLOGUE_WINDOW_RECORD_ PROLOGUE_WINDOW_TEXT_
#define PROLOGUE_INSTEAD_OF_DEFAULT_(name)                                                         \
    .globl prologue_wish_##name; .set prologue_wish_##name, prologue_note_##name;
#define PROLOGUE_STACK_(bytes)                                                                     \
    .if (bytes) % 4096 || (bytes) < PROLOGUE_STACK_LEAST;                                          \
    .error "PROLOGUE_WISH_STACK: whole pages, two at least"; .endif;                               \
    .pushsection .bss; .balign 4096; .globl prologue_wished_stack;                                 \
    prologue_wished_stack: .skip PROLOGUE_STACK_GUARD_ + (bytes); .popsection;                     \
    .globl prologue_stack_bytes; prologue_stack_bytes = (bytes);

#else

#include <stdint.h>
#ifdef __cplusplus
#define PROLOGUE_CHECK_(condition) static_assert(condition, "see prologue/wishes.h")
#define PROLOGUE_C_(...) extern "C" { __VA_ARGS__ }
#else
#define PROLOGUE_CHECK_(condition) _Static_assert(condition, "see prologue/wishes.h")
#define PROLOGUE_C_(...) __VA_ARGS__
#endif
/* What only the linker knows is checked by prologue-check, and by the boot. But where code may
 * lie anywhere, and in clang's C++, an address in the note would make its section writable. */
#define PROLOGUE_WINDOW_CHECK_(virt, phys, bytes)                                                  \
    PROLOGUE_CHECK_(PROLOGUE_IF_KNOWN_((virt | phys | bytes) % 4096 == 0 && bytes != 0))
#if defined(__PIC__) || defined(__cplusplus)
#define PROLOGUE_IF_KNOWN_(condition) (condition)
#else
#define PROLOGUE_IF_KNOWN_(condition)                                                              \
    __builtin_choose_expr(__builtin_constant_p(condition), (condition), 1)
#endif
#define PROLOGUE_EMIT_(...) __asm__(PROLOGUE_TEXT_(__VA_ARGS__));
#define PROLOGUE_TEXT_(...) #__VA_ARGS__

/* Objects of the language, and not assembly: whoever optimises at the link, or makes
 * an index of a library, sees them. */
#define PROLOGUE_PLACED_(section_, alignment)                                                      \
    __attribute__((used, section(section_), aligned(alignment)))
#define PROLOGUE_SEEN_ __attribute__((visibility("default")))
#define PROLOGUE_64_(value) ((uint64_t)(value)) /* of an address, too */
#define PROLOGUE_LOW_(value) (uint32_t)(value)
#define PROLOGUE_HIGH_(value) (uint32_t)((uint64_t)(value) >> 32)
#define PROLOGUE_NOTE_HEAD_(type, bytes)                                                           \
    9, bytes, type, PROLOGUE_OWNER_LOW_, PROLOGUE_OWNER_HIGH_, 0
#define PROLOGUE_RECORD_(name, type, words, ...)                                                   \
    PROLOGUE_C_(PROLOGUE_SEEN_ extern const uint32_t prologue_note_##name[6 + words];              \
                PROLOGUE_PLACED_(".note.prologue", 4) const uint32_t prologue_note_##name[] = {    \
                    PROLOGUE_NOTE_HEAD_(type, 4 * words), __VA_ARGS__};)
#define PROLOGUE_RECORD_32_(name, type, value)                                                     \
    PROLOGUE_RECORD_(name, type, 1, PROLOGUE_LOW_(value))
#define PROLOGUE_RECORD_64_(name, type, value)                                                     \
    PROLOGUE_RECORD_(name, type, 2, PROLOGUE_LOW_(value), PROLOGUE_HIGH_(value))
#define PROLOGUE_RECORD_64_64_(name, type, a, b)                                                   \
    PROLOGUE_RECORD_(name, type, 4, PROLOGUE_LOW_(a), PROLOGUE_HIGH_(a), PROLOGUE_LOW_(b),         \
                     PROLOGUE_HIGH_(b))
#define PROLOGUE_RECORD_32_32_32_(name, type, a, b, c)                                             \
    PROLOGUE_RECORD_(name, type, 3, PROLOGUE_LOW_(a), PROLOGUE_LOW_(b), PROLOGUE_LOW_(c))
#define PROLOGUE_TAG_(section_, alignment, ...)                                                    \
    PROLOGUE_PLACED_(section_, alignment)                                                          \
    static const uint32_t PROLOGUE_UNIQUE_(__COUNTER__)[] = {__VA_ARGS__};
#define PROLOGUE_WINDOW_RECORD_(virt, phys, bytes, rights)                                         \
    PROLOGUE_PLACED_(".note.prologue.windows", 4)                                                  \
    static const struct prologue_window_note_ PROLOGUE_UNIQUE_(__COUNTER__) = {                    \
        {PROLOGUE_NOTE_HEAD_(PROLOGUE_NOTE_WINDOW, 32)}, PROLOGUE_64_(virt), PROLOGUE_64_(phys),   \
        PROLOGUE_64_(bytes), rights};                                                              \
    PROLOGUE_EMIT_(PROLOGUE_WINDOWS_TEXT_)
#define PROLOGUE_UNIQUE_(number) PROLOGUE_UNIQUE_2_(number)
#define PROLOGUE_UNIQUE_2_(number) prologue_unique_##number
#define PROLOGUE_INSTEAD_OF_DEFAULT_(name)                                                         \
    PROLOGUE_C_(PROLOGUE_SEEN_ extern const uint32_t prologue_wish_##name[7]                       \
                __attribute__((alias("prologue_note_" #name)));)
#define PROLOGUE_STACK_(bytes)                                                                     \
    PROLOGUE_C_(PROLOGUE_SEEN_ extern char                                                         \
                    prologue_wished_stack[PROLOGUE_STACK_GUARD_ + (bytes)];                        \
                PROLOGUE_PLACED_(".bss", 4096)                                                     \
                char prologue_wished_stack[PROLOGUE_STACK_GUARD_ + (bytes)];)                      \
    PROLOGUE_EMIT_(.globl prologue_stack_bytes; prologue_stack_bytes = (bytes))

struct prologue_window_note_ {
    uint32_t head[6];
    uint64_t virt, phys, bytes, rights;
} __attribute__((packed, aligned(4)));

/* The descriptors, for code that reads them. */
PROLOGUE_C_(extern const uint32_t prologue_wish_paging;
            extern const uint32_t prologue_wish_qemu_exit;
            extern const uint32_t prologue_wish_relocatable;
            extern const uint32_t prologue_sev_wish;)

#endif

#endif
