/* What Prologue hands to a kernel: one structure, whichever loader it was.
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
#define PROLOGUE_HANDOFF_VERSION 3

/* The direct map: RAM at physical address p is seen at base + p. Physical page 0
 * is in no map, nor is what the memory map calls reserved or bad. */
#define PROLOGUE_DIRECT_MAP_4_LEVEL 0xffff800000000000 /* room for 64 TiB */
#define PROLOGUE_DIRECT_MAP_5_LEVEL 0xff00000000000000 /* room for 4 PiB */

/* Bits of prologue_sev.status. */
#define PROLOGUE_SEV_STATUS_SEV 0x1
#define PROLOGUE_SEV_STATUS_ES 0x2
#define PROLOGUE_SEV_STATUS_SNP 0x4

/* Bits of prologue_handoff.left_out: what the loader gave, was no good, and a kernel can
 * boot without. */
#define PROLOGUE_LEFT_OUT_STRING 0x1      /* a module's, or the loader's name: nobody can read it */
#define PROLOGUE_LEFT_OUT_RANGE 0x2       /* of memory: it wraps */
#define PROLOGUE_LEFT_OUT_RAM 0x4         /* this CPU cannot address it */
#define PROLOGUE_LEFT_OUT_FRAMEBUFFER 0x8 /* or its colours */
#define PROLOGUE_LEFT_OUT_RSDP 0x10
#define PROLOGUE_LEFT_OUT_SYMBOLS 0x20  /* where the image's other sections lie */
#define PROLOGUE_LEFT_OUT_EFI 0x40      /* the system table, or the firmware's memory map */
#define PROLOGUE_LEFT_OUT_ARGUMENT 0x80 /* vmd's console or MAC; FreeBSD's environment */

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
    PROLOGUE_LOADER_LINUX = 4,
    PROLOGUE_LOADER_VMD = 5,     /* OpenBSD's, and its own boot loader */
    PROLOGUE_LOADER_FREEBSD = 6, /* bhyve's, and its own boot loader */
    PROLOGUE_LOADER_EFI = 7,     /* UEFI itself, by the stub in the kernel's file */
    PROLOGUE_LOADER_IGVM = 8,    /* a file that prologue-igvm has made of the kernel */
};

/* The state of the CPU at the loader's jump. */
enum prologue_entry_mode {
    PROLOGUE_ENTRY_PROTECTED32 = 1,
    PROLOGUE_ENTRY_PAGED32 = 2,
    PROLOGUE_ENTRY_COMPAT32 = 3,
    PROLOGUE_ENTRY_LONG64 = 4,
};

/* Types of memory, from the most usable to the most restrictive: where what a
 * loader says overlaps, the higher number wins. But the image is the kernel's and a module's
 * bytes are the module's, whatever the loader calls the memory that they lie in; and
 * soft-reserved memory is what it is only where nothing says more than ACPI's types. */
