// Instructions and requests of SNP guests.
#pragma once

#include "ghcb.h"

enum class PageSize : uint32_t { small = 0, large = 1 };
enum class PageState : uint64_t { private_ = 1, shared = 2, psmash = 3, unsmash = 4 };

struct PageResult {
    uint32_t code;
    bool carry;
};

// Result codes of PVALIDATE and RMPADJUST (APM vol. 3)
constexpr uint32_t kFailInput = 1, kFailPermission = 2, kFailSizeMismatch = 6;

inline PageResult pvalidate(const void* page, PageSize size, bool validate) {
    PageResult r;
    asm volatile(".byte 0xf2, 0x0f, 0x01, 0xff"
                 : "=a"(r.code), "=@ccc"(r.carry)
                 : "a"(page), "c"(size), "d"(validate)
                 : "memory");
    return r;
}

// RMPADJUST is an instruction of 64-bit mode.
inline PageResult rmpadjust(const void* page, PageSize size, uint64_t vmpl_and_rights) {
    PageResult r;
    asm volatile(".byte 0xf3, 0x0f, 0x01, 0xfe"
                 : "=a"(r.code), "=@ccc"(r.carry)
                 : "a"(page), "c"(size), "d"(static_cast<Word>(vmpl_and_rights))
                 : "memory");
    return r;
}

constexpr uint64_t kPageStateRequest = 0x014, kPageStateDone = 0x015;

// The answer to a page state change by the MSR protocol.
inline uint64_t change_page_state(const void* page, PageState state) {
    return ask_by_msr(static_cast<uint64_t>(state) << 52 | uint64_t{reinterpret_cast<Word>(page)} |
                      kPageStateRequest);
}
