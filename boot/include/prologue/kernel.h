/* What a kernel may like to have in its first lines: ways through the handoff,
 * and out of the state in which Prologue leaves the CPU. All of it is in this
 * header and none of it in libprologue.a; nothing depends on its being used.
 *
 * Addresses named `phys` are physical. Nothing here allocates, locks or fails
 * in any other way than it says.
 *
 * ISC licence. Usable from C11 and C++20, in 64-bit code.
 */
#ifndef PROLOGUE_KERNEL_H
#define PROLOGUE_KERNEL_H

#include "prologue/handoff.h"

#define PROLOGUE_HELPER_ static inline __attribute__((unused))

/* ---- The handoff ---- */

/* Is it one, with all the fields that this header knows? */
PROLOGUE_HELPER_ int prologue_handoff_is_good(const prologue_handoff *handoff) {
    return handoff->magic == PROLOGUE_HANDOFF_MAGIC && handoff->size >= sizeof *handoff;
}

/* Where RAM at a physical address is seen: in the direct map or, where there is
 * none, in the identity map; a null pointer where it is in neither. That there
 * is RAM is for the memory map to say. */
PROLOGUE_HELPER_ void *prologue_seen(const prologue_handoff *handoff, uint64_t phys) {
    if (phys < handoff->direct_map_bytes)
        return (void *)(uintptr_t)(handoff->direct_map + phys);
    return phys < handoff->identity_bytes ? (void *)(uintptr_t)phys : (void *)0;
}

/* The next range of a type after `range`, or the first where that is null; null
 * behind the last:
 *
 *     const prologue_range *free = 0;
 *     while ((free = prologue_next_range(handoff, PROLOGUE_MEMORY_USABLE, free)))
 *         give(free->start, free->end);
 */
PROLOGUE_HELPER_ const prologue_range *prologue_next_range(const prologue_handoff *handoff,
                                                           uint32_t type,
                                                           const prologue_range *range) {
    const prologue_range *const end = handoff->memory + handoff->memory_count;
    for (range = range ? range + 1 : handoff->memory; range != end; ++range)
        if (range->type == type)
            return range;
    return (const prologue_range *)0;
}

/* Bytes of memory of a type. */
PROLOGUE_HELPER_ uint64_t prologue_bytes_of_type(const prologue_handoff *handoff, uint32_t type) {
    uint64_t bytes = 0;
    const prologue_range *range = (const prologue_range *)0;
    while ((range = prologue_next_range(handoff, type, range)))
        bytes += range->end - range->start;
    return bytes;
}

/* The next piece of RAM, whatever it is used for, from `*end` on; pieces that touch are one. What is
 * reserved, or bad, is none. 0 behind the last:
 *
 *     uint64_t start, end = 0;
 *     while (prologue_next_ram(handoff, &start, &end))
 *         add_memory(start, end);
 */
PROLOGUE_HELPER_ int prologue_next_ram(const prologue_handoff *handoff, uint64_t *start,
                                       uint64_t *end) {
    const uint64_t behind = *end;
    int found = 0;
    for (uint64_t i = 0; i != handoff->memory_count; ++i) {
        const prologue_range *const range = &handoff->memory[i];
        if (range->start < behind || range->type == PROLOGUE_MEMORY_RESERVED ||
            range->type == PROLOGUE_MEMORY_BAD)
            continue;
        if (found && range->start != *end)
            break;
        if (!found)
            *start = range->start;
        *end = range->end;
        found = 1;
    }
    return found;
}

/* The length of the word that `text` begins with: up to a space or the end. */
PROLOGUE_HELPER_ uint64_t prologue_word_bytes(const char *text) {
    uint64_t bytes = 0;
    while (text[bytes] != 0 && text[bytes] != ' ')
        ++bytes;
    return bytes;
}

/* Does `text` begin with the word that `start` begins with? */
PROLOGUE_HELPER_ int prologue_begins_with(const char *text, const char *start) {
    while (*start != 0 && *start != ' ')
        if (*text++ != *start++)
            return 0;
    return 1;
}

/* The first module whose string's first word is `name`, or a path that ends in
 * it; null where there is none. `name` ends at a space too, as prologue_option's
 * value does. QEMU's Multiboot 1 puts the path there, GRUB what stands behind
 * it, and QEMU's PVH nothing: see docs/loaders.md. */
