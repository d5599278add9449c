// Each interception that SEV-ES makes a #VC, by the rules of the mode that the guest stands in.
#include "exceptions.h"
#include "ghcb.h"
#include "paging.h"
#include "ring3.h"
#include "tables.h"

constexpr Word kFlagCarry = 1 << 0, kFlagInterrupts = 1 << 9, kFlagNested = 1 << 14,
               kFlagResume = 1 << 16;
constexpr Word kApic = 0xfee00000;
constexpr uint32_t kMsrApicBase = 0x1b, kMsrEfer = 0xc0000080, kMsrStar = 0xc0000081;
constexpr Word kDebugPort = 0xea;

static uint8_t other_stack[4096] __attribute__((aligned(16)));
[[maybe_unused]] constexpr Word kOtherStackBytes = sizeof other_stack;

static void cpuid() {
    Registers r = {.a = 1};
    RAISE("cpuid", r);
    EXPECT_VC(0x72);
}

static void ports() {
    Registers r = {.d = kDebugPort};
    RAISE("in %%dx, %%al", r);
    EXPECT_VC(0x7b);
    RAISE("out %%eax, %%dx", r);
    EXPECT_VC(0x7b);
    RAISE("in $0x71, %%ax", r);
    EXPECT_VC(0x7b);
    RAISE("out %%al, $0x80", r);
    EXPECT_VC(0x7b);
}

static void port_strings() {
    static uint8_t buffer[16];
    Registers r = {
        .c = sizeof buffer, .d = kDebugPort, .si = address_of(buffer), .di = address_of(buffer)};
    RAISE("rep outsb", r);
    EXPECT_VC(0x7b);
    EXPECT_EQUAL(r.c, sizeof buffer);
    EXPECT_EQUAL(r.si, address_of(buffer));
    RAISE("insl", r);
    EXPECT_VC(0x7b);
    EXPECT_EQUAL(r.di, address_of(buffer));
}

static void msrs() {
    Registers r = {.c = kMsrApicBase};
    RAISE("rdmsr", r);
    EXPECT_VC(0x7c);
    RAISE("wrmsr", r);
    EXPECT_VC(0x7c);
}

// What the processor itself saves, or answers, exits to nobody.
static void own_msrs() {
    const uint64_t star = 0x0123456789abcdef;
    caught.count = 0;
    write_msr(kMsrStar, star);
    EXPECT_EQUAL(read_msr(kMsrStar), star);
    EXPECT_EQUAL(read_msr(kMsrSevStatus) & kSevStatusEs, kSevStatusEs);
    EXPECT_EQUAL(read_msr(kMsrGhcb), ghcb_msr_at_entry());
    EXPECT_EQUAL(caught.count, 0);
}

// VMRUN wants it in the VMSA, and so the guest sees it (APM vol. 2, 15.5.1).
constexpr uint64_t kSvme = 1 << 12;
static void efer_has_svme() {
    EXPECT_EQUAL(read_msr(kMsrEfer) & kSvme, kSvme);
}
static void efer_loses_svme() {
    write_msr(kMsrEfer, read_msr(kMsrEfer) & ~kSvme);
}

// The write traps of EFER and the control registers are automatic exits.
static void control_registers() {
    constexpr Word kTaskSwitched = 1 << 3, kGlobalPages = 1 << 7;
    constexpr uint64_t kSyscalls = 1;
    caught.count = 0;
    Word value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    asm volatile("mov %0, %%cr0" : : "r"(value | kTaskSwitched));
    asm volatile("mov %%cr0, %0" : "=r"(value));
    EXPECT_EQUAL(value & kTaskSwitched, kTaskSwitched);
    asm volatile("clts");
    asm volatile("mov %%cr0, %0" : "=r"(value));
    EXPECT_EQUAL(value & kTaskSwitched, 0);
    asm volatile("mov %%cr4, %0" : "=r"(value));
    asm volatile("mov %0, %%cr4" : : "r"(value | kGlobalPages));
    asm volatile("mov %%cr4, %0" : "=r"(value));
    EXPECT_EQUAL(value & kGlobalPages, kGlobalPages);
    const uint64_t efer = read_msr(kMsrEfer);
    write_msr(kMsrEfer, efer | kSyscalls);
    EXPECT_EQUAL(read_msr(kMsrEfer), efer | kSyscalls);
    EXPECT_EQUAL(caught.count, 0);
}

