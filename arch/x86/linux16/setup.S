// What stands before the image in a bzImage: Linux's setup header, and the
// little real-mode code that loaders without a 32-bit start enter. It asks the
// BIOS for the memory map, and goes to protected mode.
// Source: Documentation/arch/x86/boot.rst, sections 1.1 to 1.4 and 1.12.
//
// A flat binary, linked at 0: addresses are offsets from its segment. The maker
// of the bzImage fills in what depends on the image: MADE(...).

#include "linux_note.h"

#define LOADED_HIGH 0x01
#define MADE(bytes) .skip bytes
#define ANYWHERE 0x7fffffff

// Behind this code, on what else the file has there: boot_params, for the 32-bit code.
#define BOOT_PARAMS 0x1000
#define BOOT_PARAMS_BYTES 0x1000
#define E820_COUNT (BOOT_PARAMS + 0x1e8)
#define E820_TABLE (BOOT_PARAMS + 0x2d0)
#define E820_ENTRY_BYTES 20
#define E820_MOST 128

#define BIOS_E820 0xe820
#define SMAP 0x534d4150
#define BIOS_E801 0xe801
#define BIOS_88 0x88            // AH
#define BIOS_A20_ON 0x2401
#define BIOS_TELETYPE 0x0e      // AH
#define SYSTEM (4 * 0x15)       // interrupt vectors
#define VIDEO (4 * 0x10)
#define BASE_MEMORY_KIB 0x413   // a word of the BIOS's
#define RAM 1
#define MIB 0x100000

// The A20 gate, and how it is opened: the keyboard controller's output port, or the
// chipset's own.
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

// The screen: VESA BIOS Extension 3.0, sections 4.3 to 4.5. Its structures lie behind boot_params.
#define VGA_NORMAL 0xffff       // `vga=`, or that there is none
#define VGA_VESA 0x200          // ... and from here on VBE's modes
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

#define SERIAL 0x3f8
#define DEBUG_PORT 0xe9
#define SERIAL_TRIES 50000
#define CR0_PE 1
#define CODE_AT 0x200           // where CS begins, by the protocol

#define BOOT_SECTOR_SEGMENT 0x7c0
#define DOS_HEADER_FIELDS 0x38  // from there on the maker's, where the file is a PE image too

        .code16
        .text
        // Where a BIOS enters that found this file on a disk's first sector: there is no loader on
        // it. The maker may put "MZ" over the NOPs, which is `dec %bp; pop %dx`.
boot_sector:
        nop
        nop
        ljmp    $BOOT_SECTOR_SEGMENT, $1f
1:      movw    %cs, %ax
        movw    %ax, %ds
        movw    $no_boot_sector, %si
        cld
2:      lodsb
        testb   %al, %al
        jz      3f
        movb    $BIOS_TELETYPE, %ah
        int     $0x10
        jmp     2b
3:      hlt
        jmp     3b
no_boot_sector:
        .asciz  "prologue: no boot sector"
        .org    DOS_HEADER_FIELDS

        // What is wished for, and where the code for it begins, which goes without a wish.
        .org    0x1e8
wished_width:
        MADE(2)
wished_height:
        MADE(2)
wished_bits:
        MADE(2)
        .short  screen_code

        .org    0x1f1
setup_header:
        MADE(1)                 // setup_sects: those behind the first
        .short  0               // root_flags
        MADE(4)                 // syssize, in units of 16 bytes
        .short  0               // ram_size
vid_mode:
        .short  VGA_NORMAL
        .short  0               // root_dev
        .short  0xaa55
        .byte   0xeb, real_mode - 1f
1:      .ascii  "HdrS"
        .short  LINUX_PROTOCOL
        .long   0               // realmode_swtch
        .short  0               // start_sys_seg
        .short  kernel_version - 0x200
        .byte   0               // type_of_loader: the loader's
        .byte   LOADED_HIGH
        .short  0               // setup_move_size
