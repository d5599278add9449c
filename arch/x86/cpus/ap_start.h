// The way of another processor from real mode to the kernel: what its two parts, ap_start.S, and
// the boot processor, start_cpus.cpp, have in common.
#pragma once

#include "bits.h"

// The first borrowed page: a copy of the code, and behind it two tables that catch exceptions on
// the way. The second is the top-level page table.
#define AP_IVT 0x400 // real mode: 32 far pointers
#define AP_IDT 0x600 // 64-bit mode: 32 gates
#define AP_STACK 0x1000

#define AP_CODE64 0x08

// struct ApFields: what the copy is told, at its end
#define AP_CR0 0
#define AP_CR3 4 // of the way
#define AP_CR4 8
#define AP_EFER 12
#define AP_FAR 16
#define AP_IVT_POINTER 22
#define AP_GDT_POINTER 28
#define AP_IDT_POINTER 38
#define AP_LANDING 48
#define AP_SHARED 56
#define AP_FAULTS 64
#define AP_VECTOR 68
#define AP_FIELDS_BYTES 72

// struct ApShared
#define AP_SHARED_CR3 0
#define AP_SHARED_PCID 8
#define AP_SHARED_CR4 16
#define AP_SHARED_PAT 24
#define AP_SHARED_IDT 32
#define AP_SHARED_FIRST_IDT 48
#define AP_SHARED_AREAS 64
#define AP_SHARED_ENTRY 72
#define AP_SHARED_FAULTS 80
#define AP_SHARED_VECTOR 84
#define AP_SHARED_ID_LEAF 88
#define AP_SHARED_PARKS 96
#define AP_SHARED_NEXT 104
#define AP_SHARED_ENTRY_BEHIND 112
#define AP_SHARED_BYTES 4096 // with a stack for exceptions on the way

// Places in the table of areas: an area lies at its APIC id's, or behind it where that is taken.
#define AP_PLACES 4096

// struct ApArea
#define AP_AREA_CPU 0
#define AP_AREA_STACK 8
#define AP_AREA_GDT 16
#define AP_AREA_ID 32

// prologue_cpu
#define AP_CPU_STATE 12
#define AP_CPU_GS_BASE 40
#define AP_STARTING 2
#define AP_RUNNING 3
#define AP_PARKED 6

#define CPUID_TOPOLOGY 0xb

#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)
#include "descriptors.h"
#include "sev_state.h"
#include "prologue/cpus.h"

namespace prologue {

struct TablePointer {
    uint16_t limit;
    uint64_t base;
    uint16_t unused[3];

    void set(const void* table, uint16_t bytes) {
        limit = static_cast<uint16_t>(bytes - 1);
        base = reinterpret_cast<uintptr_t>(table);
    }
} __attribute__((packed));

// What all of them are told once they run at the kernel's addresses.
struct ApShared {
    uint64_t cr3, cr3_with_pcid, cr4, pat;
    TablePointer idt, first_idt;
    struct ApArea* const* areas; // AP_PLACES of them
    void (*entry)(prologue_cpu*);
    uint32_t faults, vector; // exceptions on the way's 64-bit part
    uint32_t id_leaf;
    const char* parks;                   // where those go on that have returned
    struct ApArea* next;                 // SEV-ES: of whom SIPI is for
    void (*entry_behind)(prologue_cpu*); // behind that which takes the base of GS
    uint64_t first_gates[2 * VECTORS];
};
static_assert(sizeof(ApShared) <= AP_SHARED_BYTES / 2, "the rest is a stack");

struct ApFields {
    uint32_t cr0, cr3, cr4, efer;
    struct {
        uint32_t offset;
        uint16_t selector;
    } __attribute__((packed)) far;
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) ivt;
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdt, idt;
    uint64_t landing, shared;
    uint32_t faults, vector;
} __attribute__((packed));

// A processor's own, on the last page of its memory.
struct ApArea {
    prologue_cpu* cpu;
    uint64_t stack_top;
    TablePointer gdt_pointer;
    uint32_t apic_id;
    uint64_t gdt[GDT_BYTES / 8];
    Tss tss;
    SevCpu sev; // from here on what is not cleared when it starts again
    uint64_t vmsa_phys;
    bool has_run; // by that save area; as SEV-ES: somebody has been given this area
};

static_assert(offsetof(ApShared, idt) == AP_SHARED_IDT &&
              offsetof(ApShared, first_idt) == AP_SHARED_FIRST_IDT &&
              offsetof(ApShared, parks) == AP_SHARED_PARKS &&
              offsetof(ApShared, next) == AP_SHARED_NEXT &&
              offsetof(ApShared, entry_behind) == AP_SHARED_ENTRY_BEHIND &&
              offsetof(ApShared, id_leaf) == AP_SHARED_ID_LEAF &&
              offsetof(ApShared, areas) == AP_SHARED_AREAS &&
              offsetof(ApShared, pat) == AP_SHARED_PAT &&
              offsetof(ApShared, cr3_with_pcid) == AP_SHARED_PCID &&
              offsetof(ApShared, cr4) == AP_SHARED_CR4 &&
              offsetof(ApShared, entry) == AP_SHARED_ENTRY &&
              offsetof(ApShared, faults) == AP_SHARED_FAULTS &&
              offsetof(ApShared, vector) == AP_SHARED_VECTOR);
static_assert(offsetof(ApFields, far) == AP_FAR && offsetof(ApFields, ivt) == AP_IVT_POINTER &&
              offsetof(ApFields, gdt) == AP_GDT_POINTER &&
              offsetof(ApFields, idt) == AP_IDT_POINTER &&
              offsetof(ApFields, landing) == AP_LANDING &&
              offsetof(ApFields, shared) == AP_SHARED && offsetof(ApFields, faults) == AP_FAULTS &&
              offsetof(ApFields, vector) == AP_VECTOR && sizeof(ApFields) == AP_FIELDS_BYTES);
static_assert(offsetof(ApArea, stack_top) == AP_AREA_STACK &&
              offsetof(ApArea, gdt_pointer) == AP_AREA_GDT &&
              offsetof(ApArea, apic_id) == AP_AREA_ID);
static_assert(offsetof(prologue_cpu, state) == AP_CPU_STATE &&
              offsetof(prologue_cpu, gs_base) == AP_CPU_GS_BASE &&
              PROLOGUE_CPU_STARTING == AP_STARTING && PROLOGUE_CPU_RUNNING == AP_RUNNING &&
              PROLOGUE_CPU_PARKED == AP_PARKED);

} // namespace prologue

extern "C" {
// To be copied to the first borrowed page, and where in it things are.
extern const char prologue_ap_code[], prologue_ap_code_end[], prologue_ap_fields[];
extern const char prologue_ap_long[], prologue_ap_wakes[], prologue_ap_held[], prologue_ap_gdt[];
extern const char prologue_ap_caught[];
// At the kernel's address, on one page.
extern const char prologue_ap_lands[], prologue_ap_lands_end[];
void prologue_ap_takes_gs_base(prologue_cpu*);
// How those wait that have returned: for INIT and SIPI, or for their state to change.
extern const char prologue_ap_halts[], prologue_ap_waits_awake[];
// The same of SEV-ES and SNP: ap_start_sev.S
extern const char prologue_ap_lands_es[], prologue_ap_lands_es_end[], prologue_ap_arrives[];
extern const char prologue_ap_is_held[];
void prologue_ap_joins(prologue::ApArea* area);
prologue::ApArea* prologue_ap_holds(prologue_cpu* cpu);
extern prologue::ApShared prologue_ap_shared; // on a page of its own
}
#pragma GCC visibility pop
#endif
