// What the entry's assembly asks of the SEV guest's C++ in 32-bit mode. Arguments
// are 32-bit words on the stack, after the operation:
//   START      SEV_STATUS low, high, the loader's information, its magic: finds the
//              C-bit, asks the CPU's features, makes tables
//   TERMINATE  code; does not return
//
// The stage is a flat binary as stage32 is, and runs as that does, but with a stack
// segment that ends where the stack does: what it has on the stack alone it reaches by
// %esp and %ebp, which is a frame's pointer and nothing else. Before it stand
// the distances from its first byte to what it uses: SEV32_WORDS words.
#pragma once

#define SEV32_START 0
#define SEV32_TERMINATE 1

#define SEV32_STATE 1
#define SEV32_EARLY_PML4 2
#define SEV32_EARLY_PML5 3
#define SEV32_EARLY_PDPT 4
#define SEV32_EARLY_PD 5
#define SEV32_GHCB_PT 6
#define SEV32_GHCB 7
#define SEV32_CPUID_PAGE 8
#define SEV32_SECRETS_PAGE 9
#define SEV32_WISH_PAGING 10
#define SEV32_WISH_SEV 11
#define SEV32_FATAL 12
#define SEV32_IMAGE 13
#define SEV32_IMAGE_END 14
#define SEV32_WORDS 14
