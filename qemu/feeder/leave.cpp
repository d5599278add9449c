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
TableRegister no_idt;     // limit 0: any exception before the guest's own LIDT resets the machine
FarPointer landing;
uint64_t target_ip;       // 8 bytes: what an indirect jump reads in 64-bit mode

// Expects everything above to be filled in, 32-bit mode without paging, and a stack.
//
// A CR0 with paging on needs the feeder identity-mapped by the script's tables. The part after
// the far jump may run in 64-bit mode: it uses only encodings that mean the same in both modes,
// and so addresses memory through a SIB byte (%eiz), since the short form is relative to RIP there.
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
    xor %%eax, %%eax
    mov %%eax, %%fs
    mov %%eax, %%gs
    pushl %c[eflags]
    popfl
    mov %%ebx, %%cr0
    ljmp *%c[landing]
    .globl feeder_landing
feeder_landing:
    lgdt %c[gdtr_left](,%%eiz,1)
    movl %c[eax](,%%eiz,1), %%eax
    movl %c[ebx](,%%eiz,1), %%ebx
    movl %c[ecx](,%%eiz,1), %%ecx
    movl %c[edx](,%%eiz,1), %%edx
    movl %c[esi](,%%eiz,1), %%esi
    movl %c[edi](,%%eiz,1), %%edi
    movl %c[ebp](,%%eiz,1), %%ebp
    movl %c[esp](,%%eiz,1), %%esp
    jmpl *%c[target_ip](,%%eiz,1)
  )" ::[no_idt] "i"(&no_idt), [gdtr] "i"(&gdtr), [gdtr_left] "i"(&gdtr_left),
      [landing] "i"(&landing), [target_ip] "i"(&target_ip), [efer_msr] "i"(0xc0000080),
      [cr0] "i"(&target.cr0), [cr3] "i"(&target.cr3), [cr4] "i"(&target.cr4),
      [efer] "i"(&target.efer), [data] "i"(&target.data), [eflags] "i"(&target.eflags),
      [eax] "i"(&target.eax), [ebx] "i"(&target.ebx), [ecx] "i"(&target.ecx),
      [edx] "i"(&target.edx), [esi] "i"(&target.esi), [edi] "i"(&target.edi),
      [ebp] "i"(&target.ebp), [esp] "i"(&target.esp)
      : "memory");
}

extern "C" const char feeder_landing[];

uint32_t address(const void* thing) { return reinterpret_cast<uint32_t>(thing); }

}  // namespace

void leave(const CpuState& state) {
  target = state;
  if (state.gdt_base) {
    gdtr = {static_cast<uint16_t>(state.gdt_limit), state.gdt_base};
  } else {
    gdtr = {sizeof own_gdt - 1, address(own_gdt)};
  }
  if (!state.gdt_gone) gdtr_left = gdtr;
  landing = {address(feeder_landing), static_cast<uint16_t>(state.cs)};
  target_ip = state.eip;
  enter_target();
}

}  // namespace feeder
