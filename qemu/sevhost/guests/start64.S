// The entry of a guest that goes to 64-bit mode, with these tables: the first 4 GiB of
// guest-physical memory mapped to themselves with the C-bit, and 4 GiB further up without.

        PAGE = 4096
        ENTRIES = 512
        DIRECTORIES = 8                 // of 1 GiB each
        ENTRY = 7                       // present, writable, ring 3: the last level decides
        LARGE = 0x83

        MSR_EFER = 0xc0000080
        MSR_GHCB = 0xc0010130
        SEV_INFO = 1
        MSR_SEV_STATUS = 0xc0010131
        SEV_STATUS_SEV = 1
        SEV_STATUS_ES = 2
        CPUID_ENCRYPTION = 0x8000001f
        CPUID_REQUEST_EBX = 0x40000004  // by the GHCB MSR

        .section .start, "ax", @progbits
        .code32

// Expects what PVH promises: flat segments, paging off, EBX = hvm_start_info.
// Leaves 64-bit mode, a stack, our GDT, and the start info as the first argument.
        .globl  start
start:
        movl    %ebx, %esi
        movl    $MSR_SEV_STATUS, %ecx   // no #VC: the processor's own answer
        rdmsr
        xorl    %edi, %edi              // the C-bit in an entry's upper half
        testl   $SEV_STATUS_SEV, %eax
        jz      2f
        testl   $SEV_STATUS_ES, %eax
        jz      1f
        movl    $MSR_GHCB, %ecx         // SEV_INFO, at reset
        rdmsr
        movl    %eax, %ebp
        shrl    $24, %ebp
        cmpb    $SEV_INFO, %al
        je      9f
        movl    %eax, %ebp              // or else: every host answers CPUID, and what the MSR
        movl    %edx, %ebx              // held at first stays
        movl    $CPUID_REQUEST_EBX, %eax
        movl    $CPUID_ENCRYPTION, %edx
        wrmsr
        rep
        vmmcall
        rdmsr
        movl    %ebp, %eax
        movl    %edx, %ebp              // EBX[5:0]
        movl    %ebx, %edx
        wrmsr
9:      btsl    %ebp, %edi              // takes the number modulo 32
        jmp     2f
1:      movl    $CPUID_ENCRYPTION, %eax
        cpuid
        btsl    %ebx, %edi              // EBX[5:0]
2:
        movl    $directories, %ecx
        movl    $LARGE, %eax
3:      movl    %eax, (%ecx)
        movl    $0, 4(%ecx)
        cmpl    $directories + DIRECTORIES / 2 * PAGE, %ecx
        jae     4f
        movl    %edi, 4(%ecx)
4:      addl    $0x200000, %eax         // wraps, and the second half begins
        addl    $8, %ecx
        cmpl    $directories + DIRECTORIES * PAGE, %ecx
        jne     3b

        movl    $directories + ENTRY, %eax
        movl    $pdpt, %ecx
5:      movl    %eax, (%ecx)
        movl    %edi, 4(%ecx)
        addl    $PAGE, %eax
        addl    $8, %ecx
        cmpl    $pdpt + DIRECTORIES * 8, %ecx
        jne     5b

        movl    $pdpt + ENTRY, pml4
        movl    %edi, pml4 + 4
#ifdef FIVE_LEVELS
        movl    $pml4 + ENTRY, pml5
        movl    %edi, pml5 + 4
        movl    $pml5, %eax
        movl    $0x1020, %edx           // LA57, PAE
#else
        movl    $pml4, %eax
        movl    $0x20, %edx             // PAE
#endif
        movl    %eax, %cr3
        movl    %edx, %cr4
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $0x100, %eax            // LME; SVME is the host's
        wrmsr
        movl    $0x80010011, %eax       // PG, WP, ET, PE
        movl    %eax, %cr0
        lgdt    gdt_pointer
        ljmp    $0x18, $6f              // kSelectorCode64

        .code64
6:      movl    $0x10, %eax             // kSelectorData
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    %ax, %fs
        movw    %ax, %gs
        movq    $stack_top, %rsp
        // CR3 was loaded with 32 bits: now with the C-bit.
        movq    %cr3, %rax
        movl    %edi, %edx
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, %cr3
        movl    %esi, %edi
        call    guest_main

gdt_pointer:
        .word   9 * 8 - 1               // kGdtEntries
        .quad   gdt

        .section .bss
        .balign PAGE
        .globl  directories, pdpt, pml4
directories:
        .space  DIRECTORIES * PAGE
pdpt:   .space  PAGE
pml4:   .space  PAGE
#ifdef FIVE_LEVELS
pml5:   .space  PAGE
#endif
        .space  0x4000
        .globl  stack_top
stack_top:
