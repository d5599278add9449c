// What the parts of the real-mode code share: places, vectors, and what all of them call.
#pragma once

// Behind this code, on what else the file has there: boot_params, for the 32-bit code.
#define BOOT_PARAMS 0x1000
#define BOOT_PARAMS_BYTES 0x1000
#define CODE_AT 0x200 // where CS begins, by the protocol

#define SYSTEM (4 * 0x15) // interrupt vectors, for `bios`
#define VIDEO (4 * 0x10)
#define BIOS_TELETYPE 0x0e // AH

#define VGA_NORMAL 0xffff // `vga=`, or that there is none