PROLOGUE_HELPER_ const prologue_module *prologue_find_module(const prologue_handoff *handoff,
                                                             const char *name) {
    const uint64_t bytes = prologue_word_bytes(name);
    for (uint64_t i = 0; i != handoff->module_count; ++i) {
        const char *const word = handoff->modules[i].cmdline;
        const uint64_t word_bytes = prologue_word_bytes(word);
        if (bytes == 0 || word_bytes < bytes)
            continue;
        const uint64_t before = word_bytes - bytes;
        if (prologue_begins_with(word + before, name) && (before == 0 || word[before - 1] == '/'))
            return &handoff->modules[i];
    }
    return (const prologue_module *)0;
}

PROLOGUE_HELPER_ int prologue_is_space(char character) {
    return character == ' ' || (character >= '\t' && character <= '\r');
}

PROLOGUE_HELPER_ char prologue_dash_to_underscore(char character) {
    return character == '-' ? '_' : character;
}

/* The value of `key=value` in the command line; "" for a word that is the key alone;
 * null where there is neither. The last one wins. By Linux's rules (next_arg and parameq):
 *
 * - words are apart by spaces, tabs and newlines, but not by those between two quotes;
 * - quotes around a word or a value are not part of it: "key=a b" or key="a b";
 * - in a key, - and _ are the same;
 * - behind a word -- there are no options.
 */
PROLOGUE_HELPER_ const char *prologue_option(const prologue_handoff *handoff, const char *key,
                                             uint64_t *value_bytes) {
    const char *found = (const char *)0;
    const char *at = handoff->cmdline;
    for (;;) {
        while (prologue_is_space(*at))
            ++at;
        if (*at == 0)
            return found;
        const int quoted = *at == '"';
        const char *const word = at += quoted;
        const char *equals = (const char *)0;
        int in_quotes = quoted;
        for (; *at != 0 && (in_quotes || !prologue_is_space(*at)); ++at) {
            if (*at == '=' && !equals && at != word)
                equals = at;
            in_quotes ^= *at == '"';
        }
        const char *end = at;
        if (!quoted && end - word == 2 && word[0] == '-' && word[1] == '-')
            return found;
        if (quoted && end != word && end[-1] == '"')
            --end;
        const char *const name_end = equals ? equals : end;
        const char *name = word, *wanted = key;
        while (name != name_end && *wanted != 0 &&
               prologue_dash_to_underscore(*name) == prologue_dash_to_underscore(*wanted)) {
            ++name;
            ++wanted;
        }
        if (name != name_end || *wanted != 0)
            continue;
        found = equals ? equals + 1 : end;
        if (equals && found != end && *found == '"') {
            ++found;
            end -= end != found && end[-1] == '"';
        }
        *value_bytes = (uint64_t)(end - found);
    }
}

/* ---- The tables ---- */

/* A cursor over the handoff's spare pages, for tables. */
typedef struct prologue_spare_pages {
    uint64_t next; /* physical */
    uint64_t end;
} prologue_spare_pages;

PROLOGUE_HELPER_ prologue_spare_pages prologue_spare(const prologue_handoff *handoff) {
    const prologue_spare_pages pages = {handoff->spare_start, handoff->spare_end};
    return pages;
}

/* Maps the page at `virt` to `phys` in the tables that Prologue made, with the
 * given bits of an entry (present among them), taking spare pages for tables.
 * 0 where a large page lies there already or no page is left, else 1. An entry
 * that was there is written over, and not flushed from the TLB. */
PROLOGUE_HELPER_ int prologue_map_page(const prologue_handoff *handoff, prologue_spare_pages *spare,
                                       uint64_t virt, uint64_t phys, uint64_t bits) {
    uint64_t table = handoff->page_tables_phys;
    for (unsigned level = handoff->paging_levels;; --level) {
        uint64_t *const entry = (uint64_t *)prologue_seen(handoff, table) +
                                (virt >> (3 + 9 * level)) % 512;
        if (level == 1) {
            *entry = phys | bits;
            return 1;
        }
        if (*entry == 0) {
            if (spare->next == spare->end)
                return 0;
            *entry = spare->next | 3; /* present, writable: the last level decides */
            spare->next += 4096;
        } else if ((*entry & 0x80) != 0) {
            return 0;
        }
        table = *entry & 0x000ffffffffff000;
    }
}

PROLOGUE_HELPER_ void prologue_load_cr3(uint64_t cr3) {
    __asm__ volatile("movq %0, %%cr3" : : "r"(cr3) : "memory");
}

/* Takes the identity map away, and with it whatever else is below the first
 * top-level entry's end (512 GiB, or 256 TiB with five levels). 0 where it must
 * stay: where the image itself is there, or the direct map or nothing else is. */
