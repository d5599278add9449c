// The image as boot/image.cpp reads it, at boot, from its own program headers; and
// where it lies in physical memory.
#include "checks.h"

#include <algorithm>

#include "contract_magic.h"
#include "image.h"

namespace check {
namespace {

using prologue::kGiB;
using prologue::kMiB;
using prologue::kPage;
using prologue::Span;

constexpr uint64_t kConventionalEnd = 0x9f000; // the EBDA, at its largest, begins here

uint64_t distance(const Segment& segment) {
    return segment.virt - segment.phys;
}

Span pages(uint64_t start, uint64_t end) {
    return {prologue::page_down(start), prologue::page_up(end)};
}
Span virtual_pages(const Segment& segment) {
    return pages(segment.virt, segment.virt_end());
}

Span virtual_bytes(const Segment& segment) {
    return {segment.virt, segment.virt_end()};
}
Span physical_bytes(const Segment& segment) {
    return {segment.phys, segment.phys_end()};
}

// A segment's number, and what the script put first and last into it.
std::string named(const ElfFile& file, const Segment& segment) {
    const Section *first = nullptr, *last = nullptr;
    for (const Section& section : file.sections) {
        if (!section.in_memory || section.thread_local_ || section.bytes == 0 ||
            section.virt < segment.virt || section.virt - segment.virt >= segment.bytes)
            continue;
        if (first == nullptr || section.virt < first->virt)
            first = &section;
        if (last == nullptr || section.virt >= last->virt)
            last = &section;
    }
    if (first == nullptr)
        return sentence("segment %u", segment.index);
    if (first == last)
        return sentence("segment %u (%s)", segment.index, first->name.c_str());
    return sentence("segment %u (%s to %s)", segment.index, first->name.c_str(),
                    last->name.c_str());
}

void check_headers(const ElfFile& file, Findings& findings) {
    const Segment& first = file.loads.front();
    const uint64_t end = file.program_headers + file.program_header_count * 56;
    if (first.offset != 0 || first.file_bytes < end || first.virt % kPage != 0)
        findings.add(Rule::headers_not_loaded, every_loader(),
                     sentence("%s begins at 0x%lx in the file and 0x%lx in memory, and has "
                              "0x%lx bytes; the headers are at 0 to 0x%lx",
                              named(file, first).c_str(), first.offset, first.virt,
                              first.file_bytes, end));
    if (file.program_headers > kPage - prologue::kMostHeaders * 56)
        findings.add(Rule::program_headers_far, every_loader(),
                     sentence("they are at 0x%lx; 0x%lx is the most", file.program_headers,
                              kPage - prologue::kMostHeaders * 56));
    if (file.program_header_count > prologue::kMostHeaders)
        findings.add(Rule::program_headers_too_many, every_loader(),
                     sentence("there are %lu", file.program_header_count));
    if (file.loads.size() > prologue::kMostSegments)
        findings.add(Rule::segments_too_many, every_loader(),
                     sentence("there are %zu", file.loads.size()));
}

bool check_extent(const ElfFile& file, const Segment& segment, Findings& findings) {
    if (segment.bytes - 1 > ~segment.virt)
        findings.add(Rule::segment_wraps, every_loader(),
                     sentence("%s has 0x%lx bytes at 0x%lx", named(file, segment).c_str(),
                              segment.bytes, segment.virt));
    else
        return true;
    return false;
}

// Rights are a page's: Prologue maps both as one where they have the same.
bool have_same_rights(const Segment& a, const Segment& b) {
    return a.writable == b.writable && a.executable == b.executable;
}

// Sections of constants that linkers call writable: they are, before a relocation or a
// start that a kernel does without.
bool is_constant(const Section& section) {
    for (const std::string_view name :
         {".init_array", ".fini_array", ".preinit_array", ".ctors", ".dtors", ".data.rel.ro",
          ".got", ".rodata", ".dynamic", ".eh_frame"})
        if (section.name.starts_with(name))
            return true;
    return false;
}

// Rights that sections need, and that FLAGS of the script's PHDRS takes from them.
void check_section_rights(const Kernel& kernel, Findings& findings) {
    if (kernel.wishes.writable_text)
        return;
    for (const Section& section : kernel.file.sections) {
        const auto segment = kernel.file.holding_virtual(section.virt);
        if (!section.in_memory || section.thread_local_ || section.bytes == 0 || !segment)
            continue;
        const std::string where = sentence(
            "%s, at 0x%lx, is in segment %u, which is %c%c%c", section.name.c_str(), section.virt,
            segment->index, segment->readable ? 'r' : '-', segment->writable ? 'w' : '-',
            segment->executable ? 'x' : '-');
        if (section.executable && !segment->executable)
            findings.add(Rule::section_not_executable, every_loader(), where);
        if (section.writable && !segment->writable && !is_constant(section))
            findings.add(Rule::section_not_writable, every_loader(), where);
    }
}

// A segment beside one that its header follows; false if they are in each other's way.
bool check_pair(const ElfFile& file, const Segment& earlier, const Segment& segment, bool merged,
                Findings& findings) {
    const std::string one = named(file, earlier), other = named(file, segment);
    if (virtual_bytes(segment).overlaps(virtual_bytes(earlier)))
        findings.add(Rule::segments_overlap_virtual, every_loader(),
                     sentence("%s, 0x%lx to 0x%lx, and %s, 0x%lx to 0x%lx", one.c_str(),
                              earlier.virt, earlier.virt_end(), other.c_str(), segment.virt,
                              segment.virt_end()));
    else if (physical_bytes(segment).overlaps(physical_bytes(earlier)))
        findings.add(Rule::segments_overlap_physical, every_loader(),
                     sentence("%s, 0x%lx to 0x%lx, and %s, 0x%lx to 0x%lx", one.c_str(),
                              earlier.phys, earlier.phys_end(), other.c_str(), segment.phys,
                              segment.phys_end()));
    else if (!merged && !have_same_rights(segment, earlier) &&
             virtual_pages(segment).overlaps(virtual_pages(earlier)))
        findings.add(Rule::segments_share_page, every_loader(),
                     sentence("%s begins at 0x%lx, %s ends at 0x%lx", other.c_str(), segment.virt,
                              one.c_str(), earlier.virt_end()));
    else
        return true;
    return false;
}

// Of one mapping by wish, only the beginning matters: it must be the first segment's.
bool check_order(const ElfFile& file, const Segment& before, const Segment& segment,
                 Findings& findings) {
    if (segment.virt >= before.virt)
        return true;
    findings.add(Rule::segments_out_of_order, every_loader(),
                 sentence("%s begins at 0x%lx, %s at 0x%lx", named(file, before).c_str(),
                          before.virt, named(file, segment).c_str(), segment.virt));
    return false;
}

void check_places(const Kernel& kernel, Findings& findings) {
    const std::vector<Segment>& loads = kernel.file.loads;
    const bool merged = kernel.wishes.writable_text;
    const Segment* before = nullptr;
    for (size_t i = 0; i != loads.size(); ++i) {
        const Segment& segment = loads[i];
        if (segment.bytes == 0) // passed over
            continue;
        bool good = check_extent(kernel.file, segment, findings);
        for (size_t j = 0; good && j != i; ++j)
            good = loads[j].bytes == 0 ||
                   check_pair(kernel.file, loads[j], segment, merged, findings);
        if (good && before != nullptr)
            good = check_order(kernel.file, *before, segment, findings);
        if (before == nullptr || !merged)
            before = &segment;
        if (good && distance(segment) % kPage != 0)
            findings.add(Rule::segment_unaligned, every_loader(),
                         sentence("%s is linked at 0x%lx, loaded at 0x%lx",
                                  named(kernel.file, segment).c_str(), segment.virt, segment.phys));
        else if (good && distance(segment) != distance(loads[0]))
            findings.add(Rule::segment_distance, every_loader(),
                         sentence("%s: 0x%lx - 0x%lx = 0x%lx, not 0x%lx",
                                  named(kernel.file, segment).c_str(), segment.virt, segment.phys,
                                  distance(segment), distance(loads[0])));
        if (!merged && segment.writable && segment.executable)
            findings.add(
                Rule::writable_executable, every_loader(),
                sentence("%s, at 0x%lx", named(kernel.file, segment).c_str(), segment.virt));
    }
}

// Can GRUB, by the Multiboot 2 header, put the image elsewhere?
bool multiboot2_moves(const Kernel& kernel) {
    const std::optional<uint64_t> offset = kernel.multiboot2_header();
    if (!offset || !kernel.wishes.relocatable)
        return false;
    const Multiboot2Header header = multiboot2_fields(kernel.file, *offset);
    return header.range && header.range->highest > header.range->lowest;
}

bool has_part(const ElfFile& file, Span parts, uint32_t magic) {
    for (uint64_t part = parts.start; part + 12 <= parts.end; part += 12)
        if (file.word(part) == magic)
            return true;
    return false;
}

} // namespace

void check_image(const Kernel& kernel, Findings& findings) {
    check_headers(kernel.file, findings);
    check_places(kernel, findings);
    check_section_rights(kernel, findings);
}

void check_addresses(const Kernel& kernel, unsigned levels, Findings& findings) {
    const Span direct_map = planned_direct_map(kernel, levels);
    for (const Segment& segment : kernel.file.loads) {
        const Span span = virtual_pages(segment);
        if (span.end <= span.start)
            continue;
        if (!prologue::is_canonical(span.start, levels) ||
            !prologue::is_canonical(span.end - 1, levels))
            findings.add(Rule::image_not_canonical, every_loader(),
                         sentence("%s is at 0x%lx, with %u levels",
                                  named(kernel.file, segment).c_str(), segment.virt, levels));
        else if (span.overlaps(direct_map))
            findings.add(Rule::image_in_direct_map, every_loader(),
                         sentence("%s is at 0x%lx; with %u levels, the direct map has "
                                  "0x%lx to 0x%lx",
                                  named(kernel.file, segment).c_str(), segment.virt, levels,
                                  direct_map.start, direct_map.end));
        else
            continue;
        return;
    }
}

void check_physical(const Kernel& kernel, Findings& findings) {
    Loaders loaders = every_loader();
    if (multiboot2_moves(kernel))
        loaders &= ~set_of(grub_multiboot2, grub_efi);
    // The worst alone: one mistake in a script moves all segments.
    for (const auto& [rule, place] : {
             std::pair{Rule::above_4g, Span{4 * kGiB, ~uint64_t{0}}},
             std::pair{Rule::page_zero, Span{0, kPage}},
             std::pair{Rule::isa_hole, Span{kConventionalEnd, kMiB}},
             std::pair{Rule::low_memory, Span{0, kMiB}},
         })
        for (const Segment& segment : kernel.file.loads)
            if (segment.bytes != 0 && physical_bytes(segment).overlaps(place)) {
                const std::string where = sentence("segment %u has 0x%lx to 0x%lx", segment.index,
                                                   segment.phys, segment.phys_end());
                if (rule == Rule::low_memory) {
                    findings.add(Rule::low_memory_of_firmware, set_of(qemu_pvh), where);
                    loaders.reset(qemu_pvh);
                }
                findings.add(rule, rule == Rule::above_4g ? every_loader() : loaders, where);
                return;
            }
}

void check_parts(const Kernel& kernel, Findings& findings) {
    const ElfFile& file = kernel.file;
    const auto start = file.symbol("__start_prologue_parts");
    const auto stop = file.symbol("__stop_prologue_parts");
    const auto offset = start ? file.offset_of(*start) : std::nullopt;
    if (!start || !stop) // stripped
        return;
    const Span parts = offset && *stop > *start ? Span{*offset, *offset + (*stop - *start)}
                                                : Span{};
    const auto require = [&](uint32_t magic, bool needed, Loaders loaders, const char* what) {
        if (needed && !has_part(file, parts, magic))
            findings.add(Rule::part_missing, loaders,
                         sentence("%s (0x%x) is not among those at 0x%lx to 0x%lx", what, magic,
                                  *start, *stop));
    };
    require(PVH_MAGIC, kernel.carries(Contract::pvh), loaders_by(Contract::pvh), "PVH's parser");
    require(MULTIBOOT1_MAGIC, kernel.carries(Contract::multiboot1),
            loaders_by(Contract::multiboot1), "Multiboot 1's parser");
    require(MULTIBOOT2_MAGIC, kernel.carries(Contract::multiboot2),
            loaders_by(Contract::multiboot2), "Multiboot 2's parser");
    require(VMD_MAGIC, kernel.carries(Contract::vmd), loaders_by(Contract::vmd), "vmd's parser");
    require(FREEBSD_MAGIC, kernel.carries(Contract::freebsd), loaders_by(Contract::freebsd),
            "FreeBSD's parser");
    require(LINUX_MAGIC, kernel.carries(Contract::efi), loaders_by(Contract::efi),
            "Linux's parser");
    require(IGVM_MAGIC, kernel.carries(Contract::igvm), loaders_by(Contract::igvm),
            "IGVM's parser");
    require(WISHED_MAPS_MAGIC, kernel.wishes.for_mappings(), every_loader(),
            "what grants wishes for mappings");
}

} // namespace check
