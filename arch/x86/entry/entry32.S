// The one entry, in 32-bit mode: from the loader's jump to the first 64-bit
// instruction. Every contract arrives here, through its header or by e_entry.
//
// Expects (contracts.md's common ground, and no more):
//   protected mode, CS, DS, ES and SS flat, interrupts off; paging off, or by
//   e_entry on, if this code is mapped where it lies;
//   EAX = Multiboot's magic, or EBX = a PVH start info; EBX = the loader's
//   information; our .bss zero, as the ELF and Multiboot contracts promise.
// Not expected: a stack, a GDT, a known selector, CR4, EFER, a load address.
//
// Leaves, at prologue_start64: 64-bit mode, our GDT; the 32-bit IDT, which is
// no longer valid; the early identity map (the first 4 GiB, or without 1 GiB
// pages all GiBs up to the image's end); ESP near prologue_stack_top, and
//   EDI = the loader's information, ESI = its magic, EBX = CPUID 80000001 EDX.
//
// Two ideas keep this short. The based code segment begins at entry_base,
// wherever that was loaded, so that offsets of gates and fix-ups and the first
// far jump's target are link-time constants. And all that does depend on the
// address is laid out for the one that the image is linked for, and corrected
// only where it was moved. EBP is the address of entry_base throughout; data is
// AT(symbol).
//
// A third keeps it safe where a host can inject events, and inject one into the
// handler of the other, without end: until it is known that this is no SEV-ES
// guest, the stack's segment ends at the stack's bottom. A push below that is a
// fault that no stack is left for: a shutdown. The flat segment comes with that
// knowledge, and with it the right to report.

#include "bits.h"
#include "contract_magic.h"
#include "entry_state.h"
#include "errors.h"
#include "prologue/sev_reasons.h"
#include "prologue/wishes.h"
#include "sev_state.h"
#include "stage32.h"

#define AT(symbol) (symbol - entry_base)(%ebp)
#define BASED(symbol) (symbol - entry_base)
#define TABLE_BITS (PTE_PRESENT | PTE_WRITABLE)
#define CODE32_BYTES_5_6 0xcf9b // present, code; flat, 32-bit
#define STACK32_HIGH 0xc09700 // data, expand-down, counted in pages; and limit 19:16
#define WISH_SEV_REQUIRED 1 // byte of the wish: what SEV_STATUS must have
#define GIB_BITS (PTE_PRESENT | PTE_WRITABLE | PTE_LARGE)

// An aligned word that is RAM on every PC: for a loader of no known kind.
#define CONVENTIONAL_SCRATCH 0x7bfc

// Paging was on, and CR4.PAE: legacy paging or compatibility mode.
#define PAGED_WITH_PAE (MODE_PAGED32 | CR4_PAE)

.macro GATE32 vector
        .short  BASED(isr32_\vector), SELECTOR_CODE32_BASED, 0x8e00, 0
.endm

// EBP = where our base is: the GDT tells, which is ours wherever a gate leads here.
.macro ENTER_BASED
        pushl   %eax
        pushl   %eax
        sgdt    2(%esp)
        popl    %ebp
        popl    %ebp
        subl    $BASED(prologue_gdt), %ebp
.endm

        .text
        .code32
        PROLOGUE_PULL_(prologue_wish_headers)
        PROLOGUE_PULL_(prologue_wish_sev)
        PROLOGUE_PULL_(prologue_wished_stack)
        PROLOGUE_PULL_(prologue_default_window)

        // Where no script names them, in `ld -r`, wishes are wanted all the same.
        .globl  prologue_note_paging, prologue_note_stack, prologue_note_direct_map
        .globl  prologue_note_identity_map, prologue_note_window, prologue_note_relocatable
        .globl  prologue_note_writable_text, prologue_note_qemu_exit, prologue_note_headers
        .globl  prologue_note_sev, prologue_note_snp_accept, prologue_note_boot_services
        .globl  prologue_note_free_behind_image, prologue_note_random
        .globl  prologue_note_framebuffer

        // PVH: EBX = hvm_start_info, and no magic in a register. That it lies
        // in RAM is taken on trust, as the magic is there: prologue_start, where
        // fewer instructions matter, makes sure.
        .globl  prologue_pvh_start
