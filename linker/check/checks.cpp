#include "checks.h"

namespace check {
namespace {

void check_depth(const Kernel& kernel, unsigned levels, Findings& findings) {
    check_addresses(kernel, levels, findings);
    check_maps(kernel, levels, findings);
}

// What Prologue itself would stop at, whichever loader it was.
void check_boot(const Kernel& kernel, Findings& findings) {
    check_image(kernel, findings);
    check_parts(kernel, findings);
    check_wishes(kernel, findings);
    if (kernel.wishes.paging != PROLOGUE_PAGING_BEST) {
        check_depth(kernel, kernel.wishes.paging == PROLOGUE_PAGING_FIVE ? 5 : 4, findings);
        return;
    }
    Findings four(findings.asked()), five(findings.asked());
    check_depth(kernel, 4, four);
    check_depth(kernel, 5, five);
    findings.merge_depths(four, five);
}

} // namespace

Findings check_kernel(const Kernel& kernel, std::optional<Loaders> asked) {
    Findings findings(asked ? *asked : kernel.carried_loaders());
    if (!check_file(kernel, findings))
        return findings;
    if (kernel.has_prologue)
        check_boot(kernel, findings);
    else
        findings.add(Rule::prologue_missing, every_loader(),
                     "none of its symbols, and none of its fatal lines, is in the image");
    check_physical(kernel, findings);
    check_entry(kernel, findings);
    check_pvh(kernel, findings);
    check_multiboot1(kernel, findings);
    check_multiboot2(kernel, findings);
    return findings;
}

} // namespace check
