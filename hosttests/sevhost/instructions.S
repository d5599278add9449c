# Instructions for the decoder's test. The assembler judges their length: an entry of the table
# is the size of code (16, 32, 64), the bytes' number and their address, and the text.

        .macro  CASE bits:req, text:vararg
        .section .rodata.bytes, "a"
        .code\bits
1001:   \text
1002:   .code64
        .section .rodata.texts, "aMS", @progbits, 1
1003:   .asciz  "\text"
        .section .data.rel.ro.cases, "aw"
        .quad   \bits, 1002b - 1001b, 1001b, 1003b
        .endm

        .macro  CASE_ANY text:vararg    # in each size of code
        CASE    16, \text
        CASE    32, \text
        CASE    64, \text
        .endm

        .section .data.rel.ro.cases, "aw"
        .globl  instruction_cases, instruction_cases_end
        .balign 8
instruction_cases:

# What the host executes or skips
        CASE_ANY cpuid
        CASE_ANY rdmsr
        CASE_ANY wrmsr
        CASE_ANY hlt
        CASE_ANY clts
        CASE_ANY vmmcall
        CASE_ANY rdtsc
        CASE_ANY rdtscp
        CASE_ANY rdpmc
        CASE_ANY invd
        CASE_ANY wbinvd
        CASE_ANY monitor
        CASE_ANY mwait
        CASE_ANY xsetbv
        CASE_ANY lmsw %ax
        CASE    32, mov %cr0, %eax
        CASE    32, mov %edx, %cr4
        CASE    64, mov %cr3, %r9
        CASE    64, mov %rax, %cr8
        CASE    64, mov %rax, %dr7
        CASE    32, mov %dr7, %ecx
        CASE    32, lmsw (%ebx)
        CASE    64, lgdt (%rax)
        CASE    32, sidt 0x10(%esp)
        CASE    64, invlpg 0x12345678(%rip)

# Ports
        CASE_ANY in $0x10, %al
        CASE_ANY in %dx, %eax
        CASE_ANY out %ax, $0x80
        CASE_ANY out %al, %dx
        CASE_ANY rep insb
        CASE_ANY rep outsl
        CASE_ANY insw

# Addressing
        CASE    16, mov (%bx,%si), %al
        CASE    16, mov (%bp,%di), %al
        CASE    16, mov 0x1234, %cx
        CASE    16, mov -4(%bp), %ecx
        CASE    16, mov 0x1234(%di), %cx
        CASE    16, mov 4(%eax,%ebx,2), %cx
        CASE    32, mov (%eax), %ecx
        CASE    32, mov 0x12345678, %ecx
        CASE    32, mov 0x12(%ebp), %ecx
        CASE    32, mov (%esp), %ecx
        CASE    32, mov 0x12345678(,%ebx,8), %ecx
        CASE    32, mov 0x1234(%bx,%si), %ecx
        CASE    32, mov %fs:(%eax), %cx
        CASE    64, mov (%rax), %rcx
        CASE    64, mov 0x12345678, %rcx
        CASE    64, mov (%rip), %ecx
        CASE    64, mov 0x12(%r13), %r8
        CASE    64, mov (%r12), %r8
        CASE    64, mov (%r13,%r12,4), %r8
        CASE    64, mov -8(%rbp,%r12), %r8b
        CASE    64, mov (%eax), %ecx
        CASE    64, mov %gs:(%rbx), %cx

