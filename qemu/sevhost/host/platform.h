// QEMU's PC around the guest: which accesses to it end the run, and so go
// through the host even where ports are the guest's own.
#pragma once

#include <stdint.h>

namespace sevhost {

constexpr uint16_t kPortExit = 0xf4;     // isa-debug-exit
constexpr uint16_t kPortKeyboard = 0x64; // 0xfe pulses the reset line
constexpr uint16_t kPortReset = 0xcf9;
constexpr uint16_t kPortPowerControl = 0x604; // ACPI's PM1a control register, where SeaBIOS puts it
constexpr uint16_t kPlatformPorts[] = {
    kPortExit, kPortKeyboard, kPortReset, kPortPowerControl, kPortPowerControl + 1,
};

// What tells of memory (platform_memory.h)
constexpr uint16_t kPortCmosIndex = 0x70;
constexpr uint16_t kPortCmosData = 0x71;
constexpr uint16_t kPortFwCfgSelect = 0x510;
constexpr uint16_t kPortFwCfgData = 0x511;
constexpr uint16_t kPortFwCfgDma = 0x514;
constexpr uint16_t kFwCfgDmaBytes = 8;
constexpr uint16_t kMemoryPorts[] = {
    kPortCmosIndex,    kPortCmosData,     kPortFwCfgSelect,  kPortFwCfgSelect + 1,
    kPortFwCfgDma,     kPortFwCfgDma + 1, kPortFwCfgDma + 2, kPortFwCfgDma + 3,
    kPortFwCfgDma + 4, kPortFwCfgDma + 5, kPortFwCfgDma + 6, kPortFwCfgDma + 7,
};

} // namespace sevhost
