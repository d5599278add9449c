// Wishes that are wrong by themselves, and the stack.
#include "checks.h"

#include "ranges.h"

namespace check {
namespace {

using prologue::kPage;

void check_stack(const Kernel& kernel, Findings& findings) {
    const uint64_t wished = kernel.wishes.stack;
    if (wished < PROLOGUE_STACK_LEAST || wished % kPage != 0) {
        findings.add(Rule::stack_too_small, every_loader(),
                     sentence("wished for are 0x%lx bytes", wished));
        return;
    }
    const auto guard = kernel.file.symbol("prologue_stack_guard");
    const auto bottom = kernel.file.symbol("prologue_stack_bottom");
    const auto top = kernel.file.symbol("prologue_stack_top");
    if (!guard || !bottom || !top) // stripped
        return;
    const std::optional<Segment> segment = kernel.file.holding_virtual(*bottom);
    const bool in_memory = segment && *top <= segment->virt_end() && *guard >= segment->virt;
    if (*bottom % kPage != 0 || *bottom - *guard != kPage || *top - *bottom != wished || !in_memory)
        findings.add(Rule::stack_symbols, every_loader(),
                     sentence("guard 0x%lx, bottom 0x%lx, top 0x%lx; wished for are 0x%lx bytes",
                              *guard, *bottom, *top, wished));
}

} // namespace

void check_wishes(const Kernel& kernel, Findings& findings) {
    const Wishes& wishes = kernel.wishes;
    for (const auto& [rule, text] : wishes.mistakes)
        findings.add(rule, every_loader(), text);
    constexpr uint64_t kKnown = PROLOGUE_HEADER_pvh | PROLOGUE_HEADER_multiboot1 |
                                PROLOGUE_HEADER_multiboot2 | PROLOGUE_HEADER_linux |
                                PROLOGUE_HEADER_vmd | PROLOGUE_HEADER_freebsd |
                                PROLOGUE_HEADER_igvm;
    if (wishes.headers == 0 || (wishes.headers & ~kKnown) != 0)
        findings.add(Rule::headers_unknown, every_loader(),
                     sentence("wished for is 0x%lx", wishes.headers));
    if (wishes.paging != PROLOGUE_PAGING_BEST && wishes.paging != PROLOGUE_PAGING_FOUR &&
        wishes.paging != PROLOGUE_PAGING_FIVE)
        findings.add(Rule::paging_unknown, every_loader(),
                     sentence("wished for is %lu", wishes.paging));
    check_stack(kernel, findings);
}

} // namespace check