static void counters() {
    Registers r = {};
    RAISE("rdpmc", r);
    EXPECT_VC(0x6f);
}

static void caches() {
    Registers r = {};
    RAISE("invd", r);
    EXPECT_VC(0x76);
    RAISE("wbinvd", r);
    EXPECT_VC(0x89);
}

static void debug_register() {
    Registers r = {.a = 0x400};
#ifdef __x86_64__
    RAISE("mov %%rax, %%dr7", r);
    EXPECT_VC(0x37);
    RAISE("mov %%dr7, %%rbx", r);
#else
    RAISE("mov %%eax, %%dr7", r);
    EXPECT_VC(0x37);
    RAISE("mov %%dr7, %%ebx", r);
#endif
    EXPECT_VC(0x27);
}

static Word dr7() {
    Word value;
    asm volatile("mov %%dr7, %0" : "=r"(value));
    return value;
}

static void hypercall() {
    Registers r = {.a = 0x1234};
    RAISE("vmmcall", r);
    EXPECT_VC(0x81);
}

static void waiting() {
    Registers r = {.a = address_of(other_stack)};
    RAISE("monitor", r);
    EXPECT_VC(0x8a);
    RAISE("mwait", r);
    EXPECT_VC(0x8b);
}

// Whether a device is mapped with the C-bit or without, its access is a nested fault.
static void devices() {
    turn_paging_on();
    Registers r = {.di = kApic + 0x30};
    RAISE("movl (%%" GUEST_DI "), %%eax", r);
    EXPECT_VC(0x400);
    RAISE("movl %%eax, (%%" GUEST_DI ")", r);
    EXPECT_VC(0x400);
    entry_of(kApic) ^= c_bit_mask();
    flush(kApic);
    RAISE("movl (%%" GUEST_DI "), %%eax", r);
    EXPECT_VC(0x400);
}

// The handler finds what the processor pushes, and the flags that its gate leaves.
static void frame() {
    Registers r = {};
    ignore_timer();
    asm volatile("sti");
    RAISE("stc; cpuid", r);
    asm volatile("cli");
    EXPECT_EQUAL(caught.frame.error_code, 0x72);
    EXPECT_EQUAL(caught.frame.cs, kSelectorCode);
    EXPECT_EQUAL(caught.frame.flags & (kFlagInterrupts | kFlagCarry | kFlagResume),
                 kFlagInterrupts | kFlagCarry | kFlagResume);
    EXPECT_EQUAL(caught.flags & (kFlagInterrupts | kFlagNested), 0);
    EXPECT_EQUAL(caught.cs, kSelectorCode);
#ifdef __x86_64__
    EXPECT_EQUAL(caught.frame.ss, kSelectorData);
    EXPECT_EQUAL(caught.frame_at % 16, 0);
    EXPECT(caught.frame.sp - caught.frame_at < 6 * 8 + 16);
#endif
}

static void trap_gate() {
    Registers r = {};
    idt[kVectorVc].type = kTrapGate;
    ignore_timer();
    asm volatile("sti");
    RAISE("cpuid", r);
    asm volatile("cli");
    EXPECT_VC(0x72);
    EXPECT_EQUAL(caught.flags & kFlagInterrupts, kFlagInterrupts);
}

static void stack_switch() {
    prepare_ring3();
    let_ring3_use(address_of(cpuid));
    Registers r = {};
    RAISE_IN_RING3("cpuid", r);
    EXPECT_VC(0x72);
    constexpr Word kPushed = 6 * sizeof(Word);
    EXPECT_EQUAL(caught.frame_at, address_of(inner_stack) + kInnerStackBytes - kPushed);
    EXPECT_EQUAL(caught.frame.cs & 3, 3);
    EXPECT_EQUAL(caught.frame.ss, kSelectorUserData | kRing3);
    EXPECT_EQUAL(caught.frame.sp, outer_stack_pointer);
    EXPECT_EQUAL(caught.cs & 3, 0);
    EXPECT_EQUAL(caught.ss, kLong ? 0 : kSelectorData);
}

