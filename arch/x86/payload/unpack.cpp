// In prologue-unpack.elf: a payload that is compressed is made whole, in a room.
#include "payload/refusals.h"
#include "payload/unpack.h"
#include "way.h"

namespace prologue {

void unpack_payload(Way& way, prologue_module& file) {
    const uint8_t* const bytes = way.seen(file.start);
    const bool gzip = is_gzip(bytes, file.bytes);
    if (!gzip && !is_lz4(bytes, file.bytes))
        return;
    const uint64_t size = (gzip ? gzip_size : lz4_size)(bytes, file.bytes);
    if (size > 4 * kGiB)
        refuse(Refusal::no_room, size, 4 * kGiB);
    const uint64_t whole = way.room(size).start;
    (gzip ? unpack_gzip : unpack_lz4)(bytes, file.bytes, way.seen(whole), size);
    file.start = whole;
    file.bytes = size;
}

} // namespace prologue
