// The command line: what the image's loader left as its load options.
#pragma once
#pragma GCC visibility push(hidden)

#include "phys_memory.h"
#include "uefi.h"

namespace prologue::efi {

// UTF-16, not always aligned.
struct Text16 {
    const uint8_t* start = nullptr;
    uint64_t units = 0;

    uint16_t at(uint64_t index) const { return read_unaligned<uint16_t>(start + 2 * index); }
    // Without its first `count`.
    Text16 from(uint64_t count) const { return {start + 2 * count, units - count}; }
    Text16 first(uint64_t count) const { return {start, count}; }
};

// The kernel's command line, up to a NUL or a line's end, without the path of the image
// that shells put before it. `shell`: one has started the image.
Text16 load_options(const LoadedImage& image, bool shell);

// The next word of `rest` that begins with `key`, without that; false behind the last.
bool next_option(Text16& rest, const char* key, Text16& value);

// In UTF-8, with U+FFFD for half a surrogate pair. Where `to` is null it is only counted.
uint64_t to_utf8(Text16 from, char* to);

} // namespace prologue::efi

#pragma GCC visibility pop
