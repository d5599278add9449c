// PVH's note, read as each loader reads notes.
// Sources: QEMU include/hw/elf_ops.h and hw/i386/x86.c; Xen xen/common/libelf;
// rust-vmm's linux-loader, which Cloud Hypervisor and Firecracker use.
#include "checks.h"

#include <algorithm>
#include <cstring>

#include <elf.h>

namespace check {
namespace {

constexpr uint64_t kHead = 12; // bytes of name, of descriptor, type
constexpr char kXen[] = "Xen";

constexpr uint64_t round_up(uint64_t value, uint64_t alignment) {
    return (value + alignment - 1) / alignment * alignment;
}

bool is_xens(const ElfFile& file, uint64_t note) {
    const std::optional<Bytes> name = file.at(note + kHead, sizeof kXen);
    return name && std::memcmp(name->data(), kXen, sizeof kXen) == 0;
}

// From one note's head to the next one's.
uint64_t step(const ElfFile& file, uint64_t note, uint64_t alignment) {
    return kHead + round_up(file.word(note), alignment) + round_up(file.word(note + 4), alignment);
}

// Each of these gives the file offset of the note that the loader takes, or none;
// and of what it takes for the entry.
struct Taken {
    uint64_t note, entry_offset;
};

// QEMU heeds p_align and no owner. The last PT_NOTE that has such a note counts.
std::optional<Taken> taken_by_qemu(const ElfFile& file, std::optional<uint64_t> alignment = {}) {
    std::optional<Taken> taken;
    for (const Segment& segment : file.segments) {
        const uint64_t aligned = alignment.value_or(segment.alignment);
        if (segment.type != PT_NOTE || segment.file_bytes == 0)
            continue;
        if (aligned == 0 || aligned >> 32 != 0) // it divides by this, and gives up on that
            return std::nullopt;
        uint64_t note = segment.offset;
        while (file.at(note, kHead) && file.word(note + 8) != kPvhNote) {
            const uint64_t bytes = step(file, note, aligned);
            if (bytes > segment.file_bytes)
                break;
            note += bytes;
        }
        if (file.at(note, kHead) && file.word(note + 8) == kPvhNote)
            taken = {note, note + kHead + round_up(file.word(note), aligned)};
    }
    return taken;
}

// A walk by the book: owner Xen, everything aligned to 4. `last`: go on behind it.
std::optional<Taken> walk(const ElfFile& file, uint64_t offset, uint64_t bytes, bool last) {
    std::optional<Taken> taken;
    for (uint64_t done = 0; done < bytes && file.at(offset + done, kHead);) {
        const uint64_t note = offset + done;
        if (file.word(note + 8) == kPvhNote && file.word(note) == sizeof kXen &&
            is_xens(file, note)) {
            taken = {note, note + kHead + sizeof kXen};
            if (!last)
                return taken;
        }
        done += step(file, note, 4);
    }
    return taken;
}

// linux-loader takes a PT_NOTE's first, and of several PT_NOTEs heeds the last one
// alone, even if it has none.
std::optional<Taken> taken_by_linux_loader(const ElfFile& file) {
    std::optional<Taken> taken;
    for (const Segment& segment : file.segments)
        if (segment.type == PT_NOTE)
            taken = walk(file, segment.offset, segment.file_bytes, false);
    return taken;
}

// Xen takes the last of all PT_NOTEs, and SHT_NOTE sections in their absence.
std::optional<Taken> taken_by_xen(const ElfFile& file) {
    std::optional<Taken> taken;
    for (const Segment& segment : file.segments)
        if (segment.type == PT_NOTE && segment.offset != 0)
            if (const auto found = walk(file, segment.offset, segment.file_bytes, true))
                taken = found;
    const bool has_any = std::any_of(file.notes.begin(), file.notes.end(), [](const Note& note) {
        return note.owner == kXen && note.in_segment;
    });
    for (const Section& section : file.sections)
        if (!has_any && section.type == SHT_NOTE)
            if (const auto found = walk(file, section.offset, section.bytes, true))
                taken = found;
    return taken;
}

const Segment* note_segment_of(const ElfFile& file, const Note& note) {
    const auto found = std::find_if(
        file.segments.begin(), file.segments.end(), [&](const Segment& segment) {
            return segment.type == PT_NOTE && note.offset >= segment.offset &&
                   note.offset - segment.offset < segment.file_bytes;
        });
    return found == file.segments.end() ? nullptr : &*found;
}

// Which loaders find the note, and why others do not.
class Reading {
public:
    Reading(const ElfFile& file, const Note& note, Findings& findings)
        : file_(file),
          note_(note),
          segment_(note_segment_of(file, note)),
          findings_(findings) {}

