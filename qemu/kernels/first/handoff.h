/* The first header, as it was (handoff version 1). Kept so that a kernel of that day is compiled, and boots.
 *
 * Physical addresses are integers named `*_phys`, `start`, `end`; pointers are
 * virtual and lie in the direct map, so they hold for as long as the direct
 * map does. Bytes are bytes, ends are exclusive. Everything pointed to lies in
 * memory of type PROLOGUE_MEMORY_PROLOGUE and belongs to the kernel from
 * kernel_main on: copy out what is wanted, then reuse the rest.
 *
 * The structure only grows: new fields go to the end, `version` counts the
 * growth and `size` says how much of it is there.
 *
 * ISC licence. Usable from C11 and C++20; the constants from assembly too.
 */
#ifndef PROLOGUE_HANDOFF_H
#define PROLOGUE_HANDOFF_H

#define PROLOGUE_HANDOFF_MAGIC 0x6575676f6c6f7250 /* "Prologue" */
#define PROLOGUE_HANDOFF_VERSION 1

/* The direct map: physical address p is seen at base + p. */
#define PROLOGUE_DIRECT_MAP_4_LEVEL 0xffff800000000000 /* room for 64 TiB */
#define PROLOGUE_DIRECT_MAP_5_LEVEL 0xff00000000000000 /* room for 4 PiB */

/* Selectors in the GDT that is loaded at kernel_main. */
#define PROLOGUE_SELECTOR_CODE64 0x08
#define PROLOGUE_SELECTOR_DATA 0x10
#define PROLOGUE_SELECTOR_TSS 0x28

/* IA32_PAT at kernel_main: entries 0 to 3 as at reset (WB, WT, UC-, UC), then
 * WP, WC, UC-, UC. */
#define PROLOGUE_PAT 0x0007010500070406

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum prologue_loader {
    PROLOGUE_LOADER_PVH = 1,
    PROLOGUE_LOADER_MULTIBOOT1 = 2,
    PROLOGUE_LOADER_MULTIBOOT2 = 3,
};

/* The state of the CPU at the loader's jump. */
enum prologue_entry_mode {
    PROLOGUE_ENTRY_PROTECTED32 = 1,
    PROLOGUE_ENTRY_PAGED32 = 2,
    PROLOGUE_ENTRY_COMPAT32 = 3,
    PROLOGUE_ENTRY_LONG64 = 4,
};

/* Types of memory, from the most usable to the most restrictive: where what a
 * loader says overlaps, the higher number wins. */
enum prologue_memory_type {
    PROLOGUE_MEMORY_USABLE = 1,
    PROLOGUE_MEMORY_LOADER = 2,   /* the loader's structures: free once they are not wanted */
    PROLOGUE_MEMORY_PROLOGUE = 3, /* this handoff, what it points to, the page tables */
    PROLOGUE_MEMORY_MODULE = 4,   /* a module's bytes */
    PROLOGUE_MEMORY_ACPI = 5,     /* ACPI tables: free once they have been read */
    PROLOGUE_MEMORY_NVS = 6,      /* ACPI's, to be kept */
    PROLOGUE_MEMORY_RESERVED = 7,
    PROLOGUE_MEMORY_BAD = 8,
    PROLOGUE_MEMORY_KERNEL = 9, /* the image: the kernel and Prologue's part of it */
};

typedef struct prologue_range {
    uint64_t start; /* page-aligned */
    uint64_t end;   /* exclusive, page-aligned */
    uint32_t type;  /* enum prologue_memory_type */
    uint32_t flags; /* 0 */
} prologue_range;

typedef struct prologue_module {
    uint64_t start; /* physical, as the loader gave it: not always page-aligned */
    uint64_t bytes;
    const char *cmdline; /* ends in NUL; "" where the loader gave none */
    uint64_t cmdline_bytes;
} prologue_module;

/* A linear framebuffer, as the loader set it up; `phys` is 0 where there is none. */
typedef struct prologue_framebuffer {
    uint64_t phys;
    uint32_t pitch; /* bytes a line */
    uint32_t width;
    uint32_t height;
    uint8_t bits_per_pixel;
    uint8_t kind; /* 0 indexed, 1 direct colour, 2 EGA text */
    uint8_t red_shift, red_bits;
    uint8_t green_shift, green_bits;
    uint8_t blue_shift, blue_bits;
} prologue_framebuffer;

