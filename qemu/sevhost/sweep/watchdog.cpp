#include "watchdog.h"

#include "machine.h"
#include "svm_exits.h"
#include "vmcb.h"

namespace sevhost {
namespace {

constexpr uint32_t kInterceptIntr = 1u << 0;

// The PIT (82C54) and the first PIC (8259A)
constexpr uint16_t kPitChannel0 = 0x40, kPitControl = 0x43;
constexpr uint8_t kPitRate = 0x34;      // channel 0, both bytes, mode 2
constexpr uint16_t kPitDivider = 11932; // 10 ms
constexpr uint16_t kPic = 0x20, kPicMask = 0x21, kSecondPicMask = 0xa1;
constexpr uint8_t kPicPoll = 0x0c; // OCW3: the next read is an acknowledgement
constexpr uint8_t kPicDone = 0x20; // OCW2: end of interrupt
constexpr uint8_t kAllButTimer = 0xfe, kAll = 0xff;

unsigned ticks;

} // namespace

// The host's IF decides of interrupts while the guest runs, and GIF, which is clear outside of
// it, keeps them from the host itself.
void start_watchdog(Guest& guest) {
    out8(kPitControl, kPitRate);
    out8(kPitChannel0, kPitDivider & 0xff);
    out8(kPitChannel0, kPitDivider >> 8);
    out8(kPicMask, kAllButTimer);
    out8(kSecondPicMask, kAll);
    guest.vmcb->control.misc1 |= kInterceptIntr;
    guest.vmcb->control.virtual_interrupt |= kMasksInterrupts;
    asm volatile("sti");
}

bool is_watchdog(const Guest& guest) {
    if (guest.vmcb->control.exit_code != exit::kIntr)
        return false;
    out8(kPic, kPicPoll);
    in8(kPic);
    out8(kPic, kPicDone);
    ++ticks;
    return true;
}

unsigned watchdog_ticks() {
    const unsigned counted = ticks;
    ticks = 0;
    return counted;
}

} // namespace sevhost
