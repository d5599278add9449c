// Linux's boot protocol: the 32-bit and the 64-bit way in for loaders of a bzImage
// (linux16/ is what stands before it in the file), and the contract's record.
// Source: Documentation/arch/x86/boot.rst, sections 1.1, 1.13 and 1.14.
//
// In a bzImage the image's first bytes are a jump to prologue_linux32, since
// loaders enter there; both ways put the ELF header's beginning back. The 64-bit
// way in is 0x200 further, by the protocol: see prologue-headers.ld.

#include "linux_note.h"
#include "part.inc"
#include "contract_magic.h"
#include "prologue/wishes.h"

#define LINUX64_OFFSET 0x200
#define LINUX64_BYTES 8 // the headers behind it begin so much further: prologue-symbols.ld
#define LINUX_NOTE_BYTES 20

#define ELF_IDENT_LOW 0x464c457f
#define ELF_IDENT_HIGH 0x00010102 // 64-bit, little-endian, version 1, System V

        .text
        PROLOGUE_PULL_(prologue_any_mode)

        // What the maker of the bzImage, and a loader of the ELF, need to know.
        .section .prologue.notes, "a", @note
        PROLOGUE_NOTE_HEAD_(LINUX_NOTE, LINUX_NOTE_BYTES)
        .globl  prologue_linux
prologue_linux:
        .long   LINUX_PROTOCOL
        .long   prologue_linux32 - .
        .long   prologue_load_start, prologue_load_end, prologue_bss_end
#define LOAD_START (prologue_linux + 8)
#define LOAD_END (prologue_linux + 12)
#define BSS_END (prologue_linux + 16)

        .section .prologue.headers.linux64, "aR", @progbits
        .balign LINUX64_OFFSET
        .globl  prologue_linux64_entry
prologue_linux64_entry:
        .code64
        jmp     prologue_linux64
        .balign LINUX64_BYTES

        // Expects what the protocol says: 64-bit mode, RSI = boot_params, both and
        // this image, .bss included, mapped where they lie; interrupts off.
        // Leaves what prologue_long_mode expects.
        .text
prologue_linux64:
        cld
        leaq    __ehdr_start(%rip), %rbx
        movl    $ELF_IDENT_LOW, (%rbx)
        movl    $ELF_IDENT_HIGH, 4(%rbx)
        movl    LOAD_END(%rip), %edi
        movl    BSS_END(%rip), %ecx
        subl    %edi, %ecx
        subl    LOAD_START(%rip), %edi
        addq    %rbx, %rdi
        xorl    %eax, %eax
        rep     stosb
        movl    $LINUX_MAGIC, %eax
        movq    %rsi, %rbx
        jmp     prologue_linux64_goes_on
        .weak   prologue_linux64_goes_on
        .hidden prologue_linux64_goes_on
prologue_linux64_goes_on: // or, by wish, in boot_services.S
        jmp     prologue_long_mode

        // Expects what the protocol says: 32-bit protected mode, paging off,
        // flat segments, interrupts off, ESI = boot_params. Nothing else: no
        // stack, no zeroed .bss. Leaves what known_loader expects.
        .text
        .code32
#define AT(symbol) (symbol - linux_base)(%ebp)
prologue_linux32:
        movl    BOOT_PARAMS_SCRATCH(%esi), %edi
        leal    (BOOT_PARAMS_SCRATCH + 4)(%esi), %esp
        call    linux_base
linux_base:
        popl    %ebp
        movl    %edi, BOOT_PARAMS_SCRATCH(%esi)
        cld

        leal    AT(__ehdr_start), %ebx
        movl    $ELF_IDENT_LOW, (%ebx)
        movl    $ELF_IDENT_HIGH, 4(%ebx)

        // .bss is zero for all other contracts' loaders.
        movl    AT(LOAD_END), %edi
        movl    AT(BSS_END), %ecx
        subl    %edi, %ecx
        subl    AT(LOAD_START), %edi
        addl    %ebx, %edi
        xorl    %eax, %eax
        rep     stosb

        movl    $LINUX_MAGIC, %eax
        movl    %esi, %ebx
        jmp     prologue_known_loader

        RECOGNISER prologue_recognise_linux
        PART    LINUX_MAGIC, prologue_parse_linux, prologue_next_linux_module
        .section .note.GNU-stack, "", @progbits
