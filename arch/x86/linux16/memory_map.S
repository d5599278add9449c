// The memory map, as the BIOS tells it: E820, or one of the older ways.

#include "setup.h"

#define E820_COUNT (BOOT_PARAMS + 0x1e8)
#define E820_TABLE (BOOT_PARAMS + 0x2d0)
#define E820_ENTRY_BYTES 20
#define E820_ROOM 64             // for a BIOS that writes more of an entry than it is asked for
#define E820_MOST 128

#define BIOS_E820 0xe820
#define SMAP 0x534d4150
#define BIOS_E801 0xe801
#define BIOS_88 0x88            // AH
#define BASE_MEMORY_KIB 0x413   // a word of the BIOS's
#define RAM 1
#define MIB 0x100000

        .code16
        .text
        // The memory map into boot_params. Each entry comes into the same buffer, which
        // some BIOSes only change where it differs from the one before; a BIOS that
        // stops saying SMAP on the way has given half a map, or garbage.
        .globl  ask_for_memory
ask_for_memory:
        xorl    %ebx, %ebx
1:      movl    $BIOS_E820, %eax
        movl    $SMAP, %edx
        movl    $E820_ENTRY_BYTES, %ecx
        movw    $entry, %di
        movw    $SYSTEM, %si
        call    bios
        jc      2f
        cmpl    $SMAP, %eax
        jne     3f
        call    add_entry
        cmpb    $E820_MOST, E820_COUNT
        jae     2f
        testl   %ebx, %ebx
        jnz     1b
2:      cmpb    $0, E820_COUNT
        jne     6f

        // Older ways: KiB from 1 MiB on, and 64 KiB from 16 MiB on; or KiB alone.
3:      movb    $0, E820_COUNT
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        movl    $BIOS_E801, %eax
        xorl    %ebx, %ebx
        movw    $SYSTEM, %si
        call    bios
        jc      5f
        jcxz    4f              // some leave it in AX and BX
        movw    %cx, %ax
        movw    %dx, %bx
4:      movzwl  %ax, %eax
        movzwl  %bx, %ebx
        testl   %eax, %eax
        jz      5f
        shll    $16, %ebx
        movl    $(16 * MIB), %edi
        call    add_ram
        jmp     7f
5:      movw    $(BIOS_88 << 8), %ax
        movw    $SYSTEM, %si
        call    bios
        jc      6f              // the 32-bit code will say that there is no map
        movzwl  %ax, %eax
        testl   %eax, %eax
        jz      6f
7:      movl    %eax, %ebx
        shll    $10, %ebx
        movl    $MIB, %edi
        call    add_ram
        pushw   $0
        popw    %fs
        movzwl  %fs:BASE_MEMORY_KIB, %ebx
        shll    $10, %ebx
        xorl    %edi, %edi
        call    add_ram
6:      ret

        // RAM of EBX bytes at EDI.
add_ram:
        testl   %ebx, %ebx
        jz      1f
        movl    %edi, entry
        movl    $0, entry + 4
        movl    %ebx, entry + 8
        movl    $0, entry + 12
        movl    $RAM, entry + 16
        // What stands in `entry`. Keeps all registers but DI, SI and CX.
add_entry:
        movzbw  E820_COUNT, %di
        imulw   $E820_ENTRY_BYTES, %di, %di
        addw    $E820_TABLE, %di
        movw    $entry, %si
        movw    $E820_ENTRY_BYTES, %cx
        rep     movsb
        incb    E820_COUNT
1:      ret

        .balign 4
entry:  .skip   E820_ROOM
