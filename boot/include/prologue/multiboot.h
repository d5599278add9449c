/* Multiboot information made from a handoff, for a kernel that has a parser of
 * its own and would rather keep it: whichever loader it was, the parser finds
 * what a Multiboot loader would have left. All of it is in this header.
 *
 *     static _Alignas(8) uint8_t info[16384];
 *     if (!prologue_make_multiboot2(handoff, info, sizeof info, 0))
 *         ... // too small
 *     parse(PROLOGUE_MULTIBOOT2_MAGIC, info);
 *
 * What the map calls available (1) is RAM that the kernel may take: usable, and
 * what the loader held; and modules and the kernel's own image, which Multiboot
 * parsers mind by themselves. What Prologue holds (the handoff, the tables that
 * are loaded) is reserved (2) there, as is what SNP has not accepted. Modules
 * lie where the loader put them. Strings are copied.
 *
 * Sources: Multiboot Specification 0.6.96, section 3.3; Multiboot2 Specification
 * 2.0, section 3.6.
 *
 * ISC licence. Usable from C11 and C++20, in 64-bit code.
 */
#ifndef PROLOGUE_MULTIBOOT_H
#define PROLOGUE_MULTIBOOT_H

#include "prologue/handoff.h"

#define PROLOGUE_MULTIBOOT1_MAGIC 0x2badb002 /* what EAX holds at a kernel's entry */
#define PROLOGUE_MULTIBOOT2_MAGIC 0x36d76289

#define PROLOGUE_MULTIBOOT_ static inline __attribute__((unused))

/* ---- What both are made of ---- */

/* A place to write to, in order; `at` goes on past `end`, and nothing is written there. */
typedef struct prologue_multiboot_writer_ {
    uint8_t *start;
    uint64_t at, end; /* offsets */
} prologue_multiboot_writer_;

PROLOGUE_MULTIBOOT_ void prologue_multiboot_bytes_(prologue_multiboot_writer_ *to, const void *from,
                                                   uint64_t bytes) {
    for (uint64_t i = 0; i != bytes; ++i, ++to->at)
        if (to->at < to->end)
            to->start[to->at] = from ? ((const uint8_t *)from)[i] : 0;
}

PROLOGUE_MULTIBOOT_ void prologue_multiboot_number_(prologue_multiboot_writer_ *to, uint64_t value,
                                                    unsigned bytes) {
    prologue_multiboot_bytes_(to, &value, bytes); /* little-endian, as the CPU is */
}

/* Zeros up to a multiple of 8. */
PROLOGUE_MULTIBOOT_ void prologue_multiboot_align_(prologue_multiboot_writer_ *to) {
    prologue_multiboot_bytes_(to, 0, -to->at & 7);
}

/* Sets a 32-bit field that was written before. */
PROLOGUE_MULTIBOOT_ void prologue_multiboot_patch_(prologue_multiboot_writer_ *to, uint64_t offset,
                                                   uint64_t value) {
    const uint64_t at = to->at;
    to->at = offset;
    prologue_multiboot_number_(to, value, 4);
    to->at = at;
}

/* The type of a range, in Multiboot's numbers, which are the e820's. */
PROLOGUE_MULTIBOOT_ uint32_t prologue_multiboot_type_(const prologue_handoff *handoff,
                                                      uint32_t type) {
    switch (type) {
    case PROLOGUE_MEMORY_LOADER: /* with UEFI's boot services running it is theirs */
        return handoff->efi.boot_services ? 2 : 1;
    case PROLOGUE_MEMORY_USABLE:
    case PROLOGUE_MEMORY_MODULE:
    case PROLOGUE_MEMORY_KERNEL:
        return 1;
    case PROLOGUE_MEMORY_ACPI:
        return 3;
    case PROLOGUE_MEMORY_NVS:
        return 4;
    case PROLOGUE_MEMORY_BAD:
        return 5;
    default:
        return 2;
    }
}

/* The next range of Multiboot's map from the handoff's entry `*next` on: neighbours of one type
 * are one. 0 behind the last. */
PROLOGUE_MULTIBOOT_ int prologue_multiboot_range_(const prologue_handoff *handoff, uint64_t *next,
                                                  prologue_range *range) {
    if (*next == handoff->memory_count)
        return 0;
    *range = handoff->memory[*next];
    range->type = prologue_multiboot_type_(handoff, range->type);
    while (++*next != handoff->memory_count && handoff->memory[*next].start == range->end &&
           prologue_multiboot_type_(handoff, handoff->memory[*next].type) == range->type)
        range->end = handoff->memory[*next].end;
    return 1;
}

