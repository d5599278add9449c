// The rules, applied: each function looks at one side of a kernel, and adds what
// it finds wrong, for whichever loaders that concerns.
#pragma once

#include "findings.h"
#include "kernel.h"
#include "pe_file.h"
#include "ranges.h"

namespace check {

// What is wrong with a kernel for those loaders; without a choice, for those whose
// headers it carries.
Findings check_kernel(const Kernel& kernel, std::optional<Loaders> asked);

// The same of a PE image, which firmware alone takes.
Findings check_pe(const PeFile& file, std::optional<Loaders> asked);

// False where there is no use in looking further.
bool check_file(const Kernel& kernel, Findings& findings);

// As Prologue reads its own image at boot. Addresses depend on the paging's depth.
void check_image(const Kernel& kernel, Findings& findings);
void check_addresses(const Kernel& kernel, unsigned levels, Findings& findings);
void check_physical(const Kernel& kernel, Findings& findings);
void check_parts(const Kernel& kernel, Findings& findings);

void check_entry(const Kernel& kernel, Findings& findings);
void check_pvh(const Kernel& kernel, Findings& findings);
void check_multiboot1(const Kernel& kernel, Findings& findings);
void check_multiboot2(const Kernel& kernel, Findings& findings);

void check_wishes(const Kernel& kernel, Findings& findings);
void check_maps(const Kernel& kernel, unsigned levels, Findings& findings);
// Virtual addresses that the direct map may take; empty if there is to be none.
prologue::Span planned_direct_map(const Kernel& kernel, unsigned levels);

} // namespace check
