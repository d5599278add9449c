//! What compilers call where code copies, clears or compares: rustc's own come with Cargo's
//! compiler_builtins, which a bare rustc has not. In assembly, so that no loop is taken for a
//! call of itself.

core::arch::global_asm!(
    ".pushsection .text.memory, \"ax\"",
    ".globl memcpy, memmove, memset, memcmp, bcmp",
    "memmove:",
    "memcpy:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "mov r8, rdi",
    "sub r8, rsi",
    "cmp r8, rdx",
    "jb 2f", // the target begins within the source: backwards
    "rep movsb",
    "ret",
    "2: lea rdi, [rdi + rdx - 1]",
    "lea rsi, [rsi + rdx - 1]",
    "std",
    "rep movsb",
    "cld",
    "ret",
    "memset:",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    "memcmp:",
    "bcmp:",
    "xor eax, eax",
    "mov rcx, rdx",
    "cmp rcx, rcx", // equal, if there is nothing to compare
    "repe cmpsb",
    "je 3f",
    "movzx eax, byte ptr [rdi - 1]",
    "movzx ecx, byte ptr [rsi - 1]",
    "sub ecx, eax",
    "mov eax, ecx",
    "3: ret",
    ".popsection",
);
