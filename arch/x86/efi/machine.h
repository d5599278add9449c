// What the stub does with the machine itself; the host tests have their own.
#pragma once
#pragma GCC visibility push(hidden)

#include "firmware.h"
#include "tables.h"

namespace prologue::efi {

// From here on a fault is reported, and a refusal ends with the firmware.
void take_over_faults(Firmware& firmware);

// The firmware's own handlers, again.
void give_faults_back();

// The firmware is gone, or has begun to go: nothing is said to it any more.
void forget_firmware();

CpuState cpu_state();

extern "C" {
extern const char prologue_efi_end[]; // of the stub, with its data
// On the firmware's tables and stack, with its interrupts on.
[[noreturn]] void prologue_efi_enter_running(uint64_t entry, uint64_t boot_params);
[[noreturn]] void prologue_efi_enter(uint64_t cr3, uint64_t entry, uint64_t boot_params);
EFIAPI Status prologue_efi_main(Handle image, const SystemTable* system);
}

} // namespace prologue::efi

#pragma GCC visibility pop