prologue_pvh_start:
        movl    (%ebx), %eax
        cmpl    $PVH_MAGIC, %eax
        jne     not_pvh

        // Where are we? CALL wants a stack: borrow the information's first
        // word, which is in RAM by contract, and put it back.
        .globl  prologue_known_loader
        .hidden prologue_known_loader
prologue_known_loader:
known_loader:
        movl    (%ebx), %edi
        leal    4(%ebx), %esp
        call    entry_base
        .globl  prologue_entry_base
        .hidden prologue_entry_base
        .globl  prologue_place_of_entry_base // for the script, which sees no hidden ones
prologue_place_of_entry_base:
prologue_entry_base:
entry_base:
        popl    %ebp
        movl    %edi, (%ebx)
base_known:
        cmpl    $prologue_linked_entry_base, %ebp
        jne     moved
not_moved:

        // No gate of the loader's, whose selectors mean nothing in our GDT, and
        // whose handlers would run on our stack.
        lidt    AT(prologue_no_idt)
        lgdt    AT(gdt_pointer)
        movl    $SELECTOR_DATA, %ecx
        movl    %ecx, %ds
        movl    %ecx, %es
        movl    %ecx, %fs
        movl    %ecx, %gs
        movl    $SELECTOR_STACK32, %ecx // %ebp's own segment, from here on: data needs %ds
        movl    %ecx, %ss
        leal    AT(prologue_stack_top), %esp
        ljmpl   $SELECTOR_CODE32_BASED, $BASED(own_segments)
own_segments:

        // Own IDT. Nothing before this could fault or exit.
        lidt    %ds:AT(idt32_pointer)
        .globl  prologue_idt32_stands
prologue_idt32_stands:

        // Was paging on? With PAE, EFER has yet to tell which kind.
        movl    %eax, %esi
        cmpl    $PAGED_WITH_PAE, %ds:AT(prologue_entry_state + ENTRY_MODE)
        je      legacy_or_compatibility
mode_known:

        // An SEV guest? Most CPUs lack this MSR: see isr32_13.
sev_test:
        movl    $MSR_SEV_STATUS, %ecx
sev_status_read:
        rdmsr
        testl   %eax, %eax
        jnz     prologue_sev_guest32
no_sev: movl    %ebx, %edi
        movl    $CPUID_EXTENDED_MAX, %eax
        cpuid

        // None: whatever faults from here on is reported.
.Lsev_known:
        movl    $SELECTOR_DATA, %ecx
        movl    %ecx, %ss
        .globl  prologue_reports32
        .hidden prologue_reports32
prologue_reports32:

        // The CPU: long mode and NX are needed, 1 GiB pages are liked.
        cmpl    $CPUID_EXTENDED_FEATURES, %eax
        jb      fail_no_extended_leaf
        movl    $CPUID_EXTENDED_FEATURES, %eax
        cpuid
        movl    %edx, %ebx
        notl    %edx
        andl    $(EXTENDED_EDX_LONG_MODE | EXTENDED_EDX_NX), %edx
        jnz     maybe_hidden
cpu_will_do:

        // CR4 is written whole while paging is off: PAE, and LA57 on a wish.
        movl    $CR4_LONG_MODE, %eax
        leal    AT(prologue_early_pml4), %ecx
        cmpl    $PROLOGUE_PAGING_FOUR, AT(prologue_wish_paging)
        jne     maybe_five_levels
depth_known:
        movl    %eax, %cr4
        movl    %ecx, %cr3

        // The early identity map, in tables that are zero so far.
        btl     $EXTENDED_EDX_1G_PAGES_BIT, %ebx
        jnc     map_2m_pages
        movl    $(0x00000000 + GIB_BITS), AT(prologue_early_pdpt)
        movl    $(0x40000000 + GIB_BITS), AT(prologue_early_pdpt + 8)
        movl    $(0x80000000 + GIB_BITS), AT(prologue_early_pdpt + 16)
        movl    $(0xc0000000 + GIB_BITS), AT(prologue_early_pdpt + 24)
        leal    AT(prologue_early_pdpt + TABLE_BITS), %eax
        movl    %eax, AT(prologue_early_pml4)
