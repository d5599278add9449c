#include "image.h"

#include "errors.h"

namespace prologue {
namespace {

struct ElfHeader {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t header_bytes, program_header_bytes, program_header_count;
    uint16_t section_header_bytes, section_header_count, section_names;
};
static_assert(sizeof(ElfHeader) == 64);

struct ProgramHeader {
    uint32_t type, flags;
    uint64_t file_offset, virt, phys, file_bytes, bytes, alignment;
};
static_assert(sizeof(ProgramHeader) == 56);

constexpr uint32_t kElfMagic = 0x464c457f;
constexpr uint32_t kLoad = 1;
constexpr uint32_t kExecutable = 1, kWritable = 2;

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
        if (header->type != kLoad)
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
            .writable = (header->flags & kWritable) != 0,
            .executable = (header->flags & kExecutable) != 0,
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
