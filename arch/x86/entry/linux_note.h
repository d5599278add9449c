// The ELF note of the Linux boot protocol, owner "Prologue":
//   u32 version of the protocol
//   s32 from this field to the 32-bit entry, in virtual addresses
//   u32 physical addresses, as linked, of the image's start, of the end of what
//       is loaded from the file, and of the end of .bss
#pragma once

#define LINUX_NOTE 0x60
#define LINUX_PROTOCOL 0x020f
#define CMDLINE_MOST 0xffff

#define BOOT_PARAMS_SCRATCH 0x1e4    // four bytes: in 32-bit mode all the stack there is
#define BOOT_SERVICES_RUN 0x73696665 // "efis", there: our own EFI stub has not ended them