tables_stand:

        // Long mode: EFER.LME takes effect with CR0.PG, and the far jump
        // leaves compatibility mode. The 32-bit gates are invalid from PG on,
        // so nothing that can fault stands between it and the 64-bit IDT.
        movl    $MSR_EFER, %ecx
        movl    $(EFER_LME | EFER_NXE), %eax
        xorl    %edx, %edx
        wrmsr
        movl    $CR0_LONG_MODE, %eax
        movl    %eax, %cr0
        ljmpl   *AT(far_start64)

        // ---- Off the straight line ----

        // e_entry, for the loaders that use it: Multiboot, PVH at a guess, and
        // those that are known by nothing but what they leave behind. One address
        // for every mode: these bytes are one 8-byte NOP in 64-bit mode, and
        // elsewhere a 6-byte NOP and a short jump. No flag or register changes.
        .globl  prologue_start
prologue_start:
        .byte   0x67, 0x0f, 0x1f, 0x80, 0, 0, 0xeb, start32 - 1f
1:
        .code64
        jmp     prologue_long_mode
        .code32
start32:
        xorl    %edx, %edx
        movl    %cr0, %ecx
        btrl    $CR0_PG_BIT, %ecx
        jc      paged
        cmpl    $MULTIBOOT2_MAGIC, %eax
        je      1f
        cmpl    $MULTIBOOT1_MAGIC, %eax
        je      1f
        cmpl    $PVH_MAGIC, (%ebx)
        je      prologue_pvh_start
        jmp     unknown_loader
1:      movl    (%ebx), %edi // RAM? Then a word keeps what is written to it
        notl    (%ebx)
        cmpl    %edi, (%ebx)
        movl    %edi, (%ebx)
        jne     known_loader
        jmp     unknown_loader

        // Paging is on: off with it, and where this was compatibility mode, with
        // long mode. What remains is 32-bit protected mode, whatever it was;
        // but PG cannot be cleared while PCIDE is set (SDM 4.10.1).
        // EDX = the mode, as far as it is known.
paged:  movl    %cr4, %edx
        movl    %edx, %edi
        andl    $~CR4_PCIDE, %edi
        movl    %edi, %cr4
        movl    %ecx, %cr0
        andl    $CR4_PAE, %edx
        orl     $MODE_PAGED32, %edx
        cmpl    $PVH_MAGIC, (%ebx)
        jne     unknown_loader
        movl    $PVH_MAGIC, %eax
        jmp     unknown_loader

not_pvh:
        xorl    %edx, %edx
        // No contract is recognised yet, or its information lies where nothing
        // can be written, or must not be. The 64-bit stage will look at what the
        // loader left; EBX and ESP cannot be trusted for a stack.
unknown_loader:
        movl    %esp, %ecx
        movl    CONVENTIONAL_SCRATCH, %edi
        movl    $(CONVENTIONAL_SCRATCH + 4), %esp
        call    1f
1:      popl    %ebp
        movl    %edi, CONVENTIONAL_SCRATCH
        subl    $(1b - entry_base), %ebp
        movl    %ecx, AT(prologue_entry_state + ENTRY_SP)
        movl    %esi, AT(prologue_entry_state + ENTRY_SI)
        movl    %edx, AT(prologue_entry_state + ENTRY_MODE)
        jmp     base_known

        // The image lies elsewhere than it is linked for: what the link has laid out
        // is corrected. In the based code segment the base is bytes 2, 3, 4 and 7, and
        // what is between them is put back. The stack's segment is made anew: whoever comes
        // here from 64-bit mode, moved or not, has had a TSS in its place.
        .globl  prologue_moved
        .hidden prologue_moved
