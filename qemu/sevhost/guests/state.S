// The guest of state files: it marks every register as it found it, then words of memory, and
// halts; so that the host's report still shows the segments that it was entered with.

        MARKER = 0x4b52414d             // qemu/sevhost/host/exits.cpp
        MSR_EFER = 0xc0000080
        RANGES = 0x600                  // pairs of address and count of words, to a count of 0

        .section .start, "ax", @progbits
        .code32

// Expects 32-bit code or compatibility mode, DS flat, and nothing else.
        .globl  start
start:
        movl    %eax, found
        movl    %ecx, found + 4
        movl    %edx, found + 8
        movl    %ebx, found + 12
        movl    %esp, found + 16
        movl    %ebp, found + 20
        movl    %esi, found + 24
        movl    %edi, found + 28
        movl    $found_end, %esp
        pushfl
        popl    found + 32
        movl    %cr0, %eax
        movl    %eax, found + 36
        movl    %cr3, %eax
        movl    %eax, found + 40
        movl    %cr4, %eax
        movl    %eax, found + 44
        movl    $MSR_EFER, %ecx
        rdmsr
        movl    %eax, found + 48
        movw    %cs, found + 52
        movw    %ds, found + 56
        movw    %es, found + 60
        movw    %fs, found + 64
        movw    %gs, found + 68
        movw    %ss, found + 72
        sldt    found + 76
        str     found + 80
        sgdt    table
        movl    $found + 84, %edi
        call    keep_table
        sidt    table
        movl    $found + 92, %edi
        call    keep_table

        movl    $found, %esi
        movl    $FOUND, %ecx
        call    mark_words
        movl    $RANGES, %edi
1:      movl    (%edi), %esi
        movl    4(%edi), %ecx
        jecxz   2f
        addl    $8, %edi
        call    mark_words
        jmp     1b
2:      cli
        hlt

// Limit and base of `table`, to EDI.
keep_table:
        movzwl  table, %eax
        movl    %eax, (%edi)
        movl    table + 2, %eax
        movl    %eax, 4(%edi)
        ret

// ECX words from ESI.
mark_words:
        movl    $MARKER, %eax
1:      movl    (%esi), %ebx
        vmmcall
        addl    $4, %esi
        loop    1b
        ret

        FOUND = 25                      // words
        .section .bss
        .balign 16
found:  .space  FOUND * 4
        .space  64                      // a stack
found_end:
table:  .space  6

        .section .note.GNU-stack, "", @progbits
