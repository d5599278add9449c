// States in which loaders enter a guest.
#include "launch.h"
#include "place.h"

namespace sevhost {
namespace {

constexpr uint16_t kSelectorCode = 0x10;
constexpr uint16_t kSelectorData = 0x18;
constexpr uint64_t kDescriptorCode32 = 0x00cf9b000000ffff; // base 0, 4 GiB, 32-bit, read
constexpr uint64_t kDescriptorData = 0x00cf93000000ffff;
constexpr uint64_t kGdt[] = {0, 0, kDescriptorCode32, kDescriptorData};

constexpr uint16_t kSegmentAccessed = 1 << 0;
constexpr uint16_t kSegmentWritable = 1 << 1; // of code: readable
constexpr uint16_t kFlatData = kSegmentPages | kSegmentBig | kSegmentPresent | kSegmentUser |
                               kSegmentWritable | kSegmentAccessed;
constexpr uint16_t kFlatCode = kFlatData | kSegmentCode;
constexpr uint16_t kBusyTss = kSegmentPresent | 0xb; // type 11: a busy 32-bit TSS (4.8.3)
constexpr uint16_t kLdt = kSegmentPresent | 0x2;
constexpr uint32_t kWholeLimit = 0xffffffff;
constexpr uint32_t kLimit64K = 0xffff;

constexpr uint16_t kRealModeData = kSegmentPresent | kSegmentUser | kSegmentWritable |
                                   kSegmentAccessed;
constexpr uint16_t kRealModeCode = kRealModeData | kSegmentCode;
constexpr uint16_t kResetSelector = 0xf000;
constexpr uint32_t kResetBase = 0xffff0000;
constexpr uint16_t kResetIp = 0xfff0;

constexpr uint64_t kDr6AtReset = 0xffff0ff0;
constexpr uint64_t kDr7AtReset = 0x400;

// What all entries have in common.
void set_quiet_state(VmcbSave& save) {
    save.ldtr = {0, kLdt, kLimit64K, 0};
    save.tr = {0, kBusyTss, kLimit64K, 0};
    save.cr3 = save.cr4 = save.cr2 = 0;
    save.dr6 = kDr6AtReset;
    save.dr7 = kDr7AtReset;
    save.pat = kPatAtReset;
    save.rflags = kFlagsFixed;
}

} // namespace

void enter_protected32(Guest& guest, uint32_t entry) {
    VmcbSave& save = guest.save();
    set_quiet_state(save);
    place_bytes(guest, layout::kGdt, kGdt, sizeof kGdt, "a GDT");
    save.cs = {kSelectorCode, kFlatCode, kWholeLimit, 0};
    const VmcbSegment data = {kSelectorData, kFlatData, kWholeLimit, 0};
    save.ds = save.es = save.ss = save.fs = save.gs = data;
    save.gdtr = {0, 0, sizeof kGdt - 1, layout::kGdt};
    save.idtr = {0, 0, 0, 0};
    save.cr0 = kCr0Et | kCr0Pe;
    save.rip = entry;
    guest.efer = 0;
}

void enter_reset(Guest& guest) {
    VmcbSave& save = guest.save();
    set_quiet_state(save);
    save.cs = {kResetSelector, kRealModeCode, kLimit64K, kResetBase};
    const VmcbSegment data = {0, kRealModeData, kLimit64K, 0};
    save.ds = save.es = save.ss = save.fs = save.gs = data;
    save.gdtr = save.idtr = {0, 0, kLimit64K, 0};
    const bool caches = guest.state_is_encrypted() && guest.profile.caches_at_reset;
    save.cr0 = caches ? kCr0Et : kCr0Cd | kCr0Nw | kCr0Et;
    save.rip = kResetIp;
    guest.efer = 0;
}

} // namespace sevhost
