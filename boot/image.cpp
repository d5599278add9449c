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

constexpr uint32_t kElfMagic = 0x464c457f;

}  // namespace

Image::Image(uint64_t window, uint64_t phys) {
    const auto* elf = reinterpret_cast<const ElfHeader*>(static_cast<uintptr_t>(window + phys));
    headers_ = reinterpret_cast<const ProgramHeader*>(
        static_cast<uintptr_t>(window + phys + elf->program_headers));
    header_count_ = elf->program_header_count;
    if (*reinterpret_cast<const uint32_t*>(elf->ident) != kElfMagic ||
        elf->program_header_bytes != sizeof(ProgramHeader) || elf->program_headers > kPage)
        fail(Error::image_header, phys);

    // The first segment holds the ELF header, so it says how far all moved.
    const ProgramHeader* first = headers_;
    for (unsigned left = header_count_; left != 0 && first->type != kLoad; --left)
        ++first;
    moved_ = phys - page_down(first->phys);
    virtual_offset_ = page_down(first->virt) - phys;
    span_ = {phys, phys};
    for_each_segment([this](const Segment& segment) {
        if (segment.phys < span_.start)
            span_.start = segment.phys;
        if (segment.phys + segment.bytes > span_.end)
            span_.end = segment.phys + segment.bytes;
    });
}

Segment Image::segment(unsigned index) const {
    const ProgramHeader& header = headers_[index];
    const uint64_t before = header.virt % kPage;
    return {
        .virt = header.virt - before,
        .phys = header.phys + moved_ - before,
        .bytes = page_up(before + header.bytes),
        .writable = (header.flags & kWritable) != 0,
        .executable = (header.flags & kExecutable) != 0,
    };
}

void Image::check(Span direct_map) const {
    uint64_t previous_end = 0;
    unsigned index = 0;
    for_each_segment([&](const Segment& segment) {
        if (segment.phys % kPage != 0 || segment.virt + segment.bytes - 1 < segment.virt)
            fail(Error::image_segment, index, segment.virt, segment.bytes);
        if (segment.virt - segment.phys != virtual_offset_)
            fail(Error::image_offset, index, segment.virt, segment.phys);
        if (segment.writable && segment.executable)
            fail(Error::image_writable_text, index, segment.virt);
        if (segment.virt < previous_end)
            fail(Error::image_order, index, segment.virt, previous_end);
        if (Span{segment.virt, segment.virt + segment.bytes}.overlaps(direct_map))
            fail(Error::image_in_window, index, segment.virt);
        previous_end = segment.virt + segment.bytes;
        ++index;
    });
}

}  // namespace prologue