/* KiB of available memory from `start` on in one piece, `most` at the most: mem_lower, mem_upper. */
PROLOGUE_MULTIBOOT_ uint32_t prologue_multiboot_kib_(const prologue_handoff *handoff,
                                                     uint64_t start, uint32_t most) {
    uint64_t next = 0, end = start;
    prologue_range range;
    while (prologue_multiboot_range_(handoff, &next, &range))
        if (range.type == 1 && range.start <= end && range.end > end)
            end = range.end;
        else if (start == 0 && end == 0 && range.type == 1 && range.start == 0x1000)
            end = range.end; /* physical page 0 may be somebody's; BIOSes count it */
    const uint64_t kib = (end - start) >> 10;
    return kib < most ? (uint32_t)kib : most;
}

PROLOGUE_MULTIBOOT_ uint64_t prologue_multiboot_text_bytes_(const char *text) {
    uint64_t bytes = 1;
    while (*text++ != 0)
        ++bytes;
    return bytes;
}

PROLOGUE_MULTIBOOT_ void prologue_multiboot_framebuffer_(prologue_multiboot_writer_ *to,
                                                         const prologue_framebuffer *from) {
    prologue_multiboot_number_(to, from->phys, 8);
    prologue_multiboot_number_(to, from->pitch, 4);
    prologue_multiboot_number_(to, from->width, 4);
    prologue_multiboot_number_(to, from->height, 4);
    prologue_multiboot_number_(to, from->bits_per_pixel, 1);
    prologue_multiboot_number_(to, from->kind, 1);
}

#define PROLOGUE_MULTIBOOT_LOADER_ "Prologue"

/* ---- Multiboot 2 ---- */

/* Begins a tag; its size is set when it ends. */
PROLOGUE_MULTIBOOT_ uint64_t prologue_multiboot2_tag_(prologue_multiboot_writer_ *to,
                                                      uint32_t type) {
    prologue_multiboot_align_(to);
    const uint64_t start = to->at;
    prologue_multiboot_number_(to, type, 4);
    prologue_multiboot_number_(to, 0, 4);
    return start;
}

PROLOGUE_MULTIBOOT_ void prologue_multiboot2_end_(prologue_multiboot_writer_ *to, uint64_t start) {
    prologue_multiboot_patch_(to, start + 4, to->at - start);
}

PROLOGUE_MULTIBOOT_ void prologue_multiboot2_text_(prologue_multiboot_writer_ *to, uint32_t type,
                                                   const char *text) {
    const uint64_t tag = prologue_multiboot2_tag_(to, type);
    prologue_multiboot_bytes_(to, text, prologue_multiboot_text_bytes_(text));
    prologue_multiboot2_end_(to, tag);
}

PROLOGUE_MULTIBOOT_ void prologue_multiboot2_memory_(prologue_multiboot_writer_ *to,
                                                     const prologue_handoff *handoff) {
    uint64_t tag = prologue_multiboot2_tag_(to, 4);
    prologue_multiboot_number_(to, prologue_multiboot_kib_(handoff, 0, 640), 4);
    prologue_multiboot_number_(to, prologue_multiboot_kib_(handoff, 0x100000, 0xffffffff), 4);
    prologue_multiboot2_end_(to, tag);
    tag = prologue_multiboot2_tag_(to, 6);
    prologue_multiboot_number_(to, 24, 4); /* bytes an entry */
    prologue_multiboot_number_(to, 0, 4);  /* version */
    uint64_t next = 0;
    prologue_range range;
    while (prologue_multiboot_range_(handoff, &next, &range)) {
        prologue_multiboot_number_(to, range.start, 8);
        prologue_multiboot_number_(to, range.end - range.start, 8);
        prologue_multiboot_number_(to, range.type, 8); /* and four reserved bytes */
    }
    prologue_multiboot2_end_(to, tag);
}

PROLOGUE_MULTIBOOT_ void prologue_multiboot2_framebuffer_(prologue_multiboot_writer_ *to,
                                                          const prologue_framebuffer *from) {
    const uint64_t tag = prologue_multiboot2_tag_(to, 8);
    prologue_multiboot_framebuffer_(to, from);
    prologue_multiboot_number_(to, 0, 2);
    if (from->kind == 1)
        prologue_multiboot_bytes_(to, &from->red_shift, 6); /* {shift, bits} of each colour */
    else if (from->kind == 0)
        prologue_multiboot_number_(to, 0, 4); /* a palette without colours */
    prologue_multiboot2_end_(to, tag);
}

