#include "string.h"

#include <stdint.h>

#undef memcpy
#undef memset

void* memcpy(void* to, const void* from, size_t bytes) {
    void* at = to;
    asm volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
    return to;
}

void* memmove(void* to, const void* from, size_t bytes) {
    if (reinterpret_cast<uintptr_t>(to) - reinterpret_cast<uintptr_t>(from) >= bytes)
        return memcpy(to, from, bytes);
    auto* last_to = static_cast<uint8_t*>(to) + bytes - 1;
    auto* last_from = static_cast<const uint8_t*>(from) + bytes - 1;
    asm volatile("std; rep movsb; cld" : "+D"(last_to), "+S"(last_from), "+c"(bytes) : : "memory");
    return to;
}

void* memset(void* to, int value, size_t bytes) {
    void* at = to;
    asm volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
    return to;
}

int memcmp(const void* a, const void* b, size_t bytes) {
    const auto* x = static_cast<const uint8_t*>(a);
    const auto* y = static_cast<const uint8_t*>(b);
    for (size_t i = 0; i != bytes; ++i)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

// What a pure virtual function would call, if there were a way to.
extern "C" [[noreturn]] void __cxa_pure_virtual() {
    __builtin_trap();
}
