#include "port_io.h"

#include "canary.h"
#include "diagnosis.h"
#include "doorbell.h"
#include "machine.h"
#include "page_walk.h"
#include "platform.h"
#include "platform_memory.h"

namespace sevhost {
namespace {

constexpr uint32_t kPulseReset = 0xfe;     // the keyboard controller's command
constexpr uint32_t kResetCpu = 1 << 2;     // port 0xcf9
constexpr uint32_t kSleepEnable = 1 << 13; // PM1 control (ACPI 4.8.3.2.1)

// What would end QEMU before the host could say how the run went.
void watch(Guest& guest, uint16_t port, unsigned bytes, uint32_t value) {
    if (port == kPortExit) {
        say("sevhost: the guest left by port ", hex(port), " with ", hex(value), "\n");
        finish(guest, static_cast<Outcome>(value));
    }
    if ((port == kPortKeyboard && value == kPulseReset) ||
        (port == kPortReset && (value & kResetCpu) != 0))
        finish(guest, Outcome::reset, "the guest reset the machine by port ", hex(port));
    if (port == kPortPowerControl && bytes == 2 && (value & kSleepEnable) != 0)
        finish(guest, Outcome::success, "the guest powered the machine off");
}

// INS, for ports that the host watches: firmware reads fw_cfg so. One element an exit
// would do too, but the files are long.
void handle_string(Guest& guest, uint16_t port, unsigned bytes) {
    const VmcbControl& control = guest.vmcb->control;
    VmcbSave& save = guest.save();
    const uint64_t width = control.exit_info1 >> kIoAddressShift & 7; // one-hot: 16, 32, 64
    const uint64_t mask = width == 4 ? ~uint64_t{0} : width == 2 ? 0xffffffff : 0xffff;
    if (!(control.exit_info1 & kIoIn))
        refuse(guest, "OUTS at port ", hex(port), ", which the host watches: not served");
    const uint64_t step = save.rflags & kFlagDf ? -uint64_t{bytes} : bytes;
    uint64_t count = control.exit_info1 & kIoRep ? guest.gprs[rcx] & mask : 1;
    const uint64_t base = width == 4 ? 0 : save.es.base;
    for (; count != 0; --count) {
        const uint32_t value = port_in(guest, port, bytes);
        const uint64_t to = guest.gprs[rdi] & mask;
        if (!write_linear(guest, base + to, &value, bytes))
            refuse(guest, "INS at port ", hex(port), " to ", hex(base + to),
                   ", which is not mapped: the host raises no #PF for it");
        guest.gprs[rdi] = (guest.gprs[rdi] & ~mask) | ((to + step) & mask);
    }
    if (control.exit_info1 & kIoRep)
        guest.gprs[rcx] &= ~mask;
    save.rip = control.exit_info2;
}

} // namespace

uint32_t port_in(Guest&, uint16_t port, unsigned bytes) {
    uint32_t told = 0;
    if (memory_port_in(port, bytes, told))
        return told;
    if (muted)
        return ~0u; // a serial port that is ready, and whatever else
    return bytes == 1 ? in8(port) : bytes == 2 ? in16(port) : in32(port);
}

void port_out(Guest& guest, uint16_t port, unsigned bytes, uint32_t value) {
    look_for_canary_at_port(guest, port, bytes, value);
    watch(guest, port, bytes, value);
    note_controller(port, value);
    if (memory_port_out(port, bytes, value) || muted)
        return;
    if (bytes == 1)
        out8(port, static_cast<uint8_t>(value));
    else if (bytes == 2)
        out16(port, static_cast<uint16_t>(value));
    else
        out32(port, value);
}

void handle_port(Guest& guest) {
    const VmcbControl& control = guest.vmcb->control;
    const auto port = static_cast<uint16_t>(control.exit_info1 >> kIoPortShift);
    const unsigned bytes = control.exit_info1 >> kIoBytesShift & 7;
    if (control.exit_info1 & kIoString) {
        handle_string(guest, port, bytes);
        return;
    }
    const uint64_t mask = (uint64_t{1} << 8 * bytes) - 1;
    uint64_t& value = guest.gprs[rax];
    if (control.exit_info1 & kIoIn) {
        value = (value & ~mask) | port_in(guest, port, bytes);
        if (bytes == 4)
            value &= mask; // a 32-bit result clears the upper half
    } else {
        port_out(guest, port, bytes, static_cast<uint32_t>(value & mask));
    }
    guest.save().rip = control.exit_info2;
}

} // namespace sevhost
