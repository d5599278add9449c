// Exceptions that a scene raises on purpose, and what the handler saw of them.
#pragma once

#include "guest.h"

// As the stubs push it (stubs.S).
struct Frame {
#ifdef __x86_64__
    Word r15, r14, r13, r12, r11, r10, r9, r8, di, si, bp, bx, dx, cx, ax;
#else
    Word di, si, bp, unused_sp, bx, dx, cx, ax;
#endif
    Word vector;
    Word error_code; // 0 for vectors that push none
    Word ip, cs, flags;
    Word sp, ss; // 32-bit mode: only when it came from ring 3
};

struct Caught {
    unsigned count = 0;
    Frame frame;
    Word frame_at; // where the processor's part of it lay: error code or IP
    Word flags;    // in the handler
    Word cs, ss;   // in the handler
};
extern Caught caught;

extern "C" {
extern Word raised_at, resume_at;
}
extern bool resume_in_ring0; // rather than where it came from

constexpr unsigned kVectorNmi = 2, kVectorUd = 6, kVectorDf = 8, kVectorGp = 13, kVectorPf = 14;
constexpr unsigned kVectorVc = 29;

struct Registers {
    Word a = 0, b = 0, c = 0, d = 0, si = 0, di = 0;
};

#ifdef __x86_64__
#define GUEST_STORE "movq "
#define GUEST_DI "rdi"
#else
#define GUEST_STORE "movl "
#define GUEST_DI "edi"
#endif

// Runs one instruction that faults, with the registers; the handler resumes behind it.
#define RAISE(instruction, registers)                                                              \
    do {                                                                                           \
        caught.count = 0;                                                                          \
        asm volatile(GUEST_STORE "$1f, raised_at\n" GUEST_STORE "$2f, resume_at\n1: " instruction  \
                                 "\n2:"                                                            \
                     : "+a"((registers).a), "+b"((registers).b), "+c"((registers).c),              \
                       "+d"((registers).d), "+S"((registers).si), "+D"((registers).di)             \
                     :                                                                             \
                     : "memory", "cc");                                                            \
    } while (false)

// That what was raised is a #VC with this exit code, at the instruction.
#define EXPECT_VC(code)                                                                            \
    do {                                                                                           \
        EXPECT_EQUAL(caught.count, 1);                                                             \
        EXPECT_EQUAL(caught.frame.vector, kVectorVc);                                              \
        EXPECT_EQUAL(caught.frame.error_code, code);                                               \
        EXPECT_EQUAL(caught.frame.ip, raised_at);                                                  \
    } while (false)

#define EXPECT_EXCEPTION(number)                                                                   \
    do {                                                                                           \
        EXPECT_EQUAL(caught.count, 1);                                                             \
        EXPECT_EQUAL(caught.frame.vector, number);                                                 \
    } while (false)