code32_start:
        MADE(4)
        .long   0, 0            // ramdisk_image, ramdisk_size: the loader's
        .long   0               // bootsect_kludge
        .short  0xe000          // heap_end_ptr
        .byte   0, 0            // ext_loader_ver, ext_loader_type
        .long   0               // cmd_line_ptr: the loader's
        .long   ANYWHERE        // initrd_addr_max
        MADE(4)                 // kernel_alignment
        MADE(1)                 // relocatable_kernel
        MADE(1)                 // min_alignment
        MADE(2)                 // xloadflags
        .long   CMDLINE_MOST
        .long   0               // hardware_subarch: a PC
        .quad   0               // its data
        .long   0, 0            // payload_offset, payload_length: nothing is packed
        .quad   0               // setup_data: the loader's
        MADE(8)                 // pref_address
        MADE(4)                 // init_size
        .long   0               // handover_offset
        .long   0               // kernel_info_offset
setup_header_end:

        // Expects CS = this segment + 0x20, a stack, and cmd_line_ptr and the
        // ramdisk's fields filled in.
real_mode:
        cli
        cld
        movw    %cs, %ax
        subw    $0x20, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, bios_ds
        movzwl  %ax, %ebp
        shll    $4, %ebp        // EBP: this segment's linear address
        movzwl  %sp, %esp       // a stack below 64 KiB, in the loader's SS

        // boot_params: zero, but for the header.
        movw    $BOOT_PARAMS, %di
        movw    $BOOT_PARAMS_BYTES, %cx
        xorw    %ax, %ax
        rep     stosb
        movw    $setup_header, %si
        movw    $(BOOT_PARAMS + 0x1f1), %di
        movw    $(setup_header_end - setup_header), %cx
        rep     movsb

        call    ask_for_memory
        call    open_a20
        cmpw    $0, wished_width
        je      1f
        call    ask_for_screen
1:      addl    %ebp, gdt_pointer + 2
        lgdtl   gdt_pointer
        leal    protected(%ebp), %eax
        movl    %eax, far_protected
        leal    BOOT_PARAMS(%ebp), %esi
        movl    %cr0, %eax
        orb     $CR0_PE, %al
        movl    %eax, %cr0
        ljmpl   *far_protected

        .code32
protected:
        movl    $0x18, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %eax, %fs
        movl    %eax, %gs
        movl    code32_start(%ebp), %eax
        xorl    %ebx, %ebx
        xorl    %edi, %edi
        xorl    %ebp, %ebp
        jmpl    *%eax

        .code16
        // Calls the BIOS: SI = the vector, EAX to EDX and DI as they are.
        // Leaves EAX to EDX and the carry as the BIOS has them, and all else, the
        // segments and the stack too, as it was: no BIOS is trusted with any of it.
        // Interrupts are on meanwhile, and off again whatever it does to them.
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

        // The memory map into boot_params. Each entry comes into the same buffer, which
        // some BIOSes only change where it differs from the one before; a BIOS that
        // stops saying SMAP on the way has given half a map, or garbage.
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

        // The A20 gate: found open, or opened by the BIOS, the keyboard controller or the
        // chipset. That it is open is never believed, but seen.
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

        // SI = the last words: on the screen, the first serial port and port 0xe9.
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
a20_is_closed:
        .asciz  "prologue: fatal: linux: the A20 gate stays closed (the BIOS, the keyboard controller and port 92 have been tried)\r\n"

        .balign 4
bios_esp:
        .long   0
bios_ss:
        .short  0
bios_ds:
        .short  0
entry:  .skip   E820_ENTRY_BYTES

        .balign 8
gdt:
        .quad   0, 0
        .quad   0x00cf9b000000ffff // 10 code, flat, as the protocol has it
        .quad   0x00cf93000000ffff // 18 data
gdt_pointer:
        .short  gdt_pointer - gdt - 1
        .long   gdt
far_protected:
        .long   0
        .short  0x10
kernel_version:
        .asciz  "Prologue"

        // All behind this is left out where no screen is wished for.
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
