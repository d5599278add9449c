/* What the public headers come to in each language that may include them. */
#ifndef HANDOFF_FACTS_H
#define HANDOFF_FACTS_H

#include "prologue/handoff.h"
#include "prologue/wishes.h"

/* All fields of all structures: X(structure, field). */
#define HANDOFF_FIELDS(X)                                                                          \
    X(prologue_range, start)                                                                       \
    X(prologue_range, end)                                                                         \
    X(prologue_range, type)                                                                        \
    X(prologue_range, flags)                                                                       \
    X(prologue_module, start)                                                                      \
    X(prologue_module, bytes)                                                                      \
    X(prologue_module, cmdline)                                                                    \
    X(prologue_module, cmdline_bytes)                                                              \
    X(prologue_framebuffer, phys)                                                                  \
    X(prologue_framebuffer, pitch)                                                                 \
    X(prologue_framebuffer, width)                                                                 \
    X(prologue_framebuffer, height)                                                                \
    X(prologue_framebuffer, bits_per_pixel)                                                        \
    X(prologue_framebuffer, kind)                                                                  \
    X(prologue_framebuffer, red_shift)                                                             \
    X(prologue_framebuffer, red_bits)                                                              \
    X(prologue_framebuffer, green_shift)                                                           \
    X(prologue_framebuffer, green_bits)                                                            \
    X(prologue_framebuffer, blue_shift)                                                            \
    X(prologue_framebuffer, blue_bits)                                                             \
    X(prologue_sev, status)                                                                        \
    X(prologue_sev, c_bit_mask)                                                                    \
    X(prologue_sev, ghcb_phys)                                                                     \
    X(prologue_sev, ghcb_virtual)                                                                  \
    X(prologue_sev, cpuid_page_phys)                                                               \
    X(prologue_sev, secrets_page_phys)                                                             \
    X(prologue_sev, accepted_end)                                                                  \
    X(prologue_console, device)                                                                    \
    X(prologue_console, speed)                                                                     \
    X(prologue_console, address)                                                                   \
    X(prologue_console, frequency)                                                                 \
    X(prologue_console, flags)                                                                     \
    X(prologue_console, register_width)                                                            \
    X(prologue_console, register_shift)                                                            \
    X(prologue_boot, howto)                                                                        \
    X(prologue_boot, device)                                                                       \
    X(prologue_boot, console)                                                                      \
    X(prologue_boot, mac)                                                                          \
    X(prologue_boot, mac_bytes)                                                                    \
    X(prologue_boot, reserved)                                                                     \
    X(prologue_boot, environment)                                                                  \
    X(prologue_boot, environment_bytes)                                                            \
    X(prologue_efi, system_table_phys)                                                             \
    X(prologue_efi, memory_map)                                                                    \
    X(prologue_efi, memory_map_bytes)                                                              \
    X(prologue_efi, descriptor_bytes)                                                              \
    X(prologue_efi, descriptor_version)                                                            \
    X(prologue_efi, bits)                                                                          \
    X(prologue_efi, boot_services)                                                                 \
    X(prologue_efi, image_handle)                                                                  \
    X(prologue_handoff, magic)                                                                     \
    X(prologue_handoff, version)                                                                   \
    X(prologue_handoff, size)                                                                      \
    X(prologue_handoff, loader)                                                                    \
    X(prologue_handoff, entry_mode)                                                                \
    X(prologue_handoff, loader_magic)                                                              \
    X(prologue_handoff, paging_levels)                                                             \
    X(prologue_handoff, loader_info_phys)                                                          \
    X(prologue_handoff, load_base)                                                                 \
    X(prologue_handoff, load_end)                                                                  \
    X(prologue_handoff, kernel_offset)                                                             \
    X(prologue_handoff, direct_map)                                                                \
    X(prologue_handoff, direct_map_bytes)                                                          \
    X(prologue_handoff, identity_bytes)                                                            \
    X(prologue_handoff, page_size)                                                                 \
    X(prologue_handoff, memory)                                                                    \
    X(prologue_handoff, memory_count)                                                              \
    X(prologue_handoff, cmdline)                                                                   \
    X(prologue_handoff, cmdline_bytes)                                                             \
    X(prologue_handoff, modules)                                                                   \
    X(prologue_handoff, module_count)                                                              \
    X(prologue_handoff, rsdp_phys)                                                                 \
    X(prologue_handoff, framebuffer)                                                               \
    X(prologue_handoff, page_tables_phys)                                                          \
    X(prologue_handoff, spare_start)                                                               \
    X(prologue_handoff, spare_end)                                                                 \
    X(prologue_handoff, stack_bottom)                                                              \
    X(prologue_handoff, stack_top)                                                                 \
    X(prologue_handoff, tsc)                                                                       \
    X(prologue_handoff, sev)                                                                       \
    X(prologue_handoff, boot)                                                                      \
    X(prologue_handoff, efi)                                                                       \
    X(prologue_handoff, smbios_phys)                                                               \
    X(prologue_handoff, left_out)                                                                  \
    X(prologue_handoff, reserved)

struct handoff_fact {
    const char* name;
    size_t offset;
    size_t field_bytes;
    size_t structure_bytes;
};

#define HANDOFF_FACT(structure, field)                                                             \
    {#structure "." #field, offsetof(structure, field), sizeof(((structure*)0)->field),            \
     sizeof(structure)},

#ifdef __cplusplus
extern "C" {
#endif
/* As C11 has it. */
extern const struct handoff_fact handoff_facts_in_c[];
extern const size_t handoff_facts_in_c_count;
/* As assembly has it; in the order of handoff_constants.S. */
extern const uint64_t handoff_constants_in_assembly[];
#ifdef __cplusplus
}
#endif

#endif
