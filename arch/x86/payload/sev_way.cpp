// What an SEV guest's own pages are on the way to a payload: the one that its host sees, and those
// that the launch of an SNP guest has filled.
#include "accept.h"
#include "errors.h"
#include "msr_protocol.h"
#include "payload/refusals.h"
#include "prologue/sev.h"
#include "sev_state.h"
#include "way.h"

namespace prologue {
namespace {

constexpr uint64_t kPagesForTables = 3;
constexpr Span kVideoMemory = {0xa0000, 0xc0000};

void check(int result, uint64_t virt) {
    if (result != PROLOGUE_SEV_DONE)
        fail(Error::no_table_memory, virt, virt, kPage);
}

} // namespace

void Way::check_contract(Contract contract) const {
    if (handoff_.sev.status != 0 && contract != Contract::handoff && contract != Contract::linux64)
        refuse_in(name_of(contract), Refusal::sev_guest, handoff_.sev.status);
}

// Nothing is said by it before the host knows where it is.
uint64_t Way::another_ghcb() {
    const uint64_t page = room(kPage).start;
    const Span tables = room(kPagesForTables * kPage);
    prologue_table_pages pages = {tables.start, tables.end};
    const uint64_t virt = handoff_.direct_map + page;
    check(prologue_sev_share(virt, kPage, &pages), virt);
    if (prologue_sev_state.snp())
        register_ghcb(page);
    clear_bytes(seen(page), kPage);
    prologue_sev_state.boot.ghcb_phys = page;
    prologue_sev_state.boot.ghcb_virtual = virt;
    return page;
}

void Way::keep_sev_pages(prologue_handoff& handoff) {
    keep_snp_page(handoff.sev.cpuid_page_phys, false);
    keep_snp_page(handoff.sev.secrets_page_phys, true);
    const uint64_t page = handoff_.sev.ghcb_phys;
    if (page == 0)
        return;
    ghcb_ = page;
    if (is_claimed({page, page + kPage})) {
        ghcb_ = another_ghcb();
        give_back_ghcb();
    } else {
        taken_[taken_count_++] = {page, page + kPage};
    }
    handoff.sev.ghcb_phys = ghcb_;
    handoff.sev.ghcb_virtual = handoff.direct_map + ghcb_;
}

void Way::show_ghcb(PageTables& tables, uint64_t direct_map, uint64_t bytes) const {
    if (ghcb_ == 0 || ghcb_ >= bytes)
        return;
    MapResult result = MapResult::ok;
    if (uint64_t* const entry = tables.small_page(direct_map + ghcb_, result))
        *entry &= ~handoff_.sev.c_bit_mask;
    if (result != MapResult::ok)
        fail(Error::no_table_memory, direct_map + ghcb_, ghcb_, kPage);
}

// From here on the guest can end, and ask for nothing.
void Way::leave_ghcb() {
    prologue_table_pages none = {};
    const uint64_t virt = handoff_.sev.ghcb_virtual; // a page of 4 KiB
    prologue_sev_state.page_stands = 0;
    if (gives_back_ghcb_)
        check(prologue_sev_unshare(virt, kPage, &none), virt);
    copy_image(); // which knows it then
}

// Linux reads there what a BIOS would have left: its data in page 0, and iSCSI's table (iBFT) in
// the last pages. A host need not tell of these pages as memory, and what they hold means nothing
// to us, so they may have been validated before.
void Way::accept_bios_memory() {
    const prologue_sev& sev = handoff_.sev;
    if ((sev.status & PROLOGUE_SEV_STATUS_SNP) == 0 || sev.accepted_end == ~uint64_t{0})
        return;
    const Span span = room(kPagesForTables * kPage);
    TablePages pages = {span.start, span.end};
    PageTables tables(handoff_.direct_map, handoff_.page_tables_phys, mode(), pages);
    for (uint64_t page = 0; page != kMiB; page += kPage) {
        if (kVideoMemory.overlaps({page, page + kPage}) ||
            type_at(handoff_, page) != PROLOGUE_MEMORY_RESERVED)
            continue;
        if (tables.map(page, page, kPage, PTE_WRITABLE | kNoExecute) != MapResult::ok)
            fail(Error::no_table_memory, page, page, kPage);
        ask_page_state(page, PageState::private_);
        const Validated result = pvalidate(page, false, true);
        if (result.code != 0)
            sev_terminate(PROLOGUE_SEV_PVALIDATE);
        if (!result.unchanged)
            clear_bytes(reinterpret_cast<void*>(page), kPage);
    }
}

void Way::keep_snp_page(uint64_t& phys, bool is_secret) {
    if (phys == 0)
        return;
    switch (type_at(handoff_, phys)) {
    case PROLOGUE_MEMORY_LOADER:
    case PROLOGUE_MEMORY_PROLOGUE:
    case PROLOGUE_MEMORY_KERNEL: {
        uint8_t* const was = seen(phys);
        phys = phys_of(copy(was, kPage));
        if (is_secret)
            clear_bytes(was, kPage);
    }
    }
}

} // namespace prologue
