// Clearing and copying, as the one instruction that x86 has for each.
// Expects the direction flag clear.
#pragma once

#include <stdint.h>

namespace prologue {

inline void clear_bytes(void* to, uintptr_t bytes) {
    asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(0) : "memory");
}

inline void copy_bytes(void* to, const void* from, uintptr_t bytes) {
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

}  // namespace prologue
