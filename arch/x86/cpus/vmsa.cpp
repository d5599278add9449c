#include "vmsa.h"

#include "bits.h"

namespace prologue {

void fill_in(Vmsa& vmsa, const VmsaStart& start) {
    constexpr uint16_t kCode64 = 0xa9b, kData = 0xc93, kLdt = 0x82, kBusyTss = 0x8b;
    constexpr uint32_t kFlat = 0xffffffff, kAtReset = 0xffff;
    constexpr uint64_t kDr6AtReset = 0xffff0ff0, kDr7AtReset = 0x400, kXcr0AtReset = 1;
    constexpr uint16_t kFcwAtReset = 0x37f;
    vmsa.cs = {SELECTOR_CODE64, kCode64, kFlat, 0};
    vmsa.ds = vmsa.es = vmsa.ss = {SELECTOR_DATA, kData, kFlat, 0};
    vmsa.ldtr = {0, kLdt, kAtReset, 0};
    vmsa.tr = {0, kBusyTss, kAtReset, 0};
    vmsa.efer = start.efer;
    vmsa.cr4 = start.cr4;
    vmsa.cr3 = start.cr3;
    vmsa.cr0 = start.cr0;
    vmsa.dr7 = kDr7AtReset;
    vmsa.dr6 = kDr6AtReset;
    vmsa.rflags = RFLAGS_CLEAR;
    vmsa.rip = start.rip;
    vmsa.pat = start.pat;
    vmsa.tsc_scale = start.tsc_scale;
    vmsa.tsc_offset = start.tsc_offset;
    vmsa.rbx = start.rbx;
    vmsa.sev_features = sev_features(start.sev_status);
    vmsa.xcr0 = kXcr0AtReset;
    vmsa.mxcsr = MXCSR_DEFAULT;
    vmsa.fcw = kFcwAtReset;
}

} // namespace prologue
