// Multiboot 1's header, and the address fields by which QEMU and GRUB load the file
// without a look at its program headers.
// Sources: Multiboot Specification 0.6.96, section 3.1; QEMU hw/i386/multiboot.c;
// GRUB grub-core/loader/i386/multiboot_mbi.c.
#include "checks.h"

#include <algorithm>

#include <elf.h>

#include "ranges.h"

namespace check {
namespace {

using prologue::Span;

constexpr uint32_t kFlagsUnknownToGrub = 0xfff8;

// The load that the address fields describe.
class AddressedLoad {
public:
    AddressedLoad(const ElfFile& file, uint64_t offset, Loaders loaders, Findings& findings)
        : file_(file),
          offset_(offset),
          fields_(multiboot1_fields(file, offset)),
          loaders_(loaders),
          findings_(findings) {}

    void check() {
        if (!fields_agree())
            return;
        const uint64_t first = offset_ - (fields_.header_addr - fields_.load_addr);
        const uint64_t bytes = fields_.load_end_addr != 0
                                   ? fields_.load_end_addr - fields_.load_addr
                                   : file_.contents().size() - first;
        const uint64_t load_end = fields_.load_addr + bytes;
        if (!file_.at(first, bytes)) {
            add(Rule::multiboot1_file_short, sentence("0x%lx bytes from 0x%lx on, of 0x%zx", bytes,
                                                      first, file_.contents().size()));
            return;
        }
        if (is_laid_out_as_memory(first)) {
            check_data(load_end);
            check_bss(load_end);
        }
        check_entry();
    }

private:
    bool fields_agree() {
        const std::optional<uint64_t> place = file_.physical_of_file(offset_);
        const auto& [flags, header, load, load_end, bss_end, entry] = fields_;
        if (place && *place != header)
            add(Rule::multiboot1_addresses,
                sentence("header_addr is 0x%x; by the program headers, it is at 0x%lx", header,
                         *place));
        else if (header < load || header - load > offset_)
            add(Rule::multiboot1_addresses,
                sentence("load_addr is 0x%x, header_addr 0x%x, and the header is at 0x%lx in "
                         "the file",
                         load, header, offset_));
        else if ((load_end != 0 && load_end < load) ||
                 (bss_end != 0 && bss_end < std::max(load_end, load)))
            add(Rule::multiboot1_addresses,
                sentence("load_addr is 0x%x, load_end_addr 0x%x, bss_end_addr 0x%x", load, load_end,
                         bss_end));
        else
            return true;
        return false;
    }

    bool is_laid_out_as_memory(uint64_t first) {
        for (const Segment& segment : file_.loads) {
            if (segment.file_bytes == 0)
                continue;
            if (segment.phys < fields_.load_addr)
                add(Rule::multiboot1_addresses,
                    sentence("load_addr is 0x%x, segment %u at 0x%lx", fields_.load_addr,
                             segment.index, segment.phys));
            else if (segment.phys - fields_.load_addr != segment.offset - first)
                add(Rule::multiboot1_layout,
                    sentence("segment %u is at 0x%lx in the file; at 0x%lx is what would be "
                             "loaded to its 0x%lx",
                             segment.index, segment.offset,
                             first + (segment.phys - fields_.load_addr), segment.phys));
            else
                continue;
            return false;
        }
        return true;
    }

    void check_data(uint64_t load_end) {
        for (const Segment& segment : file_.loads)
            if (segment.file_bytes != 0 && segment.phys + segment.file_bytes > load_end) {
                add(Rule::multiboot1_lost_data,
                    sentence("segment %u has data up to 0x%lx, loaded is up to 0x%lx",
                             segment.index, segment.phys + segment.file_bytes, load_end));
                return;
            }
    }

    void check_bss(uint64_t load_end) {
        const uint64_t zero_end = fields_.bss_end_addr != 0 ? fields_.bss_end_addr : load_end;
        for (const Segment& segment : file_.loads) {
            if (segment.bytes == segment.file_bytes)
                continue;
            if (segment.phys_end() > zero_end) {
                add(Rule::multiboot1_bss_short,
                    sentence("segment %u ends at 0x%lx, what is zeroed at 0x%lx", segment.index,
                             segment.phys_end(), zero_end));
                return;
            }
            for (const Span& zeroed : zeroed_parts(segment)) {
                const uint64_t end = std::min(zeroed.end, load_end);
                if (zeroed.start >= end || is_zero(zeroed.start, end))
                    continue;
                add(Rule::multiboot1_layout,
                    sentence("0x%lx to 0x%lx is to be zero, and the file has other bytes there",
                             zeroed.start, end));
                return;
            }
        }
    }