#ifdef __x86_64__
static void interrupt_stack() {
    tss.ist[2] = address_of(other_stack) + kOtherStackBytes - 8; // not aligned: the CPU does that
    idt[kVectorVc].ist = 3;
    Registers r = {};
    RAISE("cpuid", r);
    EXPECT_VC(0x72);
    EXPECT_EQUAL(caught.frame_at, address_of(other_stack) + kOtherStackBytes - 16 - 6 * 8);
    EXPECT_EQUAL(caught.frame.ss, kSelectorData);
}

static void handler_not_canonical() {
    idt[kVectorVc].offset_high = 0x12345678;
    Registers r = {};
    RAISE("cpuid", r);
    EXPECT_EXCEPTION(kVectorDf);
    EXPECT_EQUAL(caught.frame.error_code, 0);
    EXPECT_EQUAL(caught.frame.ip, raised_at);
}

// A stack that is not mapped: #PF, on a stack of its own.
static void stack_not_mapped() {
    constexpr Word kHole = 0x10'0000'0000;
    tss.ist[1] = kHole;
    tss.ist[2] = address_of(other_stack) + kOtherStackBytes;
    idt[kVectorVc].ist = 2;
    idt[kVectorPf].ist = 3;
    Registers r = {};
    RAISE("cpuid", r);
    EXPECT_EXCEPTION(kVectorPf);
    EXPECT_EQUAL(caught.frame.error_code, 2);
    EXPECT_EQUAL(caught.frame.ip, raised_at);
    Word cr2;
    asm volatile("mov %%cr2, %0" : "=r"(cr2));
    EXPECT_EQUAL(cr2, kHole - 6 * 8);
}

// The same, and none for #PF: a double fault.
static void double_fault_after_page_fault() {
    tss.ist[1] = 0x10'0000'0000;
    tss.ist[2] = address_of(other_stack) + kOtherStackBytes;
    idt[kVectorVc].ist = 2;
    idt[kVectorPf].ist = 2;
    idt[kVectorDf].ist = 3;
    Registers r = {};
    RAISE("cpuid", r);
    EXPECT_EXCEPTION(kVectorDf);
}
#endif

static void gate_not_present() {
    idt[kVectorVc].type = 0x0e;
    Registers r = {};
    RAISE("cpuid", r);
    EXPECT_EXCEPTION(kVectorDf);
    EXPECT_EQUAL(caught.frame.error_code, 0);
    EXPECT_EQUAL(caught.frame.ip, raised_at);
}

static void idt_too_short() {
    load_idt(address_of(idt), sizeof(Gate) * kVectorVc - 1);
    Registers r = {};
    RAISE("cpuid", r);
    EXPECT_EXCEPTION(kVectorDf);
}

static void selector_wrong() {
    idt[kVectorVc].selector = kSelectorData;
    Registers r = {};
    RAISE("cpuid", r);
    EXPECT_EXCEPTION(kVectorDf);
}

// Ends with the host's word of it.
static void no_handler_at_all() {
    load_idt(0, 0);
    Registers r = {};
    RAISE("cpuid", r);
}

// The same without a #VC: the processor's own shutdown.
static void shutdown_of_its_own() {
    load_idt(0, 0);
    asm volatile("ud2");
}

// What a host may intercept besides.
static void timestamps() {
    Registers r = {};
    RAISE("rdtsc", r);
    EXPECT_VC(0x6e);
    RAISE("rdtscp", r);
    EXPECT_VC(0x87);
}

static void timestamps_of_its_own() {
    Registers r = {};
    RAISE("rdtsc", r);
    RAISE("rdtscp", r);
    resume_at = 0;
    EXPECT_EQUAL(caught.count, 0);
}