/* `module` lies below 4 GiB; its end is its bytes' end. */
PROLOGUE_MULTIBOOT_ void prologue_multiboot2_module_(prologue_multiboot_writer_ *to,
                                                     const prologue_module *module) {
    const uint64_t tag = prologue_multiboot2_tag_(to, 3);
    prologue_multiboot_number_(to, module->start, 4);
    prologue_multiboot_number_(to, module->start + module->bytes, 4);
    prologue_multiboot_bytes_(to, module->cmdline, module->cmdline_bytes + 1);
    prologue_multiboot2_end_(to, tag);
}

/* Bytes of an RSDP: 20 of version 1, later as many as it says. */
PROLOGUE_MULTIBOOT_ uint64_t prologue_multiboot2_rsdp_bytes_(const void *rsdp) {
    const uint8_t *const bytes = (const uint8_t *)rsdp;
    return bytes[15] < 2 ? 20 : (uint64_t)bytes[20] | (uint64_t)bytes[21] << 8;
}

PROLOGUE_MULTIBOOT_ void prologue_multiboot2_rsdp_(prologue_multiboot_writer_ *to, uint32_t type,
                                                   const void *rsdp, uint64_t bytes) {
    const uint64_t tag = prologue_multiboot2_tag_(to, type);
    prologue_multiboot_bytes_(to, rsdp, bytes);
    prologue_multiboot2_end_(to, tag);
}

PROLOGUE_MULTIBOOT_ void prologue_multiboot2_efi_(prologue_multiboot_writer_ *to,
                                                  const prologue_efi *efi) {
    if (efi->system_table_phys != 0) {
        const unsigned bytes = efi->bits / 8;
        const uint64_t tag = prologue_multiboot2_tag_(to, bytes == 8 ? 12 : 11);
        prologue_multiboot_number_(to, efi->system_table_phys, bytes);
        prologue_multiboot2_end_(to, tag);
    }
    if (efi->memory_map) {
        const uint64_t tag = prologue_multiboot2_tag_(to, 17);
        prologue_multiboot_number_(to, efi->descriptor_bytes, 4);
        prologue_multiboot_number_(to, efi->descriptor_version, 4);
        prologue_multiboot_bytes_(to, efi->memory_map, efi->memory_map_bytes);
        prologue_multiboot2_end_(to, tag);
    }
}

/* Can Multiboot, whose modules have 32-bit addresses, say where all modules are? */
PROLOGUE_MULTIBOOT_ int prologue_multiboot_modules_fit_(const prologue_handoff *handoff) {
    for (uint64_t i = 0; i != handoff->module_count; ++i)
        if (handoff->modules[i].start + handoff->modules[i].bytes > 0xffffffff)
            return 0;
    return 1;
}

/* Writes Multiboot 2 information to `at`, which is aligned to 8 and has room for
 * `bytes`. `rsdp` is ACPI's root pointer where the kernel sees it (the handoff's
 * rsdp_phys is not always mapped), or null to leave it out. Returns how many bytes
 * it takes; 0, and nothing to be read, where there is no room, or a module lies
 * above 4 GiB. */
PROLOGUE_MULTIBOOT_ uint64_t prologue_make_multiboot2(const prologue_handoff *handoff, void *at,
                                                      uint64_t bytes, const void *rsdp) {
    prologue_multiboot_writer_ to = {(uint8_t *)at, 0, bytes};
    if (!prologue_multiboot_modules_fit_(handoff))
        return 0;
    prologue_multiboot_number_(&to, 0, 8); /* the size, set below */
    prologue_multiboot2_text_(&to, 1, handoff->cmdline);
    prologue_multiboot2_text_(&to, 2, PROLOGUE_MULTIBOOT_LOADER_);
    for (uint64_t i = 0; i != handoff->module_count; ++i)
        prologue_multiboot2_module_(&to, &handoff->modules[i]);
    prologue_multiboot2_memory_(&to, handoff);
    if (handoff->framebuffer.phys != 0)
        prologue_multiboot2_framebuffer_(&to, &handoff->framebuffer);
    prologue_multiboot2_efi_(&to, &handoff->efi);
    if (rsdp) { /* of ACPI 2 it begins with what ACPI 1 has, for who knows that alone */
        const uint64_t rsdp_bytes = prologue_multiboot2_rsdp_bytes_(rsdp);
        prologue_multiboot2_rsdp_(&to, 14, rsdp, 20);
        if (rsdp_bytes != 20)
            prologue_multiboot2_rsdp_(&to, 15, rsdp, rsdp_bytes);
    }
    if (handoff->load_base <= 0xffffffff) {
        const uint64_t tag = prologue_multiboot2_tag_(&to, 21);
        prologue_multiboot_number_(&to, handoff->load_base, 4);
        prologue_multiboot2_end_(&to, tag);
    }
    prologue_multiboot2_end_(&to, prologue_multiboot2_tag_(&to, 0));
    prologue_multiboot_patch_(&to, 0, to.at);
    return to.at <= to.end ? to.at : 0;
}

