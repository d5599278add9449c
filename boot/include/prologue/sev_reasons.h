/* How an SEV-ES or SNP guest ends that cannot go on: the reason set and the codes
 * that Prologue gives to the GHCB MSR protocol's termination request (AMD 56421,
 * 2.3.1). docs/sev.md has a sentence for each.
 *
 * ISC licence. Usable from C11, C++20 and assembly.
 */
#ifndef PROLOGUE_SEV_REASONS_H
#define PROLOGUE_SEV_REASONS_H

#define PROLOGUE_SEV_REASON_SET 10

/* What the boot itself found. */
#define PROLOGUE_SEV_FATAL 0x01          /* a fatal line stands on the console */
#define PROLOGUE_SEV_STATUS_READ 0x02    /* the host intercepts the read of SEV_STATUS */
#define PROLOGUE_SEV_VERSION 0x03        /* no version of the protocol that both know */
#define PROLOGUE_SEV_C_BIT_RANGE 0x04    /* the C-bit is said to be none of 32 to 51 */
#define PROLOGUE_SEV_C_BIT_DISAGREE 0x05 /* two sources name different C-bits */
#define PROLOGUE_SEV_C_BIT_PROOF 0x06    /* memory reads differently through the tables */
#define PROLOGUE_SEV_NO_RANDOM 0x07      /* RDRAND gives nothing */
#define PROLOGUE_SEV_NO_LONG_MODE 0x08   /* long mode or NX is said to be missing */
#define PROLOGUE_SEV_NO_LA57 0x09        /* five levels are wished for, and missing */
#define PROLOGUE_SEV_TOO_HIGH 0x0a       /* entered in 64-bit mode above 4 GiB */
#define PROLOGUE_SEV_SNP_FEATURE 0x0b    /* the host does not offer SNP to an SNP guest */
#define PROLOGUE_SEV_CPUID_PAGE 0x0c     /* the CPUID page is malformed or empty */
#define PROLOGUE_SEV_PAGE_NOT_APART 0x0d /* one of SNP's pages is told to lie on another thing */
#define PROLOGUE_SEV_LEFT_OUT 0x0e       /* the kernel wished for no SEV */
#define PROLOGUE_SEV_NO_MEMORY 0x0f      /* no page is left for a page table */

/* #VC. */
#define PROLOGUE_SEV_VC_INJECTED 0x10      /* the bytes are not what the error code names */
#define PROLOGUE_SEV_VC_CODE 0x11          /* an error code that is not served */
#define PROLOGUE_SEV_VC_FORM 0x12          /* a form of the instruction that is not served */
#define PROLOGUE_SEV_VC_NESTED 0x13        /* a #VC while another was handled */
#define PROLOGUE_SEV_VC_USER 0x14          /* from user or compatibility mode */
#define PROLOGUE_SEV_VC_EARLY 0x15         /* needs the GHCB page, which does not stand yet */
#define PROLOGUE_SEV_VC_SUBLEAF 0x16       /* a CPUID sub-leaf that the MSR protocol cannot ask */
#define PROLOGUE_SEV_VC_NOT_VALIDATED 0x17 /* SNP: memory that nobody accepted */
#define PROLOGUE_SEV_VC_MMIO 0x18          /* MMIO through a mapping that is private or none */
#define PROLOGUE_SEV_VC_KEPT 0x19          /* what the processor keeps for the guest alone */

/* The host's answers. */
#define PROLOGUE_SEV_MSR_RESPONSE 0x20    /* the MSR protocol's answer is to another request */
#define PROLOGUE_SEV_GHCB_REFUSED 0x21    /* the GHCB's registration */
#define PROLOGUE_SEV_GHCB_RESULT 0x22     /* SW_EXITINFO1 is nothing that may be answered */
#define PROLOGUE_SEV_GHCB_MISSING 0x23    /* a field of the answer is not marked valid */
#define PROLOGUE_SEV_GHCB_EVENT 0x24      /* an exception to deliver that cannot be */
#define PROLOGUE_SEV_PAGE_STATE 0x25      /* a page state change failed, or was not made */
#define PROLOGUE_SEV_PVALIDATE 0x26       /* PVALIDATE failed */
#define PROLOGUE_SEV_PVALIDATE_TWICE 0x27 /* PVALIDATE changed nothing */
#define PROLOGUE_SEV_VMPL 0x28            /* the guest runs below VMPL 0, under an SVSM */

/* Whether it is an SEV guest. */
#define PROLOGUE_SEV_HIDDEN 0x30  /* SEV_STATUS cannot be read, on a CPU with SEV-ES */
#define PROLOGUE_SEV_MISSING 0x31 /* it is none of the kind that the kernel requires */

/* Bit n of SEV_STATUS changes the guest's duties, and is not served; n is 3 to 63. */
#define PROLOGUE_SEV_FEATURE(n) (0x40 + (n))

/* Exception n, which as SEV-ES is not reported in words; n is 0 to 31. */
#define PROLOGUE_SEV_EXCEPTION(n) (0x80 + (n))

/* 0xc0 to 0xff are the kernel's own. */
#define PROLOGUE_SEV_KERNEL 0xc0

#endif
