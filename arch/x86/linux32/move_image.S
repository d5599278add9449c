// Linux's 32-bit entry of a bzImage whose kernel must lie elsewhere: it is moved there, if
// that is memory, and free. What is behind this page is the image as loaders want it: it is
// entered at its first byte.
// Source: Documentation/arch/x86/boot.rst, section 1.13.

#include "linux_note.h"
#include "move_image.h"

        .section .text.first, "ax", @progbits
        .code32
        .globl  stage32_main
stage32_main:
        jmp     start
        .balign MOVE_IMAGE_MAKERS
load_start:
        .long   0
bytes:  .long   0
        .long   0, 0

        // Expects what the protocol says, as prologue_linux32 does, and leaves it: ESI =
        // boot_params, and no stack.
start:  movl    BOOT_PARAMS_SCRATCH(%esi), %edi
        leal    (BOOT_PARAMS_SCRATCH + 4)(%esi), %esp
        call    here
here:   popl    %ebp
        movl    %edi, BOOT_PARAMS_SCRATCH(%esi)
        cld
        leal    (stage32_main + MOVE_IMAGE_BYTES - here)(%ebp), %esp
        movl    %esi, %eax
        leal    (stage32_main - here)(%ebp), %edx
        call    check_place

        // From the last byte on where the image moves up, since it may reach into its place.
        movl    %esi, %eax
        leal    (stage32_main + MOVE_IMAGE_BYTES - here)(%ebp), %esi
        movl    (load_start - here)(%ebp), %edi
        movl    (bytes - here)(%ebp), %ecx
        movl    %edi, %edx
        cmpl    %esi, %edi
        jb      1f
        std
        leal    -1(%esi,%ecx), %esi
        leal    -1(%edi,%ecx), %edi
1:      rep     movsb
        cld
        movl    %eax, %esi
        jmp     *%edx

        .section .note.GNU-stack, "", @progbits
