// Every rule that a kernel can break: its id (with dashes for underscores), how
// grave that is, what it means, and how to mend it. The table of
// docs/prologue-check.md is made of these words.
#pragma once

// A row an entry.
// clang-format off
#define CHECK_RULES(X)                                                                             \
    /* ---- The ELF file ---- */                                                                   \
    X(elf_class, error, "The file is not an ELF64: Prologue reads its own program headers, and "   \
      "knows only those.",                                                                         \
      "Link for x86-64, and do not convert the result with objcopy.")                              \
    X(elf_endianness, error, "The ELF header says big-endian.",                                    \
      "Link for x86-64.")                                                                          \
    X(elf_machine, error, "The ELF header names another machine than x86-64.",                     \
      "Link for x86-64.")                                                                          \
    X(elf_type, error, "The file is neither an executable nor a shared object: an object file "    \
      "(`ld -r`), perhaps.",                                                                       \
      "Link it, without `-r`.")                                                                    \
    X(program_headers_broken, error, "The program headers are not all in the file, or have "       \
      "another size than 56 bytes.",                                                               \
      "The file was cut off, or changed after the link: copy or link it again.")                   \
    X(sections_outside_file, error, "The section headers, or a section that GRUB loads for "       \
      "debuggers, go on behind the file's end.",                                                   \
      "The file was cut off: copy it again, or strip it with a tool that knows ELF.")              \
    X(relocation_sections, error, "The file has sections of relocations. GRUB loads no such file " \
      "by Multiboot 2, and nobody else applies them.",                                             \
      "Link with `-static`, without `-pie`, `-q` and `--emit-relocs`; or remove the sections, "    \
      "if the kernel does not need them.")                                                         \
    X(no_segments, error, "No program header is of type PT_LOAD: nothing would be loaded.",        \
      "Link with a script that has segments, such as prologue.ld.")                                \
    X(segment_outside_file, error, "A segment's bytes go on behind the file's end.",               \
      "The file was cut off: copy or link it again.")                                              \
    X(segment_sizes, error, "A segment has more bytes in the file than in memory.",                \
      "Something changed the program headers after the link: link again.")                         \
                                                                                                   \
    /* ---- The image, as Prologue reads it at boot ---- */                                        \
    X(prologue_missing, error, "No part of Prologue is in the image.",                             \
      "Link libprologue.a, and let `ENTRY(prologue_start)` or `-u prologue_start` pull it in.")    \
    X(part_missing, error, "A part that the image needs (a contract's parser, or what grants "     \
      "wishes for mappings) is not between `__start_prologue_parts` and "                          \
      "`__stop_prologue_parts`.",                                                                  \
      "Keep the section `prologue_parts` in one piece: INCLUDE prologue-parts.ld.")                \
    X(headers_not_loaded, error, "The first PT_LOAD does not begin with the ELF header and the "   \
      "program headers, on a page's edge.",                                                        \
      "Give the first segment `FILEHDR PHDRS` in the script's PHDRS, and begin it at a page "      \
      "plus SIZEOF_HEADERS.")                                                                      \
    X(program_headers_far, error, "The program headers are too far behind the ELF header.",        \
      "Do not let tools move the program headers (patchelf does): link again.")                    \
    X(program_headers_too_many, error, "There are more program headers than Prologue reads, 64.",  \
      "Name the segments in the script's PHDRS.")                                                  \
    X(segments_too_many, error, "There are more PT_LOADs than Prologue maps, 16.",                 \
      "Name fewer segments in the script's PHDRS, one for each set of rights.")                    \
    X(segment_unaligned, error, "A segment's virtual and physical address differ within a page.",  \
      "Make AT(...) the virtual address minus a multiple of 4096.")                                \
    X(segment_wraps, error, "A segment goes on behind the last address.",                          \
      "Link it lower.")                                                                            \
    X(segment_distance, error, "A segment's distance from virtual to physical address is not the " \
      "first segment's.",                                                                          \
      "Use one constant in every AT(ADDR(...) - ...).")                                            \
    X(segments_overlap_virtual, error, "Two segments overlap in virtual addresses.",               \
      "Let each segment begin behind the one before it: `. = ALIGN(4096)`.")                       \
    X(segments_overlap_physical, error, "Two segments overlap in physical memory.",                \
      "Use one constant in every AT(ADDR(...) - ...).")                                            \
    X(segments_out_of_order, error, "A segment lies before the one that precedes it in the "       \
      "program headers.",                                                                          \
      "Sort the sections by address in the script.")                                               \
    X(segments_share_page, error, "Two segments share a page, which can have one set of rights "   \
      "only.",                                                                                     \
      "Begin each segment on a page of its own: `. = ALIGN(4096)`; a section that the script does " \
      "not name lies behind any other: name it.")                                                  \
    X(writable_executable, error, "A segment is writable and executable.",                         \
      "Split it, with FLAGS(5) and FLAGS(6) in the script's PHDRS; or wish for "                   \
      "`PROLOGUE_WISH_WRITABLE_TEXT`.")                                                            \
    X(section_not_executable, error, "A section of code is in a segment that may not be executed: the script's PHDRS"\
      " says so.",                                                                                 \
      "Give that segment FLAGS(5); FLAGS(0) gives no right at all.")                               \
    X(section_not_writable, error, "A writable section is in a segment that may not be written to: the script's "\
      "PHDRS says so.",                                                                            \
      "Give that segment FLAGS(6), or put the section into one that has it.")                      \
    X(image_not_canonical, error, "The image is linked where no address exists with so many "      \
      "levels of paging.",                                                                         \
      "Link it elsewhere, or wish for five levels.")                                               \
    X(image_in_direct_map, error, "The image is linked where the direct map will be.",             \
      "Link it elsewhere, or move the map with `PROLOGUE_WISH_DIRECT_MAP`.")                       \
    X(page_zero, error, "The image wants physical page 0, which is the BIOS's.",                   \
      "Load it at 1 MiB or above.")                                                                \
    X(low_memory, warning, "The image wants memory below 1 MiB, where firmware and loaders keep "  \
      "their own.",                                                                                \
      "Load it at 1 MiB or above.")                                                                \
    X(low_memory_of_firmware, error, "The image wants memory below 1 MiB. By PVH, QEMU loads "     \
      "it before its firmware runs, and it does not outlast that.",                                \
      "Load it at 1 MiB or above.")                                                                \
    X(isa_hole, error, "The image wants memory between 0x9f000 and 0x100000, where PCs have no "   \
      "RAM, or the BIOS's.",                                                                       \
      "Load it at 1 MiB or above.")                                                                \
    X(above_4g, error, "The image does not end below 4 GiB of physical memory.",                   \
      "Load it lower: AT(...) is the physical address.")                                           \
                                                                                                   \
    /* ---- The entry by e_entry ---- */                                                           \
    X(entry_outside, error, "e_entry is in no segment.",                                           \
      "Use `ENTRY(prologue_start)`.")                                                              \
    X(entry_not_executable, error, "e_entry is in a segment that is not executable.",              \
      "Use `ENTRY(prologue_start)`, and give the segment with .text FLAGS(5).")                    \
    X(entry_elsewhere, error, "e_entry is not prologue_start: the boot would begin past "         \
      "Prologue.",                                                                                 \
      "Use `ENTRY(prologue_start)`.")                                                              \
    X(entry_below_1m, error, "e_entry is below 1 MiB, which these loaders refuse, though they "    \
      "enter by the note.",                                                                        \
      "Link the kernel at 1 MiB or above.")                                                        \
    X(entry_changed_by_mask, error, "e_entry's low bits, which are all that is kept of it, are not "   \
      "the entry's physical address.",                                                             \
      "Let PROLOGUE_VIRTUAL be a multiple of 256 MiB (vmd) or 16 MiB (userboot), and load the "    \
      "image below that.")                                                                         \
    X(entry_not_physical, error, "e_entry is not the entry's physical address. kexec jumps there as it "\
      "stands: nothing of the kernel is executed, so it says no word.",                            \
      "Use the bzImage; or give kexec what prologue-elf32 makes of the kernel, for elf-x86_64 with "\
      "`--elf64`; or link with PROLOGUE_VIRTUAL=0.")                                               \
    X(contract_not_carried, error, "The kernel does not carry this loader's contract.",            \
      "Add vmd, freebsd, igvm or, for efi and kexec, linux to the names in `PROLOGUE_WISH_HEADERS`.")                               \
                                                                                                   \
    /* ---- PVH ---- */                                                                            \
    X(pvh_note_missing, error, "There is no PVH note (owner Xen, type 18) in what is loaded.",     \
      "Wish for `PROLOGUE_WISH_HEADERS(pvh, ...)`, and keep `.prologue.notes`: INCLUDE "           \
      "prologue-notes.ld, and do not strip notes.")                                                \
    X(pvh_note_no_segment, error, "The PVH note is in memory, but no PT_NOTE points to it.",       \
      "Give the section with prologue-notes.ld a PT_NOTE besides its PT_LOAD: `:rodata :notes`.")  \
    X(pvh_note_alignment, error, "The PT_NOTE with the PVH note is not aligned to 4, and QEMU "    \
      "counts with that: it reads another entry, or none.",                                        \
      "Give PVH's notes a PT_NOTE of their own; notes that are aligned to 8 belong into another.") \
    X(pvh_note_behind_other, error, "Other notes stand before the PVH note in its PT_NOTE, so "    \
      "that the loader loses its way, or takes one of them.",                                      \
      "Put nothing but prologue-notes.ld into that segment.")                                      \
    X(pvh_note_not_last, error, "Another PT_NOTE follows the one with the PVH note; these loaders "\
      "heed the last one only.",                                                                   \
      "Let the PT_NOTE with prologue-notes.ld be the last in the script's PHDRS.")                 \
    X(pvh_note_size, error, "The PVH note does not hold an address of 4 or 8 bytes.",              \
      "Use Prologue's note: INCLUDE prologue-notes.ld.")                                           \
    X(pvh_note_duplicate, error, "There are PVH notes with different entries, and loaders differ " \
      "in which they take.",                                                                       \
      "Take the old boot stub's note out.")                                                        \
    X(pvh_entry_outside, error, "The PVH note's entry is in no executable segment: it is a "       \
      "physical address.",                                                                         \
      "INCLUDE prologue-symbols.ld, with PROLOGUE_VIRTUAL as AT(...) has it.")                     \
    X(pvh_entry_elsewhere, error, "The PVH note's entry is not the physical address of "           \
      "prologue_pvh_start.",                                                                       \
      "INCLUDE prologue-symbols.ld, with PROLOGUE_VIRTUAL as AT(...) has it.")                     \
    X(multiboot1_preferred, error, "QEMU prefers the Multiboot 1 header that the file has too.",   \
      "Ask for qemu-multiboot1; or leave Multiboot 1 out.")                                        \
                                                                                                   \
    /* ---- Multiboot 1 ---- */                                                                    \
    X(multiboot1_missing, error, "There is no Multiboot 1 header in the file.",                    \
      "Wish for `PROLOGUE_WISH_HEADERS(multiboot1, ...)`, or link with `-u prologue_multiboot1`; " \
      "INCLUDE prologue-headers.ld in the first section.")                                         \
    X(multiboot1_foreign, error, "The Multiboot 1 header that loaders find is not Prologue's: they would not "\
      "enter by it.",                                                                              \
      "Take the old boot stub's header out of the link, or out of the first section.")             \
    X(multiboot1_misaligned, error, "The Multiboot 1 header is not aligned to 4 in the file.",     \
      "Let the output section be aligned to 8, in the file too.")                                  \
    X(multiboot1_too_far, error, "The Multiboot 1 header is not in the file's first 8 KiB.",       \
      "INCLUDE prologue-headers.ld in the first section, before .text.")                           \
    X(multiboot1_checksum, error, "The Multiboot 1 header's words do not add up to zero.",         \
      "Use Prologue's header; something has changed it.")                                          \
    X(multiboot1_flags, error, "The Multiboot 1 header demands features that GRUB does not know.", \
      "Take the old boot stub's header out, and use Prologue's.")                                  \
    X(multiboot1_no_addresses, error, "The Multiboot 1 header has no address fields; QEMU takes "  \
      "no ELF64 without them.",                                                                    \
      "Take the old boot stub's header out, and use Prologue's.")                                  \
    X(multiboot1_addresses, error, "The Multiboot 1 header's address fields contradict each "      \
      "other, or the program headers.",                                                            \
      "INCLUDE prologue-symbols.ld, with PROLOGUE_VIRTUAL and PROLOGUE_PHYSICAL as AT(...) has "   \
      "them.")                                                                                     \
    X(multiboot1_layout, error, "The file is not laid out as memory is, which Multiboot 1's "      \
      "address fields need.",                                                                      \
      "Link with `-z max-page-size=4096`, and let no section but .bss be without bytes in the "    \
      "file.")                                                                                     \
    X(multiboot1_lost_data, error, "Data lies behind what Multiboot 1 loads: it would read as "    \
      "zero.",                                                                                     \
      "Name such sections (.init_array, say) in the script, before prologue_data_end.")            \
    X(multiboot1_bss_short, error, "Zeroed memory lies behind what Multiboot 1 zeroes.",           \
      "Let prologue_image_end be the end of the last section in memory.")                          \
    X(multiboot1_file_short, error, "Multiboot 1 is to load more bytes than the file has.",        \
      "Do not strip bytes that are loaded; let prologue_data_end be in the file.")                 \
    X(multiboot1_entry, error, "The Multiboot 1 header's entry is not where Prologue begins.",     \
      "INCLUDE prologue-symbols.ld, with PROLOGUE_VIRTUAL as AT(...) has it.")                     \
    X(multiboot1_duplicate, warning, "There is more than one Multiboot 1 header: loaders take "    \
      "the first.",                                                                                \
      "Take the old boot stub's header out.")                                                      \
                                                                                                   \
    /* ---- Multiboot 2 ---- */                                                                    \
    X(multiboot2_missing, error, "There is no Multiboot 2 header in the file.",                    \
      "Wish for `PROLOGUE_WISH_HEADERS(multiboot2, ...)`, and INCLUDE prologue-headers.ld in the " \
      "first section.")                                                                            \
    X(multiboot2_foreign, error, "The Multiboot 2 header that loaders find is not Prologue's: they would not "\
      "enter by it.",                                                                              \
      "Take the old boot stub's header out of the link, or out of the first section.")             \
    X(multiboot2_misaligned, error, "The Multiboot 2 header is not aligned to 8 in the file.",     \
      "Let the output section be aligned to 8, in the file too.")                                  \
    X(multiboot2_too_far, error, "The Multiboot 2 header is not in the file's first 32 KiB.",      \
      "INCLUDE prologue-headers.ld in the first section, before .text.")                           \
    X(multiboot2_checksum, error, "The Multiboot 2 header's words do not add up to zero.",         \
      "Use Prologue's header; something has changed it.")                                          \
    X(multiboot2_architecture, error, "The Multiboot 2 header is for another architecture than "   \
      "i386's 32-bit mode.",                                                                       \
      "Use Prologue's header.")                                                                    \
    X(multiboot2_tags, error, "The Multiboot 2 header's tags do not make sense: one is too "       \
      "short, or goes on behind the header, or there is no end tag.",                              \
      "Use Prologue's header.")                                                                    \
    X(multiboot2_unknown_tag, error, "The Multiboot 2 header demands what GRUB does not know.",    \
      "Mark the tag as optional (flag 1), or take it out.")                                        \
    X(multiboot2_range, error, "The Multiboot 2 header lets the image be loaded where it does "    \
      "not run, or nowhere.",                                                                      \
      "INCLUDE prologue-symbols.ld; for an image that may be moved, wish for "                     \
      "`PROLOGUE_WISH_RELOCATABLE`.")                                                              \
    X(multiboot2_tag_on_efi, error, "The Multiboot 2 header has a relocation tag that lets the image lie at one "\
      "place alone: GRUB 2.06 on UEFI refuses it, if it is larger than its address "               \
      "less 1 MiB.",                                                                               \
      "Take the old boot stub's header out; Prologue's has that tag with "                         \
      "`PROLOGUE_WISH_RELOCATABLE` alone.")                                                        \
    X(multiboot2_duplicate, warning, "There is more than one Multiboot 2 header: GRUB takes the "  \
      "first.",                                                                                    \
      "Take the old boot stub's header out.")                                                      \
                                                                                                   \
    /* ---- Wishes ---- */                                                                         \
    X(wish_unknown, warning, "A note of Prologue's has a type that this prologue-check does not "  \
      "know.",                                                                                     \
      "Use the prologue-check of the Prologue that the kernel is linked with.")                    \
    X(wish_size, error, "A wish's note has too few or too many bytes.",                            \
      "Lay it out as docs/kernel-contract.md says.")                                               \
    X(wish_truncated, error, "A wish's note goes on behind the segment that holds it.",            \
      "Lay it out as docs/kernel-contract.md says, and keep the section whole.")                   \
    X(wish_duplicate, error, "A wish stands twice, and one of both is not heeded.",                \
      "State it once.")                                                                            \
    X(headers_unknown, error, "The wish for headers names none, or one that does not exist.",      \
      "Use `PROLOGUE_WISH_HEADERS(...)`.")                                                         \
    X(paging_unknown, error, "The wish for paging is none of best (0), 4 and 5.",                  \
      "Use `PROLOGUE_PAGING_BEST`, `_FOUR` or `_FIVE`.")                                           \
    X(stack_too_small, error, "The stack is smaller than 8 KiB, or not of whole pages.",           \
      "Wish for more: `PROLOGUE_WISH_STACK(0x4000)`.")                                             \
    X(stack_symbols, error, "prologue_stack_guard, prologue_stack_bottom and prologue_stack_top "  \
      "do not describe a stack in memory, with a page before it, as long as wished.",     \
      "Use `PROLOGUE_WISH_STACK`, or lay it out as docs/kernel-contract.md says.")                 \
    X(identity_map_impossible, error, "An identity map ends at whole pages, at 512 GiB or "        \
      "before, and begins at page 0 or 1.",                                                        \
      "Wish for `PROLOGUE_IDENTITY_4_GIB`, say.")                                                  \
    X(direct_map_no_room, error, "The direct map is at no address that exists, or has less than "  \
      "4 GiB up to the image or the end of addresses, or lies in the identity map.",               \
      "Wish for another address, or none; or link the kernel elsewhere.")                          \
    X(no_map_at_all, error, "With no direct map and next to no identity map, the kernel could "    \
      "not see the handoff.",                                                                      \
      "Keep one of both: an identity map of some MiB will do.")                                    \
    X(image_in_early_window, error, "The image is in top-level entry 1, where Prologue sees "      \
      "memory for the time being when the direct map is elsewhere.",                               \
      "Link it elsewhere, or do not wish for a direct map.")                                       \
    X(window_unaligned, error, "A window's addresses or length are not of whole pages, or it has " \
      "no length.",                                                                                \
      "Use multiples of 4096.")                                                                    \
    X(window_not_canonical, error, "A window is at addresses that do not exist with so many "      \
      "levels of paging.",                                                                         \
      "Use others.")                                                                               \
    X(window_physical, error, "A window shows physical addresses that no CPU has.",                \
      "Use ones below 2^52; the CPU at hand may have fewer.")                                      \
    X(window_rights, error, "A window's rights have bits that mean nothing.",                      \
      "Use a sum of `PROLOGUE_WINDOW_*`.")                                                         \
    X(window_writable_executable, error, "A window is writable and executable.",                   \
      "Wish for two windows; or wish for `PROLOGUE_WISH_WRITABLE_TEXT` besides.")                  \
    X(window_needs_identity_map, error, "A window lies in the first top-level entry, whose "       \
      "tables are shared with the direct map.",                                                    \
      "Wish for an identity map: it then has tables of its own.")                                  \
    X(window_overlap, error, "A window lies where the image, another window, or the image in one " \
      "of the maps of RAM is seen.",                                                               \
      "Use other virtual addresses.")                                                              \
                                                                                                   \
    /* ---- A PE image ---- */                                                                     \
    X(pe_cut, error, "A PE image's headers, or a section, go on behind the file's end.",           \
      "The file was cut off: copy it again, or make it again with prologue-bzimage.")              \
    X(pe_header, error, "The file begins as a PE image does, but its PE header is none.",          \
      "Make it again with prologue-bzimage; a DOS program is no kernel.")                          \
    X(pe_kind, error, "The PE image is for another machine, or is no UEFI application.",           \
      "Make it with prologue-bzimage.")                                                            \
    X(pe_alignment, error, "A PE image's sections are not aligned as its headers say, or not to "  \
      "pages, so that firmware cannot give each its rights.",                                      \
      "Make it with prologue-bzimage; tools that rewrite sections must keep to "                   \
      "SectionAlignment and FileAlignment.")                                                       \
    X(pe_headers_size, error, "SizeOfHeaders is less than the headers have, or more than the "     \
      "file.",                                                                                     \
      "Make it again with prologue-bzimage.")                                                      \
    X(pe_image_size, error, "SizeOfImage is less than the sections take: firmware would write "    \
      "behind what it has allocated.",                                                             \
      "Make it again with prologue-bzimage.")                                                      \
    X(pe_sections_overlap, error, "A PE image's sections overlap, or are out of order, in "        \
      "memory or in the file.",                                                                    \
      "Make it again with prologue-bzimage; tools that add sections add them at the end.")         \
    X(pe_writable_executable, error, "A section is writable and executable: strict firmware "      \
      "starts no such image.",                                                                     \
      "Make it with prologue-bzimage.")                                                            \
    X(pe_entry, error, "AddressOfEntryPoint is in no section that is executable.",                 \
      "Make it again with prologue-bzimage.")                                                      \
    X(pe_relocations, error, "The PE image says that it cannot be moved, or its relocations "      \
      "lie outside of it: firmware loads it anywhere.",                                            \
      "Make it again with prologue-bzimage, and do not strip it.")                                 \
    X(pe_certificates, error, "The signature lies outside of the file, or not at a multiple "      \
      "of 8.",                                                                                     \
      "Sign it again, with sbsign or pesign, after all else.")                                     \
    X(pe_nx_compat, warning, "The PE image does not say NX_COMPAT: strict firmware refuses it.",   \
      "Make it with prologue-bzimage.")                                                            \
    X(pe_sbat, warning, "There is no section .sbat: shim refuses the image.",                      \
      "Make it with prologue-bzimage.")                                                            \
    X(pe_stub, error, "What the stub in the PE image is told of the kernel makes no sense.",       \
      "Make it again with prologue-bzimage.")
