// A payload that is compressed: gzip's file (RFC 1951 and 1952) or LZ4's frame (lz4_Frame_format.md,
// lz4_Block_format.md), each whole, with its checksum. Of our own, since zlib and liblz4 are not
// freestanding: a table of 640 bytes on the stack, and no memory but the payload's.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

bool is_gzip(const uint8_t* file, uint64_t bytes);
bool is_lz4(const uint8_t* file, uint64_t bytes);

// How many bytes it says that it is when it is unpacked.
uint64_t gzip_size(const uint8_t* file, uint64_t bytes);
uint64_t lz4_size(const uint8_t* file, uint64_t bytes);

// Fills so many bytes. Refuses, by name, what is cut off, what no such format has, and what does not
// give these bytes with this checksum; reads and writes nothing beyond.
void unpack_gzip(const uint8_t* file, uint64_t bytes, uint8_t* to, uint64_t size);
void unpack_lz4(const uint8_t* file, uint64_t bytes, uint8_t* to, uint64_t size);

} // namespace prologue

#pragma GCC visibility pop
