#include "probe.h"

#include <string.h>

#include "guest.h"
#include "machine.h"
#include "nested_tables.h"
#include "outcome.h"
#include "vmcb.h"
#include "world_switch.h"

namespace sevhost {
namespace {

constexpr uint32_t kExtendedEcxSvm = 1 << 2;
constexpr uint32_t kSvmEdxNestedPaging = 1 << 0;
constexpr unsigned kHighestCBitWith4Levels = 47; // the nested tables' addresses have 48 bits

void require_svm() {
    if (cpuid(kCpuidExtendedMax).eax < kCpuidSvm ||
        (cpuid(kCpuidExtendedFeatures).ecx & kExtendedEcxSvm) == 0)
        fail("this machine has no SVM: QEMU's TCG has, with -cpu max");
    if ((cpuid(kCpuidSvm).edx & kSvmEdxNestedPaging) == 0)
        fail("this machine's SVM has no nested paging: QEMU has it from 6.2 on, with -cpu max");
}

void require_c_bit(const HostMemory& host, unsigned c_bit) {
    if (c_bit > kHighestCBitWith4Levels && host.handoff().paging_levels != 5)
        fail("a C-bit at ", decimal(c_bit),
             " needs five-level paging in the host, and the CPU "
             "has no LA57: 47 is the highest without it");
    const unsigned width = cpuid(kCpuidAddressWidths).eax & 0xff;
    if (width <= c_bit)
        fail("a C-bit at ", decimal(c_bit), " needs physical addresses of ", decimal(c_bit + 1),
             " bits, and this machine has ", decimal(width), ": -cpu max,phys-bits=52");
}

// A guest of one instruction, in real mode, whose code is where only nested
// paging can find it: QEMU before 7.2.15 walks no nested tables while the
// guest's paging is off, and a version number is no proof.
void require_nested_paging_without_paging(HostMemory& host) {
    constexpr uint64_t kExitVmmcall = 0x81;
    constexpr uint8_t kVmmcall[] = {0x0f, 0x01, 0xd9};
    constexpr uint32_t kInterceptVmrunVmmcall = 3; // every VMRUN must intercept the first (15.5)
    constexpr GuestPhys kCode = 0x1000;
    constexpr uint64_t kPageMisses = kPageBytes - 1;
    const HostPhys vmcb_page = host.take_page(), code = host.take_page();
    memset(host.at(code), 0xf4, kPageMisses);
    memcpy(host.at(code), kVmmcall, sizeof kVmmcall);

    Vm vm(host, {});
    Guest guest(vm);
    guest.host_vmcb_phys = prepare_world_switch(host);
    guest.vmcb = host.at<Vmcb>(vmcb_page);
    guest.vmcb_phys = vmcb_page;
    guest.by_c_bit.create(host);
    guest.by_c_bit.map(kCode, code, false, NestedTables::kExecute);
    VmcbControl& control = guest.vmcb->control;
    control.misc2 = kInterceptVmrunVmmcall;
    control.misc1 = ~0u;
    control.exceptions = ~0u;
    control.asid = 1;
    control.tlb_control = kTlbFlushAll;
    control.nested_enable = kNestedPaging;
    control.nested_cr3 = guest.by_c_bit.root();
    VmcbSave& save = guest.save();
    constexpr uint16_t kRealModeCode = kSegmentPresent | kSegmentUser | kSegmentCode | 2;
    constexpr uint16_t kRealModeData = kSegmentPresent | kSegmentUser | 2;
    save.cs = {0, kRealModeCode, 0xffff, 0};
    save.ds = save.es = save.ss = {0, kRealModeData, 0xffff, 0};
    save.cr0 = kCr0Et;
    save.efer = kEferSvme;
    save.rflags = kFlagsFixed;
    save.dr6 = 0xffff0ff0;
    save.dr7 = 0x400;
    save.rip = kCode;
    run_guest(guest);
    if (control.exit_code != kExitVmmcall)
        fail("nested paging does not work here for a guest with paging off (exit ",
             hex(control.exit_code), "): QEMU has it from 7.2.15 on");
}

// A CPU without XSAVE has XSETBV raise #UD, which is an exit; TCG has none for XSETBV itself.
void require_xsetbv_exit() {
    constexpr uint32_t kFeaturesEcxXsave = 1u << 26;
    if (cpuid(kCpuidFeatures).ecx & kFeaturesEcxXsave)
        fail("QEMU's TCG does not intercept XSETBV: intercept=xsetbv needs a CPU without it, "
             "-cpu max,phys-bits=52,-xsave");
}

} // namespace

void require_machine(HostMemory& host, const Settings& settings) {
    require_svm();
    if (settings.sev != Sev::none)
        require_c_bit(host, settings.c_bit);
    if (settings.intercepted.xsetbv)
        require_xsetbv_exit();
    require_nested_paging_without_paging(host);
}

} // namespace sevhost