prologue_moved:
moved:  movl    %ebp, %ecx
        subl    $prologue_linked_entry_base, %ecx
        addl    %ecx, AT(gdt_pointer + 2)
        addl    %ecx, AT(idt32_pointer + 2)
        addl    %ecx, AT(far_start64)
        movl    %ebp, AT(gdt_code32_based + 4)
        movl    %ebp, AT(gdt_code32_based + 2)
        movw    $CODE32_BYTES_5_6, AT(gdt_code32_based + 5)
        leal    AT(prologue_stack_bottom - 1), %ecx
        shrl    $PAGE_SHIFT, %ecx
        movw    %cx, AT(gdt_stack32)
        movw    $0, AT(gdt_stack32 + 2)
        andl    $0xf0000, %ecx
        orl     $STACK32_HIGH, %ecx
        movl    %ecx, AT(gdt_stack32 + 4)
        jmp     not_moved

        // EFER.LME cannot have been set without paging being compatibility
        // mode's, and was not cleared with it. Keeps ESI.
legacy_or_compatibility:
        movl    $MSR_EFER, %ecx
        rdmsr
        movl    $MODE_PAGED32, %ecx
        btl     $EFER_LME_BIT, %eax
        adcl    $0, %ecx
        movl    %ecx, %ds:AT(prologue_entry_state + ENTRY_MODE)
        jmp     mode_known

        // NX may be there and hidden by the firmware. Keeps ESI, EDI.
maybe_hidden:
        pushl   %edx
        call    unhide
        popl    %edx
        jnc     fail_no_long_mode
        movl    $CPUID_EXTENDED_FEATURES, %eax
        cpuid
        movl    %edx, %ebx
        notl    %edx
        andl    $(EXTENDED_EDX_LONG_MODE | EXTENDED_EDX_NX), %edx
        jnz     fail_no_long_mode
        jmp     cpu_will_do

        // What Intel's firmware can hide: NX, and CPUID's leaves above 3. Leaves CF set
        // where that is worth another look. As Linux does, on the CPUs that have the
        // MSR (verify_cpu.S, intel_unlock_cpuid_leafs); isr32_13 goes to nothing_hidden
        // where it faults all the same. Keeps ESI, EDI.
unhide: xorl    %eax, %eax // CPUID_VENDOR
        cpuid
        cmpl    $VENDOR_EBX_INTEL, %ebx
        jne     nothing_hidden
        cmpl    $VENDOR_EDX_INTEL, %edx
        jne     nothing_hidden
        cmpl    $VENDOR_ECX_INTEL, %ecx
        jne     nothing_hidden
        movl    $CPUID_VERSION, %eax
        cpuid
        movl    %eax, %ecx
        andl    $VERSION_FAMILY, %ecx
        cmpl    $VERSION_FAMILY_6, %ecx
        jb      nothing_hidden
        ja      1f
        shrl    $VERSION_MODEL_SHIFT, %eax
        andl    $VERSION_MODEL, %eax
        cmpl    $MODEL_WITH_MISC_ENABLE, %eax
        jb      nothing_hidden
1:      movl    $MSR_MISC_ENABLE, %ecx
misc_enable_read:
        rdmsr
        btrl    $(MISC_ENABLE_XD_DISABLE_BIT - 32), %edx
        btrl    $MISC_ENABLE_LIMIT_CPUID_BIT, %eax
misc_enable_write:
        wrmsr
        stc
        ret
nothing_hidden:
        clc
        ret

        // Five levels, where they are wished for and the CPU has them.
        // Keeps EBX, ESI, EDI; leaves CR4 in EAX, the top-level table in ECX.
maybe_five_levels:
        pushl   %ebx
        xorl    %eax, %eax
        cpuid
        cmpl    $CPUID_STRUCTURED_FEATURES, %eax
        jae     1f
        call    unhide
        jnc     no_five_levels
        xorl    %eax, %eax
        cpuid
        cmpl    $CPUID_STRUCTURED_FEATURES, %eax
        jb      no_five_levels
1:
        movl    $CPUID_STRUCTURED_FEATURES, %eax
        xorl    %ecx, %ecx
        cpuid
        btl     $STRUCTURED_ECX_LA57_BIT, %ecx
        jnc     no_five_levels
        popl    %ebx
        leal    AT(prologue_early_pml4 + TABLE_BITS), %eax
        leal    AT(prologue_early_pml5), %ecx
        movl    %eax, (%ecx)
        movl    $(CR4_LONG_MODE | CR4_LA57), %eax
        jmp     depth_known
