#include "image.h"

#include "elf.h"
#include "errors.h"

namespace prologue {
namespace {

constexpr uint32_t kElfMagic = 0x464c457f;

}  // namespace

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
        if (header->type != kElfLoad)
            continue;
        if (count_ == kMostSegments)
            fail(Error::image_header, phys);
        // The first segment holds the ELF header, so it says how far all moved.
        const uint64_t before = header->virt % kPage;
        if (count_ == 0) {
            moved_ = phys - header->phys + before;
            virtual_offset_ = header->virt - before - phys;
        }
        Segment& segment = segments_[count_++];
        segment = {
            .virt = header->virt - before,
            .phys = header->phys + moved_ - before,
            .bytes = page_up(before + header->bytes),
            .writable = (header->flags & kElfWritable) != 0,
            .executable = (header->flags & kElfExecutable) != 0,
        };
        if (segment.span().end > span_.end)
            span_.end = segment.span().end;
    }
    if (count_ == 0)
        fail(Error::image_header, phys);
}

void Image::check(Span direct_map, unsigned levels) const {
    uint64_t previous_end = 0;
    for (const Segment& segment : *this) {
        const auto index = static_cast<uint64_t>(&segment - begin());
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

}  // namespace prologue