# Immediates
        CASE_ANY movb $1, %al
        CASE    16, mov $0x1234, %ax
        CASE    16, mov $0x12345678, %eax
        CASE    32, mov $0x1234, %ax
        CASE    32, mov $0x12345678, %eax
        CASE    64, movabs $0x123456789abcdef0, %rax
        CASE    64, mov $-1, %rax
        CASE    64, movw $0x1234, (%rax)
        CASE    64, movl $0x12345678, 0x40(%rax)
        CASE    64, movq $0x12345678, 0x40(%rax)
        CASE    32, movb $0x12, 0x40(%eax)
        CASE    32, movw $0x1234, 0x40(%eax)
        CASE    16, movl $0x12345678, (%bx)
        CASE    32, movl 0x12345678, %eax
        CASE    64, movabs 0x123456789abcdef0, %al
        CASE    64, movabs %rax, 0x123456789abcdef0
        CASE    32, mov %al, 0x12345678
        CASE    32, testb $1, (%eax)
        CASE    32, testl $0x12345678, (%eax)
        CASE    32, notl (%eax)
        CASE    32, negb (%eax)
        CASE    64, mulq (%rax)
        CASE    32, imul $0x12345678, (%eax), %ecx
        CASE    32, imul $0x12, (%eax), %ecx
        CASE    16, imul $0x1234, (%bx), %cx
        CASE    32, addl $0x12, (%eax)
        CASE    32, addl $0x12345678, (%eax)
        CASE    32, cmpw $0x1234, (%eax)
        CASE    32, add $0x12345678, %eax
        CASE    32, cmp $0x12, %al
        CASE    32, shll $3, (%eax)
        CASE    32, shll (%eax)
        CASE    32, rorb %cl, (%eax)
        CASE    64, shld $3, %rax, (%rbx)
        CASE    64, shrd %cl, %eax, (%rbx)
        CASE    64, btsl $3, (%rbx)
        CASE    64, cmpxchg8b (%rbx)
        CASE    64, lock cmpxchg %rax, (%rbx)
        CASE    64, lock xadd %eax, (%rbx)
        CASE    64, pshufd $1, (%rax), %xmm1
        CASE    64, pinsrw $1, (%rax), %xmm1
        CASE    64, cmpps $1, (%rax), %xmm1
        CASE    64, pshufb (%rax), %xmm1
        CASE    64, palignr $1, (%rax), %xmm1
        CASE    64, crc32q (%rax), %rcx
        CASE    64, movbe (%rax), %ecx

# Control flow and the stack
        CASE    16, call . + 0x1000
        CASE    32, call . + 0x1000
        CASE    64, call . + 0x1000
        CASE    32, jmp . + 0x10
        CASE    32, je . + 0x10
        CASE    16, je . + 0x1000
        CASE    32, je . + 0x1000
        CASE    64, je . + 0x1000
        CASE    64, loop .
        CASE    32, ret $8
        CASE    64, ret
        CASE    64, iretq
        CASE    32, enter $16, $1
        CASE    32, ljmp $8, $0x12345678
        CASE    16, lcall $8, $0x1234
        CASE    32, pushl $0x12345678
        CASE    64, push $0x12
        CASE    64, pushq (%rax)
        CASE    64, push %fs
        CASE    32, pusha
        CASE    64, call *0x10(%rax)
        CASE    32, int $0x80
        CASE    64, syscall

# Strings and the rest
        CASE_ANY rep movsl
        CASE_ANY repne scasb
        CASE_ANY rep stosw
        CASE_ANY lodsb
        CASE_ANY cmpsb
        CASE    64, movzbl (%rax), %ecx
        CASE    64, movsbq (%rax), %rcx
        CASE    64, movslq (%rax), %rcx
        CASE    32, arpl %ax, (%ebx)
        CASE    64, setne (%rax)
        CASE    64, cmove (%rax), %ecx
        CASE    64, bswap %rax
        CASE    64, lea 0x10(%rax,%rbx,4), %rcx
        CASE    64, xchg %al, (%rbx)
        CASE    64, fxsave (%rax)
        CASE    64, prefetchnta (%rax)
        CASE    64, nopl 0(%rax,%rax)
        CASE    64, fldl (%rax)
        CASE    64, fninit
        CASE    64, ud2
        CASE    64, endbr64
        CASE    32, aam
        CASE    32, bound %eax, (%ebx)
        CASE    32, les (%eax), %ebx
        CASE    64, rep vmmcall
        CASE    64, lfence

        .section .data.rel.ro.cases, "aw"
instruction_cases_end:

        .section .note.GNU-stack, "", @progbits