/* ---- Multiboot 1 ---- */

/* Writes Multiboot 1 information to `at`, which is aligned to 8, has room for
 * `bytes` and lies at physical address `phys`: Multiboot's pointers are physical,
 * and have 32 bits. Returns how many bytes it takes; 0, and nothing to be read,
 * where there is no room, or where it or a module does not lie below 4 GiB. */
PROLOGUE_MULTIBOOT_ uint64_t prologue_make_multiboot1(const prologue_handoff *handoff, void *at,
                                                      uint64_t bytes, uint64_t phys) {
    prologue_multiboot_writer_ to = {(uint8_t *)at, 0, bytes};
    const int framebuffer = handoff->framebuffer.phys != 0;
    if (phys + bytes > 0xffffffff || !prologue_multiboot_modules_fit_(handoff))
        return 0;
    /* mem_lower, mem_upper, cmdline, mods, mmap, boot_loader_name, framebuffer */
    prologue_multiboot_number_(&to, 0x24d | (framebuffer ? 0x1000 : 0), 4);
    prologue_multiboot_number_(&to, prologue_multiboot_kib_(handoff, 0, 640), 4);
    prologue_multiboot_number_(&to, prologue_multiboot_kib_(handoff, 0x100000, 0xffffffff), 4);
    prologue_multiboot_bytes_(&to, 0, 88 - to.at);
    prologue_multiboot_framebuffer_(&to, &handoff->framebuffer);
    /* Colours at 112, as GRUB and the specification's header file have them; its text says 110. */
    prologue_multiboot_bytes_(&to, 0, 2);
    prologue_multiboot_bytes_(&to, framebuffer ? &handoff->framebuffer.red_shift : (uint8_t *)0, 6);
    prologue_multiboot_align_(&to);

    prologue_multiboot_patch_(&to, 16, phys + to.at);
    prologue_multiboot_bytes_(&to, handoff->cmdline, handoff->cmdline_bytes + 1);
    prologue_multiboot_patch_(&to, 64, phys + to.at);
    prologue_multiboot_bytes_(&to, PROLOGUE_MULTIBOOT_LOADER_, sizeof PROLOGUE_MULTIBOOT_LOADER_);
    prologue_multiboot_align_(&to);

    const uint64_t modules = to.at;
    prologue_multiboot_patch_(&to, 20, handoff->module_count);
    prologue_multiboot_patch_(&to, 24, phys + modules);
    prologue_multiboot_bytes_(&to, 0, 16 * handoff->module_count);
    for (uint64_t i = 0; i != handoff->module_count; ++i) {
        const prologue_module *const module = &handoff->modules[i];
        prologue_multiboot_patch_(&to, modules + 16 * i, module->start);
        prologue_multiboot_patch_(&to, modules + 16 * i + 4, module->start + module->bytes);
        prologue_multiboot_patch_(&to, modules + 16 * i + 8, phys + to.at);
        prologue_multiboot_bytes_(&to, module->cmdline, module->cmdline_bytes + 1);
    }
    prologue_multiboot_align_(&to);

    const uint64_t map = to.at;
    uint64_t next = 0;
    prologue_range range;
    while (prologue_multiboot_range_(handoff, &next, &range)) {
        prologue_multiboot_number_(&to, 20, 4); /* the entry's bytes, without this field */
        prologue_multiboot_number_(&to, range.start, 8);
        prologue_multiboot_number_(&to, range.end - range.start, 8);
        prologue_multiboot_number_(&to, range.type, 4);
    }
    prologue_multiboot_patch_(&to, 44, to.at - map);
    prologue_multiboot_patch_(&to, 48, phys + map);
    return to.at <= to.end ? to.at : 0;
}

#endif
