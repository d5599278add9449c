// The one way to the BIOS, and the last words of a boot that ends here.

#include "setup.h"

#define SERIAL 0x3f8
#define DEBUG_PORT 0xe9
#define SERIAL_TRIES 50000

        .code16
        .text
        // Calls the BIOS: SI = the vector, EAX to EDX and DI as they are.
        // Leaves EAX to EDX and the carry as the BIOS has them, and all else, the
        // segments and the stack too, as it was: no BIOS is trusted with any of it.
        // Interrupts are on meanwhile, and off again whatever it does to them.
        .globl  bios
bios:   pushl   %ebp
        pushl   %esi
        pushl   %edi
        pushw   $0
        popw    %fs
        movw    %ss, bios_ss
        movl    %esp, bios_esp
        sti
        pushfw
        cli                     // as INT does
        lcallw  *%fs:(%si)
        cli
        cld
        movw    %cs:bios_ds - CODE_AT, %ds // of these none changes a flag
        movw    bios_ss, %ss
        movl    bios_esp, %esp
        movw    %cs:bios_ds - CODE_AT, %es
        movw    %cs:bios_ds - CODE_AT, %fs
        movw    %cs:bios_ds - CODE_AT, %gs
        popl    %edi
        popl    %esi
        popl    %ebp
        ret

        // SI = the last words: on the screen, the first serial port and port 0xe9.
        .globl  die
die:    movw    $serial_set_up, %di
        movw    $SERIAL + 1, %dx
1:      movb    (%di), %al
        incw    %di
        outb    %al, %dx
        movb    (%di), %dl
        incw    %di
        movb    $(SERIAL >> 8), %dh
        cmpb    $0, %dl
        jne     1b
2:      lodsb
        testb   %al, %al
        jz      4f
        outb    %al, $DEBUG_PORT
        movb    %al, %bl
        movw    $SERIAL_TRIES, %cx
        movw    $(SERIAL + 5), %dx
3:      inb     %dx, %al
        testb   $0x20, %al
        loopz   3b
        movb    %bl, %al
        movw    $SERIAL, %dx
        outb    %al, %dx
        pushw   %si
        movb    $BIOS_TELETYPE, %ah
        movw    $7, %bx
        movw    $VIDEO, %si
        call    bios
        popw    %si
        jmp     2b
4:      hlt
        jmp     4b
serial_set_up: // bytes, and the register that is next: 115200 8N1
        .byte   0x00, (SERIAL + 3) & 0xff, 0x83, SERIAL & 0xff, 0x01, (SERIAL + 1) & 0xff
        .byte   0x00, (SERIAL + 3) & 0xff, 0x03, (SERIAL + 4) & 0xff, 0x03, 0

        .balign 4
bios_esp:
        .long   0
bios_ss:
        .short  0
        .globl  bios_ds
bios_ds:
        .short  0
