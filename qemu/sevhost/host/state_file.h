// A text file that says in which state the guest's first instruction is entered, and
// what is in memory then. A line is a directive and its values; '#' starts a comment.
//
//   rax 0x2badb002             a general register, rip, rflags, cr0, cr2, cr3, cr4,
//   rip $entry&0x0fffffff      efer, dr6 or dr7
//   cs 0x08 code32 0xffffffff 0   a segment: selector, kind, limit, base; the kinds are
//                              code16, code32, code64, data16, data32, tss32, ldt, null
//   gdtr 0xffff 0x10000        gdtr or idtr: limit, base
//   at 0x10000                 where the next bytes go; they follow each other
//   u32 1 2 $memory-0x100000   bytes: u8, u16, u32, u64, each of any number of values
//   text a command line        the rest of the line, and a NUL
//   file initrd.img            the bytes of a file, from the state file's directory
//   table 512 0x83 0x200000    64-bit values in a row: how many, the first, the step
//   table32 1024 0x87 0x400000 32-bit ones
//
// A value is numbers and names joined by + - | & / from left to right, without spaces. The
// names are $entry (of the ELF header), $end (behind the image), $memory (its bytes),
// $cmdline (where the guest's command line was placed) and $cbit (its mask, or 0).
//
// General registers that the file does not name are 0, and memory is; the rest is as PVH
// would have it.
#pragma once

#include "guest.h"
#include "images.h"

namespace sevhost {

struct StateNames {
    uint64_t entry, end, memory, cmdline, c_bit;
};

// Applies the images' state file to the guest. Ends the run with the line's number where it
// makes no sense.
void apply_state_file(Guest& guest, const Images& images, const StateNames& names);

} // namespace sevhost