enum prologue_memory_type {
    PROLOGUE_MEMORY_USABLE = 1,
    PROLOGUE_MEMORY_LOADER = 2,   /* the loader's structures: free once they are not wanted; and
                                   * UEFI's as long as its boot services run */
    PROLOGUE_MEMORY_PROLOGUE = 3, /* this handoff, what it points to, the page tables */
    PROLOGUE_MEMORY_MODULE = 4,   /* a module's bytes */
    PROLOGUE_MEMORY_ACPI = 5,     /* ACPI tables: free once they have been read */
    PROLOGUE_MEMORY_NVS = 6,      /* ACPI's, to be kept */
    PROLOGUE_MEMORY_RESERVED = 7,
    PROLOGUE_MEMORY_BAD = 8,
    PROLOGUE_MEMORY_KERNEL = 9,         /* the image: the kernel and Prologue's part of it */
    PROLOGUE_MEMORY_UNACCEPTED = 10,    /* SNP: usable once it is accepted, see prologue/sev.h */
    PROLOGUE_MEMORY_SOFT_RESERVED = 11, /* UEFI: RAM of a special purpose, for who knows it */
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

/* Where the guest runs under AMD SEV; all zero where it does not. See prologue/sev.h. */
typedef struct prologue_sev {
    uint64_t status;          /* SEV_STATUS, MSR 0xc0010131: the processor's word, not the host's */
    uint64_t c_bit_mask;      /* in page-table entries, and CR3, for private memory */
    uint64_t ghcb_phys;       /* SEV-ES and SNP: the page that the host sees, in the image */
    uint64_t ghcb_virtual;    /* in the kernel's mapping; shared in all others too */
    uint64_t cpuid_page_phys; /* SNP: what the launch put there; 0 where it did not */
    uint64_t secrets_page_phys;
    uint64_t accepted_end; /* SNP: usable memory below is validated; -1 where the loader did it */
} prologue_sev;

/* The console that the loader names; all zero where it names none. */
typedef struct prologue_console {
    uint32_t device;         /* OpenBSD's dev_t: major number << 8 | minor number */
    uint32_t speed;          /* bits a second */
    uint64_t address;        /* of its first register: a port, or physical */
    uint32_t frequency;      /* of its clock in Hz; 0 for the usual 1843200 */
    uint32_t flags;          /* bit 0: `address` is physical */
    uint32_t register_width; /* bytes; 0: not told */
    uint32_t register_shift; /* a register is 1 << this behind the one before it */
} prologue_console;
#define PROLOGUE_CONSOLE_IN_MEMORY 1

/* What BSDs' loaders tell, in their own numbers; all zero with other loaders. */
typedef struct prologue_boot {
    uint32_t howto;  /* RB_*, as in <sys/reboot.h> */
    uint32_t device; /* as in their bootdev */
    prologue_console console;
    uint8_t mac[6];    /* of the network interface that was booted from */
    uint8_t mac_bytes; /* 6, or 0 where there is none */
    uint8_t reserved;
    const char *environment; /* "name=value" strings with their NULs, then an empty one; or null */
    uint64_t environment_bytes; /* without the empty one */
} prologue_boot;

/* UEFI, where it has booted; all zero where it has not. */
typedef struct prologue_efi {
    uint64_t system_table_phys;
    const void *memory_map; /* a copy of the firmware's: EFI_MEMORY_DESCRIPTORs; or null */
    uint64_t memory_map_bytes;
    uint32_t descriptor_bytes; /* from one to the next */
    uint32_t descriptor_version;
    uint32_t bits;          /* of the firmware: 32 or 64 */
    uint32_t boot_services; /* 1: they are running, by wish; 0: they have been ended */
    uint64_t image_handle;  /* for ExitBootServices, where they are running */
} prologue_efi;

typedef struct prologue_handoff {
    uint64_t magic; /* PROLOGUE_HANDOFF_MAGIC */
    uint32_t version;
    uint32_t size; /* of this structure */

    uint32_t loader;        /* enum prologue_loader */
    uint32_t entry_mode;    /* enum prologue_entry_mode */
    uint32_t loader_magic;  /* as the loader gave it, for a kernel that reads its structures */
    uint32_t paging_levels; /* 4 or 5 */
    uint64_t loader_info_phys;

    /* The image: virtual = physical + kernel_offset (modulo 2^64) for all of it. */
    uint64_t load_base; /* physical address of the image's first byte, its ELF header */
    uint64_t load_end;
    uint64_t kernel_offset;

    uint64_t direct_map;       /* virtual address of physical 0 */
    uint64_t direct_map_bytes; /* no RAM at or above this is mapped */
    uint64_t identity_bytes;   /* RAM below this is mapped at its own address too, by top-level
                              * entry 0, except where a kernel linked there lies */
    uint64_t page_size;        /* the largest that the CPU has: 2 MiB or 1 GiB */

    const prologue_range *memory; /* sorted, page-aligned, without overlaps, neighbours merged */
    uint64_t memory_count;
    const char *cmdline; /* ends in NUL; "" where there is none */
    uint64_t cmdline_bytes;
    const prologue_module *modules;
    uint64_t module_count;
    uint64_t rsdp_phys; /* 0 where the loader gave none */
    prologue_framebuffer framebuffer;

    uint64_t page_tables_phys; /* the top-level table; CR3 has the C-bit besides */
    uint64_t spare_start;      /* physical: zeroed pages of the image's .bss, for more tables */
    uint64_t spare_end;

    uint64_t stack_bottom; /* virtual; the page below it is the guard page */
    uint64_t stack_top;

    uint64_t tsc; /* read once the 64-bit IDT stands */

    prologue_sev sev;

    /* From version 2. */
    prologue_boot boot;
    prologue_efi efi;

    /* From version 3. */
    uint64_t smbios_phys; /* the entry point, of SMBIOS 3 where there is one; 0: not told */
    uint32_t left_out;    /* PROLOGUE_LEFT_OUT_*; 0 where all was good */
    uint32_t reserved;
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
PROLOGUE_ASSERT(sizeof(prologue_console) == 32);
PROLOGUE_ASSERT(sizeof(prologue_boot) == 64);
PROLOGUE_ASSERT(sizeof(prologue_efi) == 48);
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
PROLOGUE_ASSERT(offsetof(prologue_handoff, boot) == 288);
PROLOGUE_ASSERT(offsetof(prologue_handoff, efi) == 352);
PROLOGUE_ASSERT(offsetof(prologue_handoff, smbios_phys) == 400);
PROLOGUE_ASSERT(offsetof(prologue_handoff, left_out) == 408);
PROLOGUE_ASSERT(sizeof(prologue_handoff) == 416);
#endif
#endif /* __ASSEMBLER__ */

#endif
