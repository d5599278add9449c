// SNP: whose a page is. What the launch did not measure belongs to the host until it
// has been made private and validated, once: a page that is validated a second time
// may be another than the first (SNP white paper, "remapping").
#pragma once
#pragma GCC visibility push(hidden)

#include "msr_protocol.h"
#include "ranges.h"

namespace prologue {

// All of [start, end), page-aligned, none of it validated before: 253 pages of either
// size an exit. `window` shows physical memory, private, all of the span.
void accept_pages(uint64_t window, Span span);

// PVALIDATE of one page, that is mapped as private at `virt`: before the host gets it,
// and after it was got back.
void rescind_page(uint64_t virt);
void validate_page(uint64_t virt);

// Ends the guest where it does not run at VMPL 0: then PVALIDATE is another's, an SVSM's, which
// this guest does not ask (56860, 8.17.2.5; SVSM 58019). `virt` shows a validated page.
void require_vmpl0(uint64_t virt);

// What each environment brings: a read of memory that no compiler leaves out; PVALIDATE's
// EAX, and whether it changed nothing.
void read_line(uint64_t virt);
struct Validated {
    uint32_t code;
    bool unchanged;
};
Validated pvalidate(uint64_t virt, bool large, bool validate);
// RMPADJUST of a page of 4 KiB: EAX.
uint32_t rmpadjust(uint64_t virt, uint64_t level_and_rights);

} // namespace prologue

#pragma GCC visibility pop
