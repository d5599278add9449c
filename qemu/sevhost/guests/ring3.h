// Code that runs in ring 3 for one instruction.
#pragma once

#include "exceptions.h"
#include "paging.h"
#include "tables.h"

// Makes what is mapped around an address ring 3's too.
void let_ring3_use(Word address);

// Where ring 0's stack begins for what comes from ring 3.
constexpr Word kInnerStackBytes = 4096;
extern "C" uint8_t inner_stack[kInnerStackBytes];
extern "C" Word outer_stack_pointer; // what ring 3 had

void prepare_ring3();

extern "C" Word ring0_stack_pointer;

#ifdef __x86_64__
#define GUEST_TO_RING3                                                                             \
    "mov %%rsp, ring0_stack_pointer\n"                                                             \
    "mov %%rsp, outer_stack_pointer\n"                                                             \
    "subq $256, outer_stack_pointer\n"                                                             \
    "pushq $0x2b\n pushq outer_stack_pointer\n pushfq\n pushq $0x33\n pushq $1f\n iretq\n"
#define GUEST_FROM_RING3 "mov ring0_stack_pointer, %%rsp\n"
#else
#define GUEST_TO_RING3                                                                             \
    "mov %%esp, ring0_stack_pointer\n"                                                             \
    "mov %%esp, outer_stack_pointer\n"                                                             \
    "subl $256, outer_stack_pointer\n"                                                             \
    "push $0x2b\n pop %%ds\n push $0x2b\n pop %%es\n"                                              \
    "pushl $0x2b\n pushl outer_stack_pointer\n pushfl\n pushl $0x23\n pushl $1f\n iretl\n"
#define GUEST_FROM_RING3                                                                           \
    "mov ring0_stack_pointer, %%esp\n push $0x10\n pop %%ds\n push $0x10\n pop %%es\n"
#endif

// As RAISE, in ring 3; the handler resumes in ring 0.
#define RAISE_IN_RING3(instruction, registers)                                                     \
    do {                                                                                           \
        caught.count = 0;                                                                          \
        resume_in_ring0 = true;                                                                    \
        asm volatile(GUEST_STORE "$1f, raised_at\n" GUEST_STORE "$2f, resume_at\n" GUEST_TO_RING3  \
                                 "1: " instruction "\n2:" GUEST_FROM_RING3                         \
                     : "+a"((registers).a), "+b"((registers).b), "+c"((registers).c),              \
                       "+d"((registers).d), "+S"((registers).si), "+D"((registers).di)             \
                     :                                                                             \
                     : "memory", "cc");                                                            \
        resume_in_ring0 = false;                                                                   \
    } while (false)