    // What a segment has in memory alone: its sections like .bss, for what fills the
    // gap between .data and .bss is nobody's; or, without section headers, all of it.
    std::vector<Span> zeroed_parts(const Segment& segment) const {
        if (file_.sections.empty())
            return {{segment.phys + segment.file_bytes, segment.phys_end()}};
        std::vector<Span> parts;
        for (const Section& section : file_.sections)
            if (section.in_memory && section.type == SHT_NOBITS && !section.thread_local_ &&
                section.virt >= segment.virt && section.virt < segment.virt_end()) {
                const uint64_t start = section.virt - segment.virt + segment.phys;
                const uint64_t most = segment.phys_end() - start;
                parts.push_back({start, start + std::min(section.bytes, most)});
            }
        return parts;
    }

    bool is_zero(uint64_t start, uint64_t end) const {
        const uint64_t distance = fields_.header_addr - offset_;
        const std::optional<Bytes> bytes = file_.at(start - distance, end - start);
        return bytes && std::all_of(bytes->begin(), bytes->end(), [](uint8_t b) { return b == 0; });
    }

    void check_entry() {
        const uint32_t entry = fields_.entry_addr;
        const std::optional<Segment> segment = file_.holding_physical(entry);
        const auto start = file_.symbol("prologue_start");
        const auto wanted = start ? file_.physical(*start) : std::nullopt;
        if (wanted && entry != *wanted)
            add(Rule::multiboot1_entry,
                sentence("entry_addr is 0x%x, prologue_start is at 0x%lx", entry, *wanted));
        else if (!segment || !segment->executable)
            add(Rule::multiboot1_entry,
                sentence("entry_addr, 0x%x, is in no executable segment", entry));
    }

    void add(Rule rule, std::string text) { findings_.add(rule, loaders_, std::move(text)); }

    const ElfFile& file_;
    uint64_t offset_;
    Multiboot1Header fields_;
    Loaders loaders_;
    Findings& findings_;
};

// Why a loader finds none.
void explain_absence(const Kernel& kernel, LoaderId loader, Findings& findings) {
    const HeaderPlaces& places = kernel.multiboot1;
    const Loaders loaders = set_of(loader);
    for (const uint64_t offset : places.valid)
        if (offset % kMultiboot1Alignment != 0 && offset < kMultiboot1Reach) {
            findings.add(Rule::multiboot1_misaligned, loaders,
                         sentence("it is at 0x%lx in the file", offset));
            return;
        }
    for (const uint64_t offset : places.unbalanced)
        if (kernel.carries(Contract::multiboot1) && offset < kMultiboot1Reach &&
            kernel.is_own_header(offset, "prologue_multiboot1")) {
            findings.add(Rule::multiboot1_checksum, loaders,
                         sentence("at 0x%lx in the file stand 0x%x, 0x%x, 0x%x", offset,
                                  kernel.file.word(offset), kernel.file.word(offset + 4),
                                  kernel.file.word(offset + 8)));
            return;
        }
    if (!places.valid.empty() && kernel.carries(Contract::multiboot1))
        findings.add(Rule::multiboot1_too_far, loaders,
                     sentence("it is at 0x%lx in the file", places.valid[0]));
    else
        findings.add(Rule::multiboot1_missing, loaders,
                     kernel.carries(Contract::multiboot1) ? "the kernel wishes for one"
                                                          : "the kernel wishes for none");
}

void check_header(const Kernel& kernel, uint64_t offset, LoaderId loader, Findings& findings) {
    const Multiboot1Header fields = multiboot1_fields(kernel.file, offset);
    const Loaders loaders = set_of(loader);
    if (!kernel.is_own_header(offset, "prologue_multiboot1"))
        return findings.add(Rule::multiboot1_foreign, loaders,
                            sentence("it is at 0x%lx in the file", offset));
    if (loader == grub_multiboot1 && (fields.flags & kFlagsUnknownToGrub) != 0)
        findings.add(Rule::multiboot1_flags, loaders, sentence("flags are 0x%x", fields.flags));
    if (fields.has_addresses())
        AddressedLoad(kernel.file, offset, loaders, findings).check();
    else if (loader == qemu_multiboot1)
        findings.add(Rule::multiboot1_no_addresses, loaders,
                     sentence("flags are 0x%x", fields.flags));
}

} // namespace

void check_multiboot1(const Kernel& kernel, Findings& findings) {
    for (const LoaderId loader : {qemu_multiboot1, grub_multiboot1})
        if (const auto offset = kernel.multiboot1_header(loader))
            check_header(kernel, *offset, loader, findings);
        else
            explain_absence(kernel, loader, findings);
    const unsigned candidates = kernel.multiboot1.candidates(kMultiboot1Reach, kMultiboot1Alignment,
                                                             kGrubHeaderBytes);
    if (candidates > 1)
        findings.add(Rule::multiboot1_duplicate, loaders_by(Contract::multiboot1),
                     sentence("there are %u; the first is at 0x%lx in the file", candidates,
                              *kernel.multiboot1_header(grub_multiboot1)));
}

} // namespace check
