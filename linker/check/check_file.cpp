// The ELF file as such: class, machine, and that all is there.
#include "checks.h"

#include <elf.h>

#include "image.h"

namespace check {
namespace {

bool check_header(const ElfFile& file, Findings& findings) {
    if (file.encoding != ELFDATA2LSB)
        findings.add(Rule::elf_endianness, every_loader(),
                     sentence("e_ident[EI_DATA] is %u, not 1", file.encoding));
    else if (file.elf_class != ELFCLASS64)
        findings.add(Rule::elf_class, every_loader(),
                     sentence("e_ident[EI_CLASS] is %u, not 2", file.elf_class));
    else if (file.machine != EM_X86_64)
        findings.add(Rule::elf_machine, every_loader(),
                     sentence("e_machine is %u, not 62", file.machine));
    else
        return true;
    return false;
}

bool check_program_headers(const ElfFile& file, Findings& findings) {
    if (file.program_header_count != 0 &&
        (file.program_header_bytes != sizeof(Elf64_Phdr) ||
         !file.at(file.program_headers, file.program_header_count * sizeof(Elf64_Phdr)))) {
        findings.add(Rule::program_headers_broken, every_loader(),
                     sentence("%lu headers of %u bytes at 0x%lx, in a file of 0x%zx",
                              file.program_header_count, file.program_header_bytes,
                              file.program_headers, file.contents().size()));
        return false;
    }
    if (file.loads.empty()) {
        findings.add(
            Rule::no_segments, every_loader(),
            sentence("none of %lu program headers is a PT_LOAD", file.program_header_count));
        return false;
    }
    return true;
}

bool check_segments(const ElfFile& file, Findings& findings) {
    bool good = true;
    for (const Segment& segment : file.loads) {
        if (!file.at(segment.offset, segment.file_bytes))
            findings.add(Rule::segment_outside_file, every_loader(),
                         sentence("segment %u has 0x%lx bytes at 0x%lx, in a file of 0x%zx",
                                  segment.index, segment.file_bytes, segment.offset,
                                  file.contents().size()));
        else if (segment.file_bytes > segment.bytes)
            findings.add(Rule::segment_sizes, every_loader(),
                         sentence("segment %u has 0x%lx bytes in the file, 0x%lx in memory",
                                  segment.index, segment.file_bytes, segment.bytes));
        else
            continue;
        good = false;
    }
    return good;
}

// GRUB reads all sections by Multiboot 2, Xen their headers.
void check_sections(const ElfFile& file, Findings& findings) {
    if (file.section_headers_outside) {
        findings.add(Rule::sections_outside_file, set_of(grub_multiboot2, grub_efi, xen_pvh),
                     sentence("the section headers do not end before 0x%zx, where the file does",
                              file.contents().size()));
        return;
    }
    for (const Section& section : file.sections)
        if (section.type != SHT_NOBITS && section.type != SHT_NULL &&
            !file.at(section.offset, section.bytes)) {
            findings.add(Rule::sections_outside_file, set_of(grub_multiboot2, grub_efi),
                         sentence("section %s has 0x%lx bytes at 0x%lx, in a file of 0x%zx",
                                  section.name.c_str(), section.bytes, section.offset,
                                  file.contents().size()));
            return;
        }
    for (const Section& section : file.sections)
        if (section.type == SHT_REL || section.type == SHT_RELA) {
            findings.add(Rule::relocation_sections, set_of(grub_multiboot2, grub_efi),
                         sentence("section %s holds 0x%lx bytes of them", section.name.c_str(),
                                  section.bytes));
            return;
        }
}

} // namespace

bool check_file(const Kernel& kernel, Findings& findings) {
    const ElfFile& file = kernel.file;
    if (!check_header(file, findings))
        return false;
    if (file.type != ET_EXEC && file.type != ET_DYN)
        findings.add(Rule::elf_type, set_of(grub_multiboot2, grub_efi),
                     sentence("e_type is %u; GRUB takes 2 and 3", file.type));
    if (!check_program_headers(file, findings) || !check_segments(file, findings))
        return false;
    check_sections(file, findings);
    return true;
}

} // namespace check