PROLOGUE_HELPER_ int prologue_leave_identity_map(const prologue_handoff *handoff) {
    const unsigned shift = 3 + 9 * handoff->paging_levels;
    if ((handoff->load_base + handoff->kernel_offset) >> shift == 0 ||
        handoff->direct_map >> shift == 0) /* as it is where there is none */
        return 0;
    *(volatile uint64_t *)prologue_seen(handoff, handoff->page_tables_phys) = 0;
    prologue_load_cr3(handoff->page_tables_phys);
    return 1;
}

/* ---- The descriptor tables ---- */

/* Loads a GDT of `bytes` bytes, and from it CS, the data segments and, where it
 * is not 0, TR. FS and GS keep no base of their own. */
PROLOGUE_HELPER_ void prologue_load_gdt(const void *gdt, uint16_t bytes, uint16_t code,
                                        uint16_t data, uint16_t tss) {
    const struct {
        uint16_t limit;
        uint16_t base[4]; /* as the LGDT instruction wants it: unaligned */
    } pointer = {
        (uint16_t)(bytes - 1),
        {(uint16_t)(uintptr_t)gdt, (uint16_t)((uintptr_t)gdt >> 16),
         (uint16_t)((uintptr_t)gdt >> 32), (uint16_t)((uintptr_t)gdt >> 48)},
    };
    uint64_t scratch;
    __asm__ volatile(
        "lgdt %[pointer]\n\t"
        "pushq %[code]\n\t"
        "leaq 1f(%%rip), %[scratch]\n\t"
        "pushq %[scratch]\n\t"
        "lretq\n"
        "1:\tmovl %[data], %%ds\n\t"
        "movl %[data], %%es\n\t"
        "movl %[data], %%ss\n\t"
        "movl %[data], %%fs\n\t"
        "movl %[data], %%gs"
        : [scratch] "=&r"(scratch)
        : [pointer] "m"(pointer), [code] "r"((uint64_t)code), [data] "r"((uint32_t)data)
        : "memory");
    if (tss != 0)
        __asm__ volatile("ltr %0" : : "r"(tss) : "memory");
}

/* Loads an IDT of `bytes` bytes. From here on exceptions are the kernel's. Its gates name a code
 * selector of the GDT that is loaded: prologue_load_descriptors does both. */
PROLOGUE_HELPER_ void prologue_load_idt(const void *idt, uint16_t bytes) {
    const struct {
        uint16_t limit;
        uint16_t base[4];
    } pointer = {
        (uint16_t)(bytes - 1),
        {(uint16_t)(uintptr_t)idt, (uint16_t)((uintptr_t)idt >> 16),
         (uint16_t)((uintptr_t)idt >> 32), (uint16_t)((uintptr_t)idt >> 48)},
    };
    __asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
}

/* Loads an IDT, then a GDT, whatever selectors the kernel has: 0 where `code` is none of the GDT's
 * first sixteen descriptors, and nothing is done, else 1. At each instruction an exception is
 * reported, by Prologue's gates or by the kernel's: on the way a GDT is loaded that has the code
 * segment of both. */
PROLOGUE_HELPER_ int prologue_load_descriptors(const void *idt, uint16_t idt_bytes, const void *gdt,
                                               uint16_t gdt_bytes, uint16_t code, uint16_t data,
                                               uint16_t tss) {
    volatile uint64_t both[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const struct {
        uint16_t limit;
        uint16_t base[4];
    } pointer = {
        (uint16_t)(sizeof both - 1),
        {(uint16_t)(uintptr_t)both, (uint16_t)((uintptr_t)both >> 16),
         (uint16_t)((uintptr_t)both >> 32), (uint16_t)((uintptr_t)both >> 48)},
    };
    if (code / 8 == 0 || code / 8 >= 16 || (code | 7) >= gdt_bytes)
        return 0;
    both[PROLOGUE_SELECTOR_CODE64 / 8] = 0x00af9b000000ffff;
    both[code / 8] = ((const uint64_t *)gdt)[code / 8];
    __asm__ volatile("lgdt %0" : : "m"(pointer) : "memory");
    prologue_load_idt(idt, idt_bytes);
    prologue_load_gdt(gdt, gdt_bytes, code, data, tss);
    return 1;
}

/* Where GS-relative addresses begin, for data of this processor's own; of the others by gs_base in
 * prologue/cpus.h. */
PROLOGUE_HELPER_ void prologue_load_gs_base(const void *base) {
    const uint64_t value = (uintptr_t)base;
    __asm__ volatile("wrmsr"
                     :
                     : "c"(0xc0000101), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

#endif
