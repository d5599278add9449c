/* What a kernel can ask of Prologue in an AMD SEV guest: the code by which the boot
 * itself got there. For plain guests, handoff.sev.status is 0 and nothing here is to be
 * called. As plain SEV (no ES), only prologue_sev_share and _unshare mean anything.
 *
 * Not from an NMI handler: each processor has one GHCB page. Those that prologue_start_cpus
 * (prologue/cpus.h) has started use all of it at once; what changes tables is under the kernel's
 * lock, and other processors' TLBs are the kernel's to flush.
 * Whatever the host must not answer, and all that is misused here, ends the guest by
 * the reasons of prologue/sev_reasons.h. See docs/sev.md.
 *
 * ISC licence. Usable from C11 and C++20.
 */
#ifndef PROLOGUE_SEV_H
#define PROLOGUE_SEV_H

#include <prologue/handoff.h>
#include <prologue/sev_reasons.h>

#ifdef __cplusplus
extern "C" {
#endif

/* #VC (vector 29, with an error code), for a gate of the kernel's own IDT: kernel mode,
 * IF clear. The instruction is done and left behind; where the host answers with #UD
 * or #GP, the guest ends. */
void prologue_sev_vc(void);

/* The same for a kernel with entry code of its own: what that must have pushed, from
 * the lowest address on. Returns 0, or the vector of an exception (6 or 13) that the
 * kernel delivers in place of this one; the frame is then as it was, but for `error`,
 * which is that exception's: 0. */
typedef struct prologue_vc_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector; /* not looked at */
    uint64_t error;
    uint64_t rip, cs, rflags, rsp, ss;
} prologue_vc_frame;
unsigned prologue_sev_handle_vc(prologue_vc_frame *frame);

/* A request by the GHCB page (AMD 56421, 4.1): code and information, the registers that
 * are told and those that the answer must have. With data, the page's own buffer is
 * SW_SCRATCH: `data_bytes` are copied there, and back. Returns 0, or a vector as above;
 * info2 is SW_EXITINFO2's. Registers that are not wanted stay as they are, whatever the
 * host says of them. */
#define PROLOGUE_GHCB_RAX 1
#define PROLOGUE_GHCB_RBX 2
#define PROLOGUE_GHCB_RCX 4
#define PROLOGUE_GHCB_RDX 8
#define PROLOGUE_GHCB_CPL 32 /* to be told only: 0, as a kernel's is */
#define PROLOGUE_GHCB_MOST_DATA 0x7f0
typedef struct prologue_ghcb_request {
    uint64_t code, info1, info2;
    uint32_t told, wanted; /* sums of PROLOGUE_GHCB_* */
    uint64_t rax, rbx, rcx, rdx;
    void *data;
    uint64_t data_bytes; /* at most PROLOGUE_GHCB_MOST_DATA; 0: no buffer */
} prologue_ghcb_request;
unsigned prologue_sev_vmgexit(prologue_ghcb_request *request);

/* Shows [virt, virt + bytes), whole pages, to the host, or takes it back: C-bit, TLB, and
 * as SNP page state and PVALIDATE. Large pages are split, with tables from `pages`
 * (physical, zeroed or not, in the direct map). What the memory held is lost: overwrite
 * it first if it is a secret, and clear it after. Other mappings of it are the caller's
 * to change before. */
typedef struct prologue_table_pages {
    uint64_t next, end; /* next moves up */
} prologue_table_pages;
enum prologue_sev_result {
    PROLOGUE_SEV_DONE = 0,
    PROLOGUE_SEV_NOT_MAPPED = 1, /* some of it: nothing from there on is changed */
    PROLOGUE_SEV_NO_PAGES = 2,   /* likewise */
};
int prologue_sev_share(uint64_t virt, uint64_t bytes, prologue_table_pages *pages);
int prologue_sev_unshare(uint64_t virt, uint64_t bytes, prologue_table_pages *pages);

/* SNP: accepts memory of type PROLOGUE_MEMORY_UNACCEPTED, page-aligned, in the direct
 * map. Doing so twice ends the guest: keep account. */
void prologue_sev_accept(uint64_t start, uint64_t end);

/* To be called when the kernel runs on page tables of its own, wherever its image lies
 * in them: the virtual address at which those show physical 0, or at least the tables.
 * The page handoff.sev.ghcb_phys must be mapped without the C-bit. */
void prologue_sev_use_tables(uint64_t physical_memory);

/* Ends the guest, by a code from PROLOGUE_SEV_KERNEL on. */
#ifdef __cplusplus
[[noreturn]]
#else
_Noreturn
#endif
void prologue_sev_terminate(unsigned code);

#ifdef __cplusplus
}
#endif

#endif