    void check() {
        explain(set_of(qemu_pvh), taken_by_qemu(file_));
        explain(set_of(xen_pvh), taken_by_xen(file_));
        explain(set_of(cloud_hypervisor, firecracker), taken_by_linux_loader(file_));
        add(Rule::pvh_note_no_segment,
            [&] { return sentence("it is at 0x%lx in the file", note_.offset); });
        add(Rule::pvh_note_alignment, [&] {
            const auto taken = taken_by_qemu(file_);
            return sentence("p_align of segment %u is %lu: QEMU reads ", segment_->index,
                            segment_->alignment) +
                   (taken ? sentence("0x%x, not 0x%x", file_.word(taken->entry_offset),
                                     file_.word(note_.desc_offset))
                          : "none");
        });
        add(Rule::pvh_note_behind_other, [&] {
            return sentence("it is at 0x%lx in the file, segment %u begins at 0x%lx", note_.offset,
                            segment_->index, segment_->offset);
        });
        add(Rule::pvh_note_not_last,
            [&] { return sentence("the note is in segment %u", segment_->index); });
    }

private:
    void explain(Loaders loaders, std::optional<Taken> taken) {
        if (!taken || taken->note != note_.offset || taken->entry_offset != note_.desc_offset)
            causes_[static_cast<size_t>(cause(loaders))] |= loaders;
    }

    Rule cause(Loaders loaders) const {
        if (segment_ == nullptr)
            return Rule::pvh_note_no_segment;
        const auto reached = walk(file_, segment_->offset, segment_->file_bytes, true);
        if (loaders[qemu_pvh]) {
            const auto if_aligned = taken_by_qemu(file_, 4);
            if (segment_->alignment != 4 && if_aligned && if_aligned->note == note_.offset)
                return Rule::pvh_note_alignment;
        } else if (loaders[firecracker] && reached) {
            return Rule::pvh_note_not_last;
        }
        return Rule::pvh_note_behind_other;
    }

    template <class Function>
    void add(Rule rule, Function&& text) {
        const Loaders loaders = causes_[static_cast<size_t>(rule)];
        if (loaders.any())
            findings_.add(rule, loaders, text());
    }

    const ElfFile& file_;
    const Note& note_;
    const Segment* segment_;
    Findings& findings_;
    std::map<size_t, Loaders> causes_;
};

void check_entry_of(const ElfFile& file, const Note& note, Findings& findings) {
    const Loaders loaders = loaders_by(Contract::pvh);
    const uint32_t entry = file.word(note.desc_offset);
    const std::optional<Segment> segment = file.holding_physical(entry);
    const auto start = file.symbol("prologue_pvh_start");
    const auto wanted = start ? file.physical(*start) : std::nullopt;
    if (!segment || !segment->executable || entry - segment->phys >= segment->file_bytes)
        findings.add(Rule::pvh_entry_outside, loaders, sentence("the note says 0x%x", entry));
    else if (wanted && entry != *wanted)
        findings.add(
            Rule::pvh_entry_elsewhere, loaders,
            sentence("the note says 0x%x, prologue_pvh_start is at 0x%lx", entry, *wanted));
}

} // namespace

void check_pvh(const Kernel& kernel, Findings& findings) {
    const ElfFile& file = kernel.file;
    const Loaders loaders = loaders_by(Contract::pvh);
    if (const auto header = kernel.multiboot1_header(qemu_multiboot1))
        findings.add(Rule::multiboot1_preferred, set_of(qemu_pvh),
                     sentence("it is at 0x%lx in the file", *header));
    if (kernel.pvh_notes.empty()) {
        findings.add(Rule::pvh_note_missing, loaders,
                     kernel.carries(Contract::pvh) ? "the kernel wishes for one"
                                                   : "the kernel wishes for none");
        return;
    }
    const Note& note = kernel.pvh_notes[0];
    if (note.truncated || (note.desc_bytes != 4 && note.desc_bytes != 8)) {
        findings.add(
            Rule::pvh_note_size, loaders,
            sentence("the note at 0x%lx in the file has %lu bytes", note.offset, note.desc_bytes));
        return;
    }
    for (const Note& other : kernel.pvh_notes)
        if (file.word(other.desc_offset) != file.word(note.desc_offset)) {
            findings.add(Rule::pvh_note_duplicate, loaders,
                         sentence("the notes at 0x%lx and 0x%lx in the file say 0x%x and 0x%x",
                                  note.offset, other.offset, file.word(note.desc_offset),
                                  file.word(other.desc_offset)));
            return;
        }
    Reading(file, note, findings).check();
    check_entry_of(file, note, findings);
}

} // namespace check
