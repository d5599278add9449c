// The parts of the boot that this kernel carries.
#pragma once
#pragma GCC visibility push(hidden)

#include "image.h"
#include "part.h"
#include "phys_memory.h"

namespace prologue {

// What the loader has put into memory must not lie on the image: our .bss has been
// written to.
void check_clear_of(const Image& image, const char* what, Span span);

// The part with that number; null where the kernel does not carry it.
const Part* find_part(uint32_t magic);

// The contract by its magic; or by what its loader left, where there is none: then
// `magic` and `info` become that contract's. Fails where it is none that is known, or
// its information lies on this image.
const Part& find_contract(PhysMemory& memory, const Image& image, uint32_t& magic, uint64_t& info);

} // namespace prologue

#pragma GCC visibility pop
