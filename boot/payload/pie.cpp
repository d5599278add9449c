#include "pie.h"

#include "refusals.h"
#include "relocate.h"

namespace prologue {
namespace {

Span bytes_of(const PayloadSegment& segment) {
    return {segment.file_offset, segment.file_offset + segment.file_bytes};
}

// Bytes that two segments are loaded from would be relocated for both.
void check_apart(const ElfPayload& elf) {
    for (const PayloadSegment& segment : elf)
        for (const PayloadSegment* other = elf.begin(); other != &segment; ++other)
            if (bytes_of(*other).shared(bytes_of(segment)).bytes() != 0)
                refuse_in("shares bytes of the file with this one", Refusal::elf_segment,
                          segment.index, other->index);
}

} // namespace

void relocate_file(uint8_t* file, const ElfPayload& elf, uint64_t slide) {
    check_apart(elf);
    LinkedBytes pieces[kMostSegments];
    LinkedBytes* piece = pieces;
    for (const PayloadSegment& segment : elf)
        *piece++ = {segment.virt, segment.file_bytes, file + segment.file_offset};
    const RelocationFault fault = relocate(pieces, elf.count, file + elf.dynamic.start,
                                           elf.dynamic.bytes(), slide);
    if (fault.what != nullptr)
        refuse_in(fault.what, Refusal::elf_relocation, fault.a, fault.b);
}

} // namespace prologue
