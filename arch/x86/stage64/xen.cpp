// Hypercalls to Xen. Made by VMCALL or VMMCALL, and not through Xen's hypercall page: that would
// be a page of .bss in every kernel. Linux has gone the same way (xen_hypercall_intel and
// xen_hypercall_amd in arch/x86/xen/xen-head.S), and takes the instruction that is the CPU's.
// Source: Xen public/arch-x86/cpuid.h, public/arch-x86/xen-x86_64.h, public/memory.h.
#pragma GCC visibility push(hidden)
#include "xen.h"

#include "bits.h"
#include "sev_state.h"

namespace prologue {
namespace {

constexpr uint64_t kMemoryOp = 12; // __HYPERVISOR_memory_op
constexpr uint64_t kMemoryMap = 9; // XENMEM_memory_map

// Another hypervisor's leaves, such as Hyper-V's, may stand before Xen's.
constexpr uint32_t kFirstLeaf = 0x40000000, kNextLeaf = 0x100, kLeavesEnd = 0x40010000;

// XENMEM_memory_map's argument.
struct MemoryMap {
    uint32_t entries, padding;
    RawRange* ranges; // where our page tables have them
};
static_assert(sizeof(MemoryMap) == 16);

struct Cpuid {
    uint32_t eax, ebx, ecx, edx;

    explicit Cpuid(uint32_t leaf) : eax(leaf), ecx(0) {
        asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    }
};

bool has_vmmcall() {
    const uint32_t vendor = Cpuid(CPUID_VENDOR).ebx;
    return vendor == VENDOR_EBX_AMD || vendor == VENDOR_EBX_HYGON;
}

} // namespace

// An SEV guest's host is asked for nothing here: no Xen runs one.
bool is_xen() {
    if (prologue_sev_state.status != 0)
        return false;
    for (uint32_t leaf = kFirstLeaf; leaf != kLeavesEnd; leaf += kNextLeaf) {
        const Cpuid signature(leaf);
        if (signature.ebx == XEN_EBX && signature.ecx == XEN_ECX && signature.edx == XEN_EDX)
            return true;
    }
    return false;
}

int64_t ask_xen_for_memory_map(RawRange* ranges, uint32_t& entries) {
    MemoryMap map = {entries, 0, ranges};
    uint64_t result = kMemoryOp, operation = kMemoryMap;
    MemoryMap* argument = &map;
    if (has_vmmcall())
        asm volatile("vmmcall" : "+a"(result), "+D"(operation), "+S"(argument) : : "memory");
    else
        asm volatile("vmcall" : "+a"(result), "+D"(operation), "+S"(argument) : : "memory");
    entries = map.entries;
    return static_cast<int64_t>(result);
}

} // namespace prologue
