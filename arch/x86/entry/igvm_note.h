// The ELF note of the IGVM contract, owner "Prologue":
//   u32 version of the contract
//   s32 from this field to the 32-bit entry, in virtual addresses
#pragma once

#define IGVM_NOTE 0x61
#define IGVM_CONTRACT 1