// HOST=vmm: what it intercepts, and what it leaves to the guest.
static void of_vmm() {
    constexpr uint32_t kMsrPat = 0x277, kMsrTscAux = 0xc0000103;
    Registers r = {};
    RAISE("rdtsc", r);
    RAISE("wbinvd", r);
    resume_at = 0;
    const Word value = dr7();
    EXPECT_EQUAL(value & 0x400, 0x400);
    EXPECT_EQUAL(caught.count, 0);
    RAISE("rdtscp", r);
    EXPECT_VC(0x87);
    for (const uint32_t msr : List<uint32_t>{kMsrPat, kMsrTscAux}) {
        r.c = msr;
        RAISE("rdmsr", r);
        EXPECT_VC(0x7c);
    }
}

static void processor_register() {
    Registers r = {};
    RAISE(".byte 0x0f, 0x01, 0xfd", r); // RDPRU
    EXPECT_VC(0x8e);
}

static void extended_state() {
    Registers r = {.a = 1};
    RAISE("xsetbv", r);
    EXPECT_VC(0x8d);
}

#ifndef __x86_64__ // on the way to 64-bit mode they could not be handled
#define EXPECT_VC_OF(instruction, code)                                                            \
    do {                                                                                           \
        RAISE(instruction, r);                                                                     \
        EXPECT_VC(code);                                                                           \
    } while (false)

static void control_register_intercepts() {
    Registers r = {};
    EXPECT_VC_OF("mov %%cr0, %%eax", 0x00);
    EXPECT_VC_OF("mov %%cr2, %%eax", 0x02);
    EXPECT_VC_OF("mov %%cr3, %%eax", 0x03);
    EXPECT_VC_OF("mov %%cr4, %%eax", 0x04);
    EXPECT_VC_OF("mov %%eax, %%cr0", 0x10);
    EXPECT_VC_OF("mov %%eax, %%cr2", 0x12);
    EXPECT_VC_OF("mov %%eax, %%cr3", 0x13);
    EXPECT_VC_OF("mov %%eax, %%cr4", 0x14);
}
#endif

// Without SEV nothing of this is there: no exception, no other CPUID.
static void plain() {
    static const char kText[] = "a plain guest's port\n";
    caught.count = 0;
    Registers r = {.a = 0x80000000};
    RAISE("cpuid", r);
    const bool has_encryption = r.a >= 0x8000001f;
    r = {.a = 0x8000001f};
    RAISE("cpuid", r);
    EXPECT_EQUAL(has_encryption && (r.a & 0x1f), false);
    EXPECT_EQUAL(caught.count, 0);
    RAISE("vmmcall", r);
    EXPECT_EXCEPTION(kVectorUd);
    EXPECT_EQUAL(read_msr(kMsrSevStatus), 0);
    for (unsigned i = 0; kText[i]; ++i)
        asm volatile("outb %0, %1" : : "a"(kText[i]), "Nd"(uint16_t{kDebugPort}));
}

const Scene scenes[] = {
    {"cpuid", cpuid},
    {"ports", ports},
    {"port-strings", port_strings},
    {"msrs", msrs},
    {"own-msrs", own_msrs},
    {"control-registers", control_registers},
    {"counters", counters},
    {"caches", caches},
    {"debug-register", debug_register},
    {"hypercall", hypercall},
    {"waiting", waiting},
    {"devices", devices},
    {"frame", frame},
    {"trap-gate", trap_gate},
    {"stack-switch", stack_switch},
#ifdef __x86_64__
    {"interrupt-stack", interrupt_stack},
    {"handler-not-canonical", handler_not_canonical},
    {"stack-not-mapped", stack_not_mapped},
    {"double-fault-after-page-fault", double_fault_after_page_fault},
#endif
    {"gate-not-present", gate_not_present},
    {"idt-too-short", idt_too_short},
    {"selector-wrong", selector_wrong},
    {"timestamps", timestamps},
    {"timestamps-of-its-own", timestamps_of_its_own},
    {"processor-register", processor_register},
    {"extended-state", extended_state},
#ifndef __x86_64__
    {"control-register-intercepts", control_register_intercepts},
#endif
    {"efer-has-svme", efer_has_svme},
    {"efer-loses-svme", efer_loses_svme},
    {"of-vmm", of_vmm},
    {"plain", plain},
    {"no-handler-at-all", no_handler_at_all},
    {"shutdown-of-its-own", shutdown_of_its_own},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
