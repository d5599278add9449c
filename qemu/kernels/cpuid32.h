// What the halves of the test of CPUID in 32-bit mode agree on.
#pragma once

// All of them known to the MSR protocol without doubt, with sub-leaf 0.
#define CPUID32_LEAVES 0, 1, 7, 0x80000000, 0x80000001, 0x80000008, 0x8000001f

// In registers and flags that CPUID leaves alone.
#define CPUID32_SI 0x51515151
#define CPUID32_DI 0xd1d1d1d1
#define CPUID32_BP 0xb9b9b9b9
#define CPUID32_FLAGS 0x401 // carry and direction
