// The last steps of a loader: descriptor tables, control registers, segments, registers, jump.

#include "leave.h"

namespace feeder {
namespace {

constexpr uint64_t flat_code32 = 0x00cf9b000000ffff;
constexpr uint64_t flat_data = 0x00cf93000000ffff;

// As LGDT reads it: 6 bytes in 32-bit mode, 10 in 64-bit mode.
struct [[gnu::packed]] TableRegister {
    uint16_t limit;
    uint64_t base;
};

struct [[gnu::packed]] FarPointer {
    uint32_t offset;
    uint16_t selector;
};

const uint64_t own_gdt[] = {0, flat_code32, flat_data};

// Where the assembly below finds things: it has no register to spare for an address.
CpuState target;
TableRegister gdtr;
TableRegister gdtr_left;
TableRegister no_idt; // limit 0: any exception before the guest's own LIDT resets the machine
FarPointer landing;

// Expects everything above to be filled in, 32-bit mode without paging, and a stack.
//
// A CR0 with paging on needs the feeder identity-mapped by the script's tables. The part after the
// far jump is there twice: for 32-bit code, and for 64-bit code.
[[gnu::naked, noreturn]] void enter_target() {
    asm(R"(
    lidt %c[no_idt]
    lgdt %c[gdtr]
    mov %c[cr3], %%eax
    mov %%eax, %%cr3
    mov %c[cr4], %%eax
    mov %%eax, %%cr4
    mov %c[efer], %%eax
    test %%eax, %%eax
    jz 1f
    mov %[efer_msr], %%ecx
    xor %%edx, %%edx
    wrmsr
1:  mov %c[cr0], %%ebx
    mov %c[data], %%eax
    mov %%eax, %%ds
    mov %%eax, %%es
    mov %%eax, %%ss
    mov %c[fs_gs], %%eax
    mov %%eax, %%fs
    mov %%eax, %%gs
    mov %c[tr], %%eax
    test %%eax, %%eax
    jz 1f
    ltr %%ax
1:  pushl %c[eflags]
    popfl
    mov %%ebx, %%cr0
    ljmp *%c[landing]

    .globl feeder_landing
feeder_landing:
    lgdt %c[gdtr_left]
    movl %c[eax], %%eax
    movl %c[ebx], %%ebx
    movl %c[ecx], %%ecx
    movl %c[edx], %%edx
    movl %c[esi], %%esi
    movl %c[edi], %%edi
    movl %c[ebp], %%ebp
    movl %c[esp], %%esp
    jmpl *%c[eip]

    .code64
    .globl feeder_landing64
feeder_landing64:
    pushfq
    cld
    movl %c[move_count](%%rip), %%edx
    movl %c[moves_at](%%rip), %%ebx
1:  testl %%edx, %%edx
    jz 2f
    movq (%%rbx), %%rsi
    movq 8(%%rbx), %%rdi
    movq 16(%%rbx), %%rcx
    rep movsb
    addq $24, %%rbx
    decl %%edx
    jmp 1b
2:  movq %c[wide_cr3](%%rip), %%rax
    testq %%rax, %%rax
    jz 3f
    movq %%rax, %%cr3
3:  popfq
    lgdt %c[gdtr_left](%%rip)
    movq %c[eax](%%rip), %%rax
    movq %c[ebx](%%rip), %%rbx
    movq %c[ecx](%%rip), %%rcx
    movq %c[edx](%%rip), %%rdx
    movq %c[esi](%%rip), %%rsi
    movq %c[edi](%%rip), %%rdi
    movq %c[ebp](%%rip), %%rbp
    movq %c[esp](%%rip), %%rsp
    jmpq *%c[eip](%%rip)
    .code32
  )" ::[no_idt] "i"(&no_idt),
        [gdtr] "i"(&gdtr), [gdtr_left] "i"(&gdtr_left), [landing] "i"(&landing),
        [efer_msr] "i"(0xc0000080), [cr0] "i"(&target.cr0), [cr3] "i"(&target.cr3),
        [cr4] "i"(&target.cr4), [efer] "i"(&target.efer), [data] "i"(&target.data),
        [fs_gs] "i"(&target.fs_gs), [tr] "i"(&target.tr), [eflags] "i"(&target.eflags),
        [eax] "i"(&target.eax), [ebx] "i"(&target.ebx), [ecx] "i"(&target.ecx),
        [edx] "i"(&target.edx), [esi] "i"(&target.esi), [edi] "i"(&target.edi),
        [ebp] "i"(&target.ebp), [esp] "i"(&target.esp), [eip] "i"(&target.eip),
        [move_count] "i"(&target.move_count), [moves_at] "i"(&target.moves_at),
        [wide_cr3] "i"(&target.wide_cr3)
        : "memory");
}

extern "C" const char feeder_landing[];
extern "C" const char feeder_landing64[];

uint32_t address(const void* thing) {
    return reinterpret_cast<uint32_t>(thing);
}

} // namespace

void leave(const CpuState& state) {
    target = state;
    if (state.gdt_base) {
        gdtr = {static_cast<uint16_t>(state.gdt_limit), state.gdt_base};
    } else {
        gdtr = {sizeof own_gdt - 1, address(own_gdt)};
    }
    if (!state.gdt_gone)
        gdtr_left = gdtr;
    landing = {address(state.wide ? feeder_landing64 : feeder_landing),
               static_cast<uint16_t>(state.cs)};
    enter_target();
}

} // namespace feeder
