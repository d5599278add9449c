// What the entry's assembly asks of the SEV guest's C++ in 32-bit mode. Arguments
// are 32-bit words on the stack, after the operation:
//   START      SEV_STATUS low, high, the loader's information, its magic: finds the
//              C-bit, asks the CPU's features, makes tables and the switch's IDT
//   VC         the frame, the address that its code segment begins at
//   TERMINATE  code; does not return
//
// The stage is a flat binary as stage32 is, and runs as that does. Before it stand
// the distances from its first byte to what it uses: SEV32_WORDS words.
#pragma once

#define SEV32_START 0
#define SEV32_VC 1
#define SEV32_TERMINATE 2

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
#define SEV32_SWITCH_IDT 11
#define SEV32_IN_SWITCH 12
#define SEV32_IN_SWITCH_PLAIN 13
#define SEV32_FATAL 14
#define SEV32_WORDS 14

// The IDT between 32-bit and 64-bit mode: gates of both widths for those vectors whose
// do not overlap, up to #VC's.
#define SWITCH_IDT_BYTES ((VECTOR_VC + 1) * 16)
