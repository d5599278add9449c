// What stands before the image in a bzImage: Linux's setup header, and the
// little real-mode code that loaders without a 32-bit start enter. It asks the
// BIOS for the memory map (memory_map.S), opens the A20 gate (a20.S), sets a screen where one
// is wished for (screen.S), and goes to protected mode.
// Source: Documentation/arch/x86/boot.rst, sections 1.1 to 1.4 and 1.12.
//
// A flat binary of these files, linked at 0, this one first and screen.S last: addresses are
// offsets from its segment. The maker of the bzImage fills in what depends on the image: MADE(...).

#include "linux_note.h"
#include "setup.h"

#define LOADED_HIGH 0x01
#define MADE(bytes) .skip bytes
#define ANYWHERE 0x7fffffff
#define CR0_PE 1

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
        .globl  wished_width, wished_height, wished_bits
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
        .globl  vid_mode
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
