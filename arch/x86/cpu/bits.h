// Bits and numbers of the x86 architecture that both C++ and assembly name.
// Source: Intel SDM vol. 3 and AMD APM vol. 2; section numbers beside each group.
#pragma once

// Control registers (SDM 2.5)
#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_ET 0x00000010
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_PG 0x80000000
#define CR0_PG_BIT 31
#define CR4_PAE 0x00000020
#define CR4_MCE 0x00000040 // without it a machine check is a silent shutdown
#define CR4_OSFXSR 0x00000200
#define CR4_OSXMMEXCPT 0x00000400
#define CR4_LA57 0x00001000
#define CR4_LA57_BIT 12
#define CR4_PCIDE 0x00020000
#define CR4_PCIDE_BIT 17

// What CR0 and CR4 hold from the first 64-bit instruction on: written whole.
#define CR0_PROTECTED_MODE (CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE)
#define CR0_LONG_MODE (CR0_PG | CR0_PROTECTED_MODE)
#define CR4_LONG_MODE (CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT)

// Model-specific registers (SDM vol. 4, APM vol. 2 appendix A)
#define MSR_TSC 0x00000010
#define MSR_TSC_AUX 0xc0000103
#define MSR_XSS 0x00000da0
#define MSR_EFER 0xc0000080
#define EFER_SCE 0x00000001
#define EFER_LME 0x00000100
#define EFER_LME_BIT 8
#define EFER_LMA 0x00000400
#define EFER_NXE 0x00000800
#define EFER_SVME 0x00001000
#define EFER_LMSLE 0x00002000
#define EFER_FFXSR 0x00004000
#define EFER_TCE 0x00008000
#define EFER_LONG_MODE (EFER_LME | EFER_LMA | EFER_NXE)
// What changes the meaning of instructions, and so is a kernel's to set. The other bits are
// whose they were: VMRUN refuses an SEV-ES guest that has cleared SVME (APM vol. 2, 15.5.1).
#define EFER_KERNELS (EFER_SCE | EFER_LMSLE | EFER_FFXSR | EFER_TCE)
#define MSR_PAT 0x00000277
#define MSR_MISC_ENABLE 0x000001a0 // Intel's
#define MISC_ENABLE_LIMIT_CPUID_BIT 22
#define MISC_ENABLE_XD_DISABLE_BIT 34
#define MSR_CSTAR 0xc0000083
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_SEV_STATUS 0xc0010131

// CPUID (APM vol. 3 appendix E)
#define CPUID_VENDOR 0
#define VENDOR_EBX_INTEL 0x756e6547 // "GenuineIntel"
#define VENDOR_EDX_INTEL 0x49656e69
#define VENDOR_ECX_INTEL 0x6c65746e
#define VENDOR_EBX_AMD 0x68747541 // "Auth"
#define VENDOR_EBX_HYGON 0x6f677948
#define CPUID_VERSION 1
#define VERSION_FAMILY 0xf00
#define VERSION_FAMILY_6 0x600
#define VERSION_MODEL_SHIFT 4
#define VERSION_MODEL 0xf00f       // its upper half stands 12 bits above the lower one
#define MODEL_WITH_MISC_ENABLE 0xd // of family 6, and all later
#define VERSION_ECX_RDRAND_BIT 30
#define CPUID_EXTENDED_MAX 0x80000000
#define CPUID_EXTENDED_FEATURES 0x80000001
#define EXTENDED_EDX_NX 0x00100000
#define EXTENDED_EDX_1G_PAGES_BIT 26
#define EXTENDED_EDX_LONG_MODE 0x20000000
#define CPUID_ADDRESS_WIDTHS 0x80000008
#define CPUID_STRUCTURED_FEATURES 7
#define STRUCTURED_ECX_LA57_BIT 16
#define STRUCTURED_EBX_RDSEED_BIT 18
#define XEN_EBX 0x566e6558 // "XenVMMXenVMM"
#define XEN_ECX 0x65584d4d
#define XEN_EDX 0x4d4d566e

// Selectors of our GDT, and what they are for
#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_CODE32_BASED 0x18 // its base is entry_base: 32-bit offsets are link-time constants
#define SELECTOR_CODE32_FLAT 0x20  // for the C++ of the 32-bit stage
#define SELECTOR_TSS 0x28
#define SELECTOR_STACK32 0x30 // ends at the stack's bottom; in 64-bit mode the TSS's upper half
#define GDT_BYTES (SELECTOR_TSS + 16)

// Page-table entries (SDM 4.5)
#define PTE_PRESENT 0x001
#define PTE_WRITABLE 0x002
#define PTE_WRITE_THROUGH 0x008
#define PTE_CACHE_DISABLE 0x010
#define PTE_LARGE 0x080
#define PTE_PAT_IN_4K 0x080
#define PTE_PAT_IN_LARGE 0x1000

#define PAGE_BYTES 4096
#define PAGE_SHIFT 12
#define TABLE_ENTRIES 512

// The first top-level entry of the upper half, with four and with five levels.
#define UPPER_HALF_ENTRY 256

// Exceptions that push an error code: #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX
#define VECTORS_WITH_ERROR_CODE 0x60227d00
#define VECTORS 32
#define VECTOR_NMI 2
#define VECTOR_UNDEFINED 6
#define VECTOR_DOUBLE_FAULT 8
#define VECTOR_GENERAL_PROTECTION 13
#define VECTOR_MACHINE_CHECK 18
#define VECTOR_VC 29
#define ISR64_STRIDE 8

// RFLAGS with nothing but the bit that is always set (SDM 3.4.3)
#define RFLAGS_CLEAR 0x2

// MXCSR with all exceptions masked, as at reset
#define MXCSR_DEFAULT 0x1f80

// Each of the two stacks that exceptions have for themselves
#define EXCEPTION_STACK_BYTES 4096
