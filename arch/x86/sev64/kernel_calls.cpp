// prologue/sev.h: what a kernel calls, and the boot does not. Linked only with one that does.
#include "prologue/sev.h"

#pragma GCC visibility push(hidden)
#include "accept.h"
#include "cpu.h"
#include "ghcb.h"
#include "page_tables.h"
#include "sev64.h"
#include "vc.h"

namespace prologue {
namespace {

static_assert(sizeof(prologue_vc_frame) == sizeof(Frame64) &&
              offsetof(prologue_vc_frame, error) == offsetof(Frame64, error));
static_assert(PROLOGUE_GHCB_RAX == kFieldRax && PROLOGUE_GHCB_RBX == kFieldRbx &&
              PROLOGUE_GHCB_RCX == kFieldRcx && PROLOGUE_GHCB_RDX == kFieldRdx &&
              PROLOGUE_GHCB_CPL == kFieldCpl && PROLOGUE_GHCB_MOST_DATA == kGhcbBufferBytes);

// The host sees a page before its entry says so, or after: whoever looks between is
// the caller.
void show(uint64_t virt, uint64_t& entry, uint64_t phys) {
    flush_page(virt);
    if (prologue_sev_state.snp())
        rescind_page(virt);
    entry &= ~prologue_sev_state.c_bit_mask;
    invalidate_page(virt);
    if (prologue_sev_state.snp())
        ask_page_state(phys, PageState::shared);
}

void hide(uint64_t virt, uint64_t& entry, uint64_t phys) {
    flush_page(virt);
    if (prologue_sev_state.snp())
        ask_page_state(phys, PageState::private_);
    entry |= prologue_sev_state.c_bit_mask;
    invalidate_page(virt);
    if (prologue_sev_state.snp())
        validate_page(virt);
}

template <class Change>
int change_pages(uint64_t virt, uint64_t bytes, prologue_table_pages* pages, Change change) {
    const uint64_t c_bit = prologue_sev_state.c_bit_mask;
    TablePages spare = {pages->next, pages->end};
    PageTables tables(window_now(), read_cr3() & kTableAddress & ~c_bit,
                      {.levels = (read_cr4() & CR4_LA57) != 0 ? 5u : 4u, .c_bit_mask = c_bit},
                      spare);
    MapResult result = MapResult::ok;
    for (uint64_t done = 0; done < bytes && result == MapResult::ok; done += kPage) {
        uint64_t* const entry = tables.small_page(virt + done, result);
        pages->next = spare.next;
        if (entry == nullptr)
            return result == MapResult::no_memory ? PROLOGUE_SEV_NO_PAGES : PROLOGUE_SEV_NOT_MAPPED;
        change(virt + done, *entry, tables.pointed_to(*entry));
    }
    return PROLOGUE_SEV_DONE;
}

} // namespace
} // namespace prologue

#pragma GCC visibility pop

using namespace prologue;

unsigned prologue_sev_vmgexit(prologue_ghcb_request* request) {
    Ghcb ghcb;
    const auto bytes = static_cast<unsigned>(request->data_bytes);
    if (request->data_bytes > kGhcbBufferBytes)
        sev_terminate(PROLOGUE_SEV_GHCB_RESULT);
    if (bytes != 0)
        ghcb.write_buffer(request->data, bytes);
    const GhcbAnswer answer = ghcb.call(
        {.code = request->code,
         .info1 = request->info1,
         .info2 = request->info2,
         .fields = request->told | (bytes != 0 ? kFieldScratch : 0u),
         .registers = {request->rax, request->rbx, request->rcx, request->rdx}},
        request->wanted);
    request->info2 = answer.info2;
    if (answer.vector != 0)
        return answer.vector;
    if (bytes != 0)
        ghcb.read_buffer(request->data, bytes);
    uint64_t* const registers[kGhcbRegisters] = {&request->rax, &request->rbx, &request->rcx,
                                                 &request->rdx};
    for (unsigned i = 0; i != kGhcbRegisters; ++i)
        if ((request->wanted >> i & 1) != 0)
            *registers[i] = answer.registers[i];
    return 0;
}

int prologue_sev_share(uint64_t virt, uint64_t bytes, prologue_table_pages* pages) {
    return change_pages(virt, bytes, pages, show);
}

int prologue_sev_unshare(uint64_t virt, uint64_t bytes, prologue_table_pages* pages) {
    return change_pages(virt, bytes, pages, hide);
}

void prologue_sev_accept(uint64_t start, uint64_t end) {
    accept_pages(window_now(), {start, end});
}

void prologue_sev_use_tables(uint64_t physical_memory) {
    prologue_sev_state.tables_window = physical_memory;
    prologue_sev_state.kernel_offset = reinterpret_cast<uintptr_t>(&prologue_sev_state) -
                                       prologue_sev_state.own_phys;
    prologue_sev_state.kernel_has_tables = 1;
}