no_five_levels:
        popl    %ebx
        movl    AT(prologue_wish_paging), %eax
        cmpl    $PROLOGUE_PAGING_FIVE, %eax
        je      fail_wish_paging
        movl    $CR4_LONG_MODE, %eax
        leal    AT(prologue_early_pml4), %ecx
        jmp     depth_known

        // 2 MiB pages: the 32-bit stage's C++ writes them.
map_2m_pages:
        leal    AT(prologue_early_pd), %eax
        pushl   %eax
        leal    AT(prologue_early_pdpt), %eax
        pushl   %eax
        leal    AT(prologue_early_pml4), %eax
        pushl   %eax
        pushl   $STAGE32_EARLY_TABLES
        leal    AT(tables_stand), %eax // runs on in the flat segment
        pushl   %eax

        // Jumps to the 32-bit stage's C++ in flat segments, with its return address
        // and arguments on the stack. Clobbers EAX.
enter_stage32:
        cld
        movl    $SELECTOR_DATA, %eax
        movl    %eax, %ss
        pushl   $SELECTOR_CODE32_FLAT
        leal    AT(prologue_stage32), %eax
        pushl   %eax
        lretl

        // An SEV guest, in a kernel that wishes for none: as SEV-ES it has no console.
        .weak   prologue_sev_guest32
        .hidden prologue_sev_guest32
prologue_sev_guest32:
        testl   $SEV_STATUS_ES, %eax
        jnz     sev_left_out
        movl    %eax, %edx
        movl    $PROLOGUE_SEV_LEFT_OUT, %eax
        jmp     fail_sev
sev_left_out:
        movl    $GHCB_TERMINATION(PROLOGUE_SEV_LEFT_OUT), %eax
        jmp     sev_end
sev_not_validated:
        movl    $GHCB_TERMINATION(PROLOGUE_SEV_VC_NOT_VALIDATED), %eax

        // EAX = the request to end, in the based code segment. Whoever faults at it, or goes
        // on behind it, is no SEV-ES guest, or has a host that makes it look so: a line with
        // nothing but the reason, and no gate for what else may come.
sev_end:
        movl    %eax, %esi
        movl    $MSR_GHCB, %ecx
        xorl    %edx, %edx
sev_end_asked:
        wrmsr
        rep
        vmmcall
sev_end_ignored:
        ENTER_BASED
        lidt    %ds:AT(prologue_no_idt)
        xorl    %edx, %edx
        movl    %esi, %eax
        shrl    $GHCB_TERMINATE_CODE_SHIFT, %eax
fail_sev:
        movl    $ERROR_SEV, %ecx
        jmp     prologue_fatal32

        // Named by the linker script, which must not pull in what the kernel left out.
        .weak   prologue_snp_pages
        .set    prologue_snp_pages, prologue_early_pml4

        // Errors: ECX = which, EAX and EDX = its numbers.
fail_no_extended_leaf:
        movl    $ERROR_NO_EXTENDED_LEAF, %ecx
        jmp     prologue_fatal32
fail_no_long_mode:
        movl    %edx, %eax
        movl    $ERROR_NO_LONG_MODE, %ecx
        jmp     prologue_fatal32
fail_wish_paging:
        movl    $ERROR_WISH_PAGING, %ecx
        .globl  prologue_fatal32
        .hidden prologue_fatal32
prologue_fatal32:
        pushl   $0
        pushl   %edx
        pushl   %eax
        pushl   %ecx
        pushl   $STAGE32_FATAL
        pushl   $0
        jmp     enter_stage32

        // e_entry in 64-bit mode, in a kernel without a contract that comes in it.
        .code64
        .weak   prologue_long_mode
        .hidden prologue_long_mode
prologue_long_mode:
        cld
        leaq    prologue_stack_top(%rip), %rsp
        call    prologue_refuse_long_mode
        .code32

        // Written to where the image was moved, and not once paging is on.
gdt_pointer:
        .short  prologue_gdt_end - prologue_gdt - 1
        .long   prologue_linked_gdt
idt32_pointer:
        .short  idt32_end - idt32 - 1
        .long   prologue_linked_idt32
far_start64:
        .long   prologue_linked_start64
        .short  SELECTOR_CODE64


#include "isr32.inc"
#include "tables.inc"

        .section .note.GNU-stack, "", @progbits
