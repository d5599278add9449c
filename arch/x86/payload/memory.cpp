// What a compiler may call for copies and comparisons of its own.
#include "bytes.h"

#include <stddef.h>

#pragma GCC visibility push(hidden)
extern "C" {

void* memcpy(void* to, const void* from, size_t bytes) {
    prologue::copy_bytes(to, from, bytes);
    return to;
}

void* memset(void* to, int value, size_t bytes) {
    void* at = to;
    asm volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
    return to;
}

int memcmp(const void* a, const void* b, size_t bytes) {
    const auto* x = static_cast<const unsigned char*>(a);
    const auto* y = static_cast<const unsigned char*>(b);
    for (; bytes != 0; --bytes, ++x, ++y)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}
}
#pragma GCC visibility pop
