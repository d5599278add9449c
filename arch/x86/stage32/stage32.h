// What the entry's assembly asks of the 32-bit stage's C++. Arguments are
// 32-bit words on the stack, after the operation:
//   EARLY_TABLES  pml4, pdpt, pds     the identity map in 2 MiB pages, of the
//                 first GiBs, as many as reach the image's end
//   REPORT        exception frame, EFER, entry_base; does not return
//   FATAL         error, its numbers; does not return
//
// The stage is a flat binary that runs anywhere in 32-bit mode with flat
// segments. Three words stand before it: the distances from its first byte to
// the names of vectors, to the image's ELF header and to the kernel's wish for
// QEMU's exit device.
#pragma once

#define STAGE32_EARLY_TABLES 0
#define STAGE32_REPORT 1
#define STAGE32_FATAL 2

// Page directories there are for the early map: all that 32 bits can reach.
#define EARLY_PDS 4

// With those, a PML5, a PML4 and a PDPT: all early tables, one after the other.
#define EARLY_TABLES (EARLY_PDS + 3)
