// Our descriptor tables in 64-bit mode: an IDT with all 32 vectors, and a TSS
// that gives their handlers stacks of their own.
// Source: SDM vol. 3, 3.5, 6.14 and 7.7.
//
// Every gate has one, so that no event moves the stack of what it interrupts: a host
// can inject one into the handler of the other, without end, and each begins where
// the one before it did. What it overwrites is the frame of one that does not go on:
// all handlers end but #VC's, which has a stack to itself, since a report's own port
// accesses are #VCs; and a #VC in a #VC is the end, before anything of the first's
// frame is used again (docs/sev.md).
#include "bits.h"

#include "descriptors.h"
#include "sev_state.h"

#pragma GCC visibility push(hidden)

// A gate: offset 15:0, selector, IST and type, offset 31:16; then offset 63:32.
typedef uint64_t Gate __attribute__((vector_size(16)));

extern "C" {
extern const char prologue_isr64[], prologue_isr64_sev_df[];
extern Gate prologue_idt[VECTORS];
void prologue_install_idt();
void prologue_install_descriptors();
}

alignas(16) Gate prologue_idt[VECTORS];

namespace {

struct TablePointer {
    uint16_t limit;
    const void* base;
} __attribute__((packed));

constexpr unsigned kIstOfAll = 1, kIstOfVc = 2;
constexpr unsigned kIstShift = 32;
constexpr uint64_t kInterruptGate = uint64_t{0x8e} << 40 | uint64_t{kIstOfAll} << kIstShift |
                                    uint64_t{SELECTOR_CODE64} << 16;
constexpr uint64_t kAvailableTss = uint64_t{0x89} << 40;

// Of an SEV-ES guest, which reports nothing, but in a build that asks for it.
#ifdef PROLOGUE_REPORT_TO_HOST
constexpr bool kDoubleFaultIsSilent = false;
#else
constexpr bool kDoubleFaultIsSilent = true;
#endif

alignas(16) prologue::Tss tss;
alignas(16) char exception_stack[EXCEPTION_STACK_BYTES], vc_stack[EXCEPTION_STACK_BYTES];

// The address of a symbol as code sees it now. Without this the compiler would
// lay out the pointer at link time, with the address that the kernel is linked
// for.
template <class T>
T* where_it_is(T* symbol) {
    asm("" : "+r"(symbol));
    return symbol;
}

Gate gate_to(const char* handler) {
    const auto at = reinterpret_cast<uintptr_t>(handler);
    return {(at & 0xffff) | kInterruptGate | (at >> 16 & 0xffff) << 48, at >> 32};
}

void fill_idt() {
    Gate gate = gate_to(prologue_isr64);
    Gate next = {ISR64_STRIDE, 0};
    asm("" : "+x"(next)); // lest each gate be computed from the first
#pragma clang loop unroll_count(8)
    for (unsigned vector = 0; vector != VECTORS; ++vector, gate += next)
        prologue_idt[vector] = gate;
    prologue_idt[VECTOR_VC][0] ^= uint64_t{kIstOfAll ^ kIstOfVc} << kIstShift;
    if (kDoubleFaultIsSilent && prologue::prologue_sev_state.es())
        prologue_idt[VECTOR_DOUBLE_FAULT] = gate_to(prologue_isr64_sev_df);
}

void fill_tss() {
    tss.ist[kIstOfAll - 1] = reinterpret_cast<uintptr_t>(exception_stack + sizeof exception_stack);
    tss.ist[kIstOfVc - 1] = reinterpret_cast<uintptr_t>(vc_stack + sizeof vc_stack);
    prologue::set_tss(prologue_gdt, tss);
}

} // namespace

void prologue::set_tss(uint64_t* gdt, Tss& tss) {
    tss.io_map_base = sizeof tss;
    const auto base = reinterpret_cast<uintptr_t>(&tss);
    uint64_t* const descriptor = gdt + SELECTOR_TSS / 8;
    descriptor[0] = (sizeof tss - 1) | (base & 0xffffff) << 16 | kAvailableTss |
                    (base >> 24 & 0xff) << 56;
    descriptor[1] = base >> 32;
}

const char* prologue_idt64() {
    return reinterpret_cast<const char*>(where_it_is(prologue_idt));
}

// No gate in it is at any time without a stack: it is in force while it is written again.
// Expects the TSS.
[[gnu::noinline]] void prologue_install_idt() {
    fill_idt();
    const TablePointer pointer = {sizeof prologue_idt - 1, where_it_is(prologue_idt)};
    asm volatile("lidt %0" : : "m"(pointer));
}

// Loads GDT, TSS and IDT at the addresses where this code runs: once where the image
// lies, if it was entered in 64-bit mode, or as SEV guest; once in the window, once where
// the kernel is mapped. Expects our GDT's code selector in CS, by the first exception.
void prologue_install_descriptors() {
    fill_tss();
    const TablePointer gdt_pointer = {GDT_BYTES - 1, where_it_is(prologue_gdt)};
    asm volatile("lgdt %0" : : "m"(gdt_pointer));
    asm volatile("ltr %w0" : : "r"(SELECTOR_TSS));
    prologue_install_idt();
}
