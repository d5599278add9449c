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

// To a higher address, where the two overlap: from the last byte on.
inline void copy_bytes_up(void* to, const void* from, uintptr_t bytes) {
    auto* last_to = static_cast<char*>(to) + bytes - 8;
    auto* last_from = static_cast<const char*>(from) + bytes - 8;
    uintptr_t words = bytes / 8;
    asm volatile("std\n\trep movsq\n\tcld"
                 : "+D"(last_to), "+S"(last_from), "+c"(words)
                 :
                 : "memory");
}

} // namespace prologue