/* Where the guest runs under AMD SEV; all zero where it does not. */
typedef struct prologue_sev {
    uint64_t status;     /* SEV_STATUS, MSR 0xc0010131 */
    uint64_t c_bit_mask; /* to be set in page-table entries for private memory */
    uint64_t ghcb_phys;
    uint64_t ghcb_virtual;
    uint64_t cpuid_page_phys;
    uint64_t secrets_page_phys;
    uint64_t accepted_end;
} prologue_sev;

typedef struct prologue_handoff {
    uint64_t magic; /* PROLOGUE_HANDOFF_MAGIC */
    uint32_t version;
    uint32_t size; /* of this structure */

    uint32_t loader;       /* enum prologue_loader */
    uint32_t entry_mode;   /* enum prologue_entry_mode */
    uint32_t loader_magic; /* as the loader gave it, for a kernel that reads its structures */
    uint32_t paging_levels; /* 4 or 5 */
    uint64_t loader_info_phys;

    /* The image: virtual = physical + kernel_offset (modulo 2^64) for all of it. */
    uint64_t load_base; /* physical address of the image's first byte, its ELF header */
    uint64_t load_end;
    uint64_t kernel_offset;

    uint64_t direct_map; /* virtual address of physical 0 */
    uint64_t direct_map_bytes; /* no RAM at or above this is mapped */
    uint64_t identity_bytes; /* RAM below this is mapped at its own address too, by top-level entry 0 */
    uint64_t page_size;      /* the largest that the CPU has: 2 MiB or 1 GiB */

    const prologue_range *memory; /* sorted, page-aligned, without overlaps, neighbours merged */
    uint64_t memory_count;
    const char *cmdline; /* ends in NUL; "" where there is none */
    uint64_t cmdline_bytes;
    const prologue_module *modules;
    uint64_t module_count;
    uint64_t rsdp_phys; /* 0 where the loader gave none */
    prologue_framebuffer framebuffer;

    uint64_t page_tables_phys; /* the top-level table, as CR3 holds it */
    uint64_t spare_start;      /* zeroed pages for more tables, physical; type PROLOGUE too */
    uint64_t spare_end;

    uint64_t stack_bottom; /* virtual; the page below it is the guard page */
    uint64_t stack_top;

    uint64_t tsc; /* read once the 64-bit IDT stands */

    prologue_sev sev;
} prologue_handoff;

/* The kernel. Entered as docs/kernel-contract.md says; must not return. */
#ifdef __cplusplus
[[noreturn]] void kernel_main(const prologue_handoff *handoff);
}
#define PROLOGUE_ASSERT(condition) static_assert(condition, #condition)
#else
_Noreturn void kernel_main(const prologue_handoff *handoff);
#define PROLOGUE_ASSERT(condition) _Static_assert(condition, #condition)
#endif

PROLOGUE_ASSERT(sizeof(prologue_range) == 24);
#if UINTPTR_MAX > 0xffffffff
PROLOGUE_ASSERT(sizeof(prologue_module) == 32);
PROLOGUE_ASSERT(sizeof(prologue_framebuffer) == 32);
PROLOGUE_ASSERT(sizeof(prologue_sev) == 56);
PROLOGUE_ASSERT(offsetof(prologue_handoff, loader) == 16);
PROLOGUE_ASSERT(offsetof(prologue_handoff, loader_info_phys) == 32);
PROLOGUE_ASSERT(offsetof(prologue_handoff, load_base) == 40);
PROLOGUE_ASSERT(offsetof(prologue_handoff, kernel_offset) == 56);
PROLOGUE_ASSERT(offsetof(prologue_handoff, direct_map) == 64);
PROLOGUE_ASSERT(offsetof(prologue_handoff, page_size) == 88);
PROLOGUE_ASSERT(offsetof(prologue_handoff, memory) == 96);
PROLOGUE_ASSERT(offsetof(prologue_handoff, cmdline) == 112);
PROLOGUE_ASSERT(offsetof(prologue_handoff, modules) == 128);
PROLOGUE_ASSERT(offsetof(prologue_handoff, rsdp_phys) == 144);
PROLOGUE_ASSERT(offsetof(prologue_handoff, framebuffer) == 152);
PROLOGUE_ASSERT(offsetof(prologue_handoff, page_tables_phys) == 184);
PROLOGUE_ASSERT(offsetof(prologue_handoff, stack_bottom) == 208);
PROLOGUE_ASSERT(offsetof(prologue_handoff, tsc) == 224);
PROLOGUE_ASSERT(offsetof(prologue_handoff, sev) == 232);
PROLOGUE_ASSERT(sizeof(prologue_handoff) == 288);
#endif
#endif /* __ASSEMBLER__ */

#endif
