// A screen, by the VESA BIOS Extension 3.0, sections 4.3 to 4.5. Without a wish for one the maker of
// the bzImage leaves all of this out: it is the file's end.

#include "setup.h"

#define VGA_VESA 0x200          // `vga=`, from here on VBE's modes
#define VBE_MODES_FROM 0x100
#define VBE_MODES 0x600
#define VBE_CONTROLLER 0x4f00
#define VBE_MODE 0x4f01
#define VBE_SET_MODE 0x4f02
#define VBE_LINEAR 0x4000       // asked for with the mode
#define VBE_DONE 0x004f
#define VBE_LAST 0xffff         // of the list
#define VBE_MOST 1024
#define VBE2 0x32454256         // "VBE2", for more than 256 bytes
#define CONTROLLER 0x2000
#define CONTROLLER_VERSION (CONTROLLER + 0x04)
#define CONTROLLER_MODES (CONTROLLER + 0x0e) // a far pointer
#define CONTROLLER_MEMORY (CONTROLLER + 0x12) // in units of 64 KiB
#define MODE (CONTROLLER + 512)
#define MODE_BYTES 256
#define MODE_PITCH (MODE + 0x10)
#define MODE_WIDTH (MODE + 0x12)
#define MODE_HEIGHT (MODE + 0x14)
#define MODE_BITS (MODE + 0x19)
#define MODE_MODEL (MODE + 0x1b)
#define MODE_COLOURS (MODE + 0x1f) // 8 bytes
#define MODE_BASE (MODE + 0x28)
#define MODE_LINEAR_PITCH (MODE + 0x32) // these two from version 3 on
#define MODE_LINEAR_COLOURS (MODE + 0x36)
#define MODE_USABLE 0x99        // supported, in colour, graphics, with a frame buffer
#define DIRECT_COLOUR 6
#define SCREEN_KIND (BOOT_PARAMS + 0x0f)
#define SCREEN_WIDTH (BOOT_PARAMS + 0x12)
#define SCREEN_DEPTH (BOOT_PARAMS + 0x16)
#define SCREEN_BASE (BOOT_PARAMS + 0x18)
#define SCREEN_MEMORY (BOOT_PARAMS + 0x1c)
#define SCREEN_PITCH (BOOT_PARAMS + 0x24)
#define SCREEN_COLOURS (BOOT_PARAMS + 0x26)
#define SCREEN_VESA 0x23

        .code16
        .text
        .globl  screen_code, ask_for_screen
screen_code:
        // Sets the mode that `vga=` names or, without it, one of the size that is wished for,
        // and says so in boot_params: with as many bits, or the last in the BIOS's list. Where
        // there is none, and where `vga=` names a text mode, the screen stays as it is.
ask_for_screen:
        pushl   %ebp
        movl    $VBE2, CONTROLLER
        movw    $CONTROLLER, %di
        movw    $VBE_CONTROLLER, %ax
        call    vbe
        jne     9f
        xorw    %dx, %dx        // the mode
        movw    vid_mode, %cx
        cmpw    $VGA_NORMAL, %cx
        je      1f
        subw    $(VGA_VESA + VBE_MODES_FROM), %cx
        cmpw    $VBE_MODES, %cx
        jae     9f
        addw    $VBE_MODES_FROM, %cx
        movw    %cx, %dx
        jmp     4f

1:      movw    CONTROLLER_MODES, %bx
        leaw    (2 * VBE_MOST)(%bx), %bp
2:      movw    CONTROLLER_MODES + 2, %gs
        movw    %gs:(%bx), %cx
        cmpw    $VBE_LAST, %cx
        je      4f
        call    ask_for_mode
        jne     3f
        movw    MODE_WIDTH, %ax
        cmpw    %ax, wished_width
        jne     3f
        movw    MODE_HEIGHT, %ax
        cmpw    %ax, wished_height
        jne     3f
        movw    %cx, %dx
        movzbw  MODE_BITS, %ax
        cmpw    %ax, wished_bits
        je      4f
3:      addw    $2, %bx
        cmpw    %bp, %bx
        jne     2b

4:      movw    %dx, %cx
        jcxz    9f
        call    ask_for_mode
        jne     9f
        movw    %cx, %bx
        orw     $VBE_LINEAR, %bx
        movw    $VBE_SET_MODE, %ax
        call    vbe
        jne     9f
        cmpb    $3, CONTROLLER_VERSION + 1
        jb      5f
        cmpw    $0, MODE_LINEAR_PITCH
        je      5f
        movw    MODE_LINEAR_PITCH, %ax
        movw    %ax, MODE_PITCH
        movl    MODE_LINEAR_COLOURS, %eax
        movl    %eax, MODE_COLOURS
        movl    MODE_LINEAR_COLOURS + 4, %eax
        movl    %eax, MODE_COLOURS + 4
5:      movb    $SCREEN_VESA, SCREEN_KIND
        movl    MODE_WIDTH, %eax // and height, as there
        movl    %eax, SCREEN_WIDTH
        movzbw  MODE_BITS, %ax
        movw    %ax, SCREEN_DEPTH
        movl    MODE_BASE, %eax
        movl    %eax, SCREEN_BASE
        movzwl  CONTROLLER_MEMORY, %eax
        movl    %eax, SCREEN_MEMORY
        movw    MODE_PITCH, %ax
        movw    %ax, SCREEN_PITCH
        movl    MODE_COLOURS, %eax
        movl    %eax, SCREEN_COLOURS
        movl    MODE_COLOURS + 4, %eax
        movl    %eax, SCREEN_COLOURS + 4
9:      popl    %ebp
        ret

        // CX = a mode. Leaves what it is in MODE, and ZF set where it has a frame buffer of
        // direct colours. Keeps BX, CX and DX.
ask_for_mode:
        pushw   %cx
        pushw   %bx
        pushw   %dx
        movw    $MODE, %di
        pushw   %di
        pushw   %cx
        movw    $MODE_BYTES, %cx
        xorw    %ax, %ax
        rep     stosb
        popw    %cx
        popw    %di
        movw    $VBE_MODE, %ax
        call    vbe
        jne     1f
        movb    MODE, %al
        andb    $MODE_USABLE, %al
        cmpb    $MODE_USABLE, %al
        jne     1f
        cmpb    $DIRECT_COLOUR, MODE_MODEL
1:      popw    %dx
        popw    %bx
        popw    %cx
        ret

        // A call of VBE's. ZF set where it has been answered, and done.
vbe:    movw    $VIDEO, %si
        call    bios
        cmpw    $VBE_DONE, %ax
        ret
