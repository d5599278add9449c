// Multiboot 2's header, as GRUB reads it.
// Sources: Multiboot2 Specification 2.0, section 3.1; GRUB
// grub-core/loader/multiboot_mbi2.c and multiboot_elfxx.c.
#include "checks.h"

#include <algorithm>

#include "ranges.h"

namespace check {
namespace {

constexpr uint32_t kPreferLowest = 1;

const Loaders kGrub = set_of(grub_multiboot2, grub_efi);

void explain_absence(const Kernel& kernel, Findings& findings) {
    const HeaderPlaces& places = kernel.multiboot2;
    for (const uint64_t offset : places.valid)
        if (offset % kMultiboot2Alignment != 0 && offset < kMultiboot2Reach) {
            findings.add(Rule::multiboot2_misaligned, kGrub,
                         sentence("it is at 0x%lx in the file", offset));
            return;
        }
    for (const uint64_t offset : places.unbalanced)
        if (kernel.carries(Contract::multiboot2) && offset < kMultiboot2Reach &&
            kernel.is_own_header(offset, "prologue_multiboot2")) {
            findings.add(Rule::multiboot2_checksum, kGrub,
                         sentence("at 0x%lx in the file stand 0x%x, 0x%x, 0x%x, 0x%x", offset,
                                  kernel.file.word(offset), kernel.file.word(offset + 4),
                                  kernel.file.word(offset + 8), kernel.file.word(offset + 12)));
            return;
        }
    if (!places.valid.empty() && kernel.carries(Contract::multiboot2))
        findings.add(Rule::multiboot2_too_far, kGrub,
                     sentence("it is at 0x%lx in the file", places.valid[0]));
    else
        findings.add(Rule::multiboot2_missing, kGrub,
                     kernel.carries(Contract::multiboot2) ? "the kernel wishes for one"
                                                          : "the kernel wishes for none");
}

// GRUB puts the image where the header lets it; where it is linked for, or anywhere
// if the kernel may be moved.
void check_range(const Kernel& kernel, const Multiboot2Header::Range& range, Findings& findings) {
    uint64_t start = ~uint64_t{0}, end = 0;
    for (const Segment& segment : kernel.file.loads) {
        start = std::min(start, segment.phys);
        end = std::max(end, segment.phys_end());
    }
    if (end > 4 * prologue::kGiB) // which is above_4g's
        return;
    const uint64_t bytes = end - start;
    const bool fits = bytes <= range.highest && range.lowest <= range.highest - bytes;
    const bool stays = range.lowest == start &&
                       (range.preference == kPreferLowest || range.highest - bytes == start) &&
                       (range.alignment == 0 || start % range.alignment == 0);
    // GRUB 2.06 on UEFI finds no room for an image that may not be moved and has more
    // bytes than lie between 1 MiB and its address.
    if (!kernel.wishes.relocatable && (start < prologue::kMiB || bytes > start - prologue::kMiB))
        findings.add(Rule::multiboot2_tag_on_efi, set_of(grub_efi),
                     sentence("the image has 0x%lx bytes at 0x%lx", bytes, start));
    const bool moves_by_pages = range.alignment % prologue::kPage == 0 && range.alignment != 0;
    if (!fits || (kernel.wishes.relocatable ? !moves_by_pages : !stays))
        findings.add(Rule::multiboot2_range, kGrub,
                     sentence("it allows 0x%x to 0x%x, aligned to 0x%x; the image has 0x%lx bytes "
                              "at 0x%lx, and is %s",
                              range.lowest, range.highest, range.alignment, bytes, start,
                              kernel.wishes.relocatable ? "relocatable" : "not relocatable"));
}

void check_entry_tag(const ElfFile& file, uint32_t entry, Findings& findings) {
    const std::optional<Segment> segment = file.holding_physical(entry);
    const auto start = file.symbol("prologue_start");
    const auto wanted = start ? file.physical(*start) : std::nullopt;
    if (!segment)
        findings.add(Rule::entry_outside, kGrub, sentence("the entry tag says 0x%x", entry));
    else if (wanted && entry != *wanted)
        findings.add(
            Rule::entry_elsewhere, kGrub,
            sentence("the entry tag says 0x%x, prologue_start is at 0x%lx", entry, *wanted));
}

} // namespace

void check_multiboot2(const Kernel& kernel, Findings& findings) {
    const std::optional<uint64_t> offset = kernel.multiboot2_header();
    if (!offset)
        return explain_absence(kernel, findings);
    if (!kernel.is_own_header(*offset, "prologue_multiboot2"))
        return findings.add(Rule::multiboot2_foreign, kGrub,
                            sentence("it is at 0x%lx in the file", *offset));
    if (const uint32_t architecture = kernel.file.word(*offset + 4); architecture != 0)
        findings.add(Rule::multiboot2_architecture, kGrub,
                     sentence("it is %u, not 0", architecture));
    const Multiboot2Header header = multiboot2_fields(kernel.file, *offset);
    if (!header.mistake.empty())
        return findings.add(Rule::multiboot2_tags, kGrub, header.mistake);
    if (header.has_address_tag && !header.entry)
        findings.add(Rule::multiboot2_tags, kGrub, "an address tag needs an entry tag");
    for (const std::string& what : header.unknown)
        findings.add(Rule::multiboot2_unknown_tag, kGrub, what);
    if (header.range)
        check_range(kernel, *header.range, findings);
    if (header.entry)
        check_entry_tag(kernel.file, *header.entry, findings);
    const unsigned candidates = kernel.multiboot2.candidates(kMultiboot2Reach, kMultiboot2Alignment,
                                                             kGrubHeaderBytes);
    if (candidates > 1)
        findings.add(
            Rule::multiboot2_duplicate, kGrub,
            sentence("there are %u; the first is at 0x%lx in the file", candidates, *offset));
}

} // namespace check
