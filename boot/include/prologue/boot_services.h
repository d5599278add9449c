/* UEFI's boot services, for a kernel with PROLOGUE_WISH_BOOT_SERVICES, from
 * kernel_main until it calls ExitBootServices.
 *
 * The firmware needs its own page tables, descriptor tables and stack: a call
 * switches to them, and back. Addresses that are passed are physical; of anything
 * in the image that is its virtual address - kernel_offset.
 *
 * ISC licence. Usable from C11 and C++20, in 64-bit code.
 */
#ifndef PROLOGUE_BOOT_SERVICES_H
#define PROLOGUE_BOOT_SERVICES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROLOGUE_MOST_EFI_ARGUMENTS 8

/* What is returned for a call that cannot be made: EFI_UNSUPPORTED. */
#define PROLOGUE_EFI_UNSUPPORTED 0x8000000000000003

/* Calls the firmware's function at that physical address, with up to
 * PROLOGUE_MOST_EFI_ARGUMENTS arguments, and returns what it does. For the CPU that
 * booted, with CR4.PCIDE clear. The kernel's interrupts stay off meanwhile; the
 * firmware serves its own. Not possible where the boot services were not left
 * running, where paging's depth is not the firmware's, and for a kernel that is
 * linked below 512 GiB, or wherever else the firmware's tables show something. */
uint64_t prologue_call_firmware(uint64_t function, const uint64_t *arguments, uint64_t count);

#ifdef __cplusplus
}
#endif

#endif
