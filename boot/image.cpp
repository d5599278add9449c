#include "image.h"

#include "elf.h"
#include "errors.h"

namespace prologue {
namespace {

constexpr uint32_t kElfMagic = 0x464c457f;

// Linkers begin a segment in the page where another of the same rights ends: lld
// does behind what is read-only after relocation. Both are one mapping.
bool joins(const Segment& segment, const Segment& before) {
    return segment.virt == before.virt + before.bytes - kPage &&
           segment.phys == before.phys + before.bytes - kPage &&
           segment.writable == before.writable && segment.executable == before.executable;
}

} // namespace

Image::Image(uint64_t window, uint64_t phys) {
    const auto* elf = reinterpret_cast<const ElfHeader*>(static_cast<uintptr_t>(window + phys));
    const unsigned headers = elf->program_header_count;
    if (*reinterpret_cast<const uint32_t*>(elf->ident) != kElfMagic ||
        elf->program_header_bytes != sizeof(ProgramHeader) || headers > kMostHeaders ||
        elf->program_headers > kPage - kMostHeaders * sizeof(ProgramHeader))
        fail(Error::image_header, phys);

    const auto* header = reinterpret_cast<const ProgramHeader*>(
        static_cast<uintptr_t>(window + phys + elf->program_headers));
    span_ = {phys, phys};
    for (unsigned left = headers; left != 0; --left, ++header) {
        // One without memory is a section that this configuration of the kernel lacks.
        if (header->type != kElfLoad || header->bytes == 0)
            continue;
        if (count_ == kMostSegments)
            fail(Error::image_header, phys);
        // The first segment holds the ELF header, so it says how far all moved.
        const uint64_t before = header->virt % kPage;
        if (count_ == 0) {
            moved_ = phys - header->phys + before;
            virtual_offset_ = offset_from_now_ = header->virt - before - phys;
        }
        Segment& segment = segments_[count_++];
        segment = {
            .virt = header->virt - before,
            .phys = header->phys + moved_ - before,
            .bytes = page_up(before + header->bytes),
            .writable = (header->flags & kElfWritable) != 0,
            .executable = (header->flags & kElfExecutable) != 0,
            .index = static_cast<uint8_t>(headers - left),
            .before = static_cast<uint16_t>(before),
            .behind = static_cast<uint16_t>(-(before + header->bytes) % kPage),
        };
        if (segment.span().end > span_.end)
            span_.end = segment.span().end;
        if (before != 0 && count_ != 1 && joins(segment, (&segment)[-1])) {
            (&segment)[-1].bytes += segment.bytes - kPage;
            (&segment)[-1].behind = segment.behind;
            --count_;
        }
    }
    if (count_ == 0)
        fail(Error::image_header, phys);
}

[[gnu::noinline]] bool Image::lies_on(Span span) const {
    for (const Segment& segment : *this)
        if (segment.own_span().overlaps(span))
            return true;
    return false;
}

void Image::check_rights(uint64_t code, uint64_t stack) const {
    for (const Segment& segment : *this) {
        if (code - segment.virt < segment.bytes && !segment.executable)
            fail(Error::image_code, segment.index, segment.virt);
        if (stack - segment.virt < segment.bytes && !segment.writable)
            fail(Error::image_stack, segment.index, segment.virt);
    }
}

void Image::check(Span direct_map, unsigned levels) const {
    uint64_t previous_end = 0;
    for (const Segment& segment : *this) {
        const uint64_t index = segment.index;
        const Span virt = {segment.virt, segment.virt + segment.bytes};
        if (segment.phys % kPage != 0 || virt.end - 1 < virt.start)
            fail(Error::image_segment, index, virt.start, segment.bytes);
        if (segment.virt - segment.phys != virtual_offset_)
            fail(Error::image_offset, index, virt.start, segment.phys);
        if (segment.writable && segment.executable)
            fail(Error::image_writable_text, index, virt.start);
        if (virt.start < previous_end)
            fail(Error::image_order, index, virt.start, previous_end);
        if (!is_canonical(virt.start, levels) || !is_canonical(virt.end - 1, levels))
            fail(Error::image_not_canonical, index, virt.start, levels);
        if (virt.overlaps(direct_map))
            fail(Error::image_in_window, index, virt.start);
        previous_end = virt.end;
    }
}

} // namespace prologue
