// The A20 gate: found open, or opened by the BIOS, the keyboard controller or the
// chipset. That it is open is never believed, but seen.

#include "setup.h"

#define BIOS_A20_ON 0x2401
#define KEYBOARD_DATA 0x60
#define KEYBOARD 0x64
#define KEYBOARD_FULL 0x02      // it has yet to read what was written
#define KEYBOARD_NONE 0xff
#define KEYBOARD_WRITE_OUTPUT 0xd1
#define KEYBOARD_A20 0xdf       // and no reset
#define KEYBOARD_NO_COMMAND 0xff // some controllers want one more
#define FAST_A20_PORT 0x92
#define FAST_A20_ON 0x02
#define FAST_A20_RESET 0x01 // resets the machine instead
#define A20_WORD (4 * 0x80)     // an interrupt vector of nobody's, and 1 MiB above it
#define A20_TRIES 20000         // the gate is slow on some machines
#define KEYBOARD_TRIES 50000
#define DELAY_PORT 0x80

        .code16
        .text
        .globl  open_a20
open_a20:
        call    is_a20_open
        jnz     4f
        movw    $BIOS_A20_ON, %ax
        movw    $SYSTEM, %si
        call    bios
        call    is_a20_open
        jnz     4f

        call    wait_for_keyboard
        jnz     1f
        movb    $KEYBOARD_WRITE_OUTPUT, %al
        outb    %al, $KEYBOARD
        call    wait_for_keyboard
        movb    $KEYBOARD_A20, %al
        outb    %al, $KEYBOARD_DATA
        call    wait_for_keyboard
        movb    $KEYBOARD_NO_COMMAND, %al
        outb    %al, $KEYBOARD
        call    wait_for_keyboard
        call    is_a20_open
        jnz     4f
1:
        inb     $FAST_A20_PORT, %al
        orb     $FAST_A20_ON, %al
        andb    $~FAST_A20_RESET, %al
        outb    %al, $FAST_A20_PORT
        call    is_a20_open
        jnz     4f
        movw    $a20_is_closed, %si
        jmp     die
4:      ret

        // ZF clear where a word and the one 1 MiB above it are two. The first is put back.
is_a20_open:
        pushw   $0
        popw    %fs
        pushw   $0xffff
        popw    %gs
        movw    $A20_TRIES, %cx
        movw    %fs:A20_WORD, %bx
        movw    %bx, %ax
1:      incw    %ax
        movw    %ax, %fs:A20_WORD
        outb    %al, $DELAY_PORT
        cmpw    %ax, %gs:(A20_WORD + 16)
        loope   1b
        movw    %bx, %fs:A20_WORD
        ret

        // ZF set when the controller takes a byte; clear where there is none.
wait_for_keyboard:
        movw    $KEYBOARD_TRIES, %cx
1:      outb    %al, $DELAY_PORT
        inb     $KEYBOARD, %al
        cmpb    $KEYBOARD_NONE, %al
        je      2f
        testb   $KEYBOARD_FULL, %al
        loopnz  1b
        ret
2:      testb   %al, %al
        ret

a20_is_closed:
        .asciz  "prologue: fatal: linux: the A20 gate stays closed (the BIOS, the keyboard controller and port 92 have been tried)\r\n"
