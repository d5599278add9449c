// Numbers of SEV that both C++ and assembly name. Sources: APM vol. 2, 15.34 to
// 15.36; AMD 56421 (GHCB), 2.3.1.
#pragma once

#define SEV_STATUS_SEV 0x1
#define SEV_STATUS_ES 0x2
#define SEV_STATUS_SNP 0x4
#define SEV_STATUS_RESTRICTED_INJECTION 0x20
#define SEV_STATUS_DEBUG_SWAP 0x80
#define SEV_STATUS_SECURE_TSC 0x800
#define SEV_STATUS_ES_BIT 1

#define MSR_GHCB 0xc0010130

#define CPUID_ENCRYPTION 0x8000001f
#define ENCRYPTION_EBX_C_BIT 0x3f
#define ENCRYPTION_EBX_COHERENT 0x80000000 // COHERENCY_SFW_NO
#define ENCRYPTION_EAX_ES 0x8

// The MSR protocol: the code in bits 11:0, requests and their responses
#define GHCB_MSR_CODE_MASK 0xfff
#define GHCB_MSR_INFO 0x001
#define GHCB_MSR_INFO_REQUEST 0x002
#define GHCB_MSR_CPUID_REQUEST 0x004
#define GHCB_MSR_CPUID 0x005
#define GHCB_MSR_RESET_HOLD_REQUEST 0x006
#define GHCB_MSR_REGISTER_REQUEST 0x012
#define GHCB_MSR_REGISTER 0x013
#define GHCB_MSR_PAGE_STATE_REQUEST 0x014
#define GHCB_MSR_PAGE_STATE 0x015
#define GHCB_MSR_FEATURES_REQUEST 0x080
#define GHCB_MSR_FEATURES 0x081
#define GHCB_MSR_TERMINATE 0x100
#define GHCB_TERMINATE_SET_SHIFT 12
#define GHCB_TERMINATE_CODE_SHIFT 16
#define GHCB_TERMINATION(code)                                                                     \
    (GHCB_MSR_TERMINATE | PROLOGUE_SEV_REASON_SET << GHCB_TERMINATE_SET_SHIFT |                    \
     (code) << GHCB_TERMINATE_CODE_SHIFT)

// #VC's error codes are the exit codes of SVM (APM vol. 2, appendix C).
#define VC_DR7_READ 0x27
#define VC_DR7_WRITE 0x37
#define VC_RDTSC 0x6e
#define VC_RDPMC 0x6f
#define VC_CPUID 0x72
#define VC_INVD 0x76
#define VC_IOIO 0x7b
#define VC_MSR 0x7c
#define VC_VMMCALL 0x81
#define VC_RDTSCP 0x87
#define VC_WBINVD 0x89
#define VC_MONITOR 0x8a
#define VC_MWAIT 0x8b
#define VC_NESTED_FAULT 0x400
#define VC_NOT_VALIDATED 0x404
