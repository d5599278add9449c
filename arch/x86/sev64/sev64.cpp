// The SEV guest in 64-bit mode: what the common path leaves to it.
#pragma GCC visibility push(hidden)
#include "sev64.h"

#include "accept.h"
#include "accept_memory.h"
#include "bytes.h"
#include "confidential.h"
#include "cpu.h"
#include "errors.h"
#include "ghcb.h"
#include "prologue/wishes.h"
#include "sev_end.h"
#include "unaccepted.h"
#include "vc.h"
#include "wished_maps.h"

extern "C" {
extern uint8_t prologue_ghcb[PAGE_BYTES];
extern uint64_t prologue_ghcb_pt[TABLE_ENTRIES];
extern prologue::CpuidPage prologue_own_cpuid_page;
extern const uint64_t prologue_wish_snp_accept;
extern const char prologue_writes_pat[], prologue_reads_cstar[];
void prologue_sev_begin();
[[noreturn]] void prologue_sev_unknown_end(unsigned code);
[[noreturn]] void prologue_sev_terminate(unsigned code);
unsigned prologue_sev_handle_vc(prologue::Frame64& frame);
}

namespace prologue {
namespace {

extern "C" const WindowNote __start_prologue_windows[], __stop_prologue_windows[];

SevState& sev() {
    return prologue_sev_state;
}

uint64_t ghcb_virt() {
    return reinterpret_cast<uintptr_t>(prologue_ghcb);
}

void show_ghcb_early() {
    prologue_ghcb_pt[sev().boot.ghcb_phys / PAGE_BYTES % TABLE_ENTRIES] &= ~sev().c_bit_mask;
    invalidate_page(ghcb_virt());
}

// On SNP the page is given up while it is mapped as private still, and nothing can be
// asked by it before the host knows it.
void open_ghcb() {
    constexpr uint64_t kHostSnp = 1;
    flush_page(ghcb_virt());
    if (sev().snp()) {
        if ((ask_features() & kHostSnp) == 0)
            sev_terminate(PROLOGUE_SEV_SNP_FEATURE);
        require_vmpl0(ghcb_virt());
        rescind_page(ghcb_virt());
        ask_page_state(sev().boot.ghcb_phys, PageState::shared);
        register_ghcb(sev().boot.ghcb_phys);
    }
    show_ghcb_early();
    clear_bytes(prologue_ghcb, sizeof prologue_ghcb);
    sev().page_stands = 1;
}

bool is_of_status(const Frame64& frame) {
    return frame.error == VC_MSR && static_cast<uint32_t>(frame.rcx) == MSR_SEV_STATUS;
}

// The loader's page is not in the kernel's tables.
void keep_cpuid_page() {
    const uint64_t own = reinterpret_cast<uintptr_t>(&prologue_own_cpuid_page);
    if (sev().cpuid_page_phys != 0 && sev().cpuid_page_phys != own)
        copy_bytes(&prologue_own_cpuid_page,
                   reinterpret_cast<const void*>(static_cast<uintptr_t>(sev().cpuid_page_phys)),
                   sizeof prologue_own_cpuid_page);
}

// A UEFI has accepted memory, but for what its map says it has not; so has who brought the
// image by Linux's protocol, a firmware or who stands in for one, unless the kernel knows better.
bool loader_has_accepted(const LoaderInfo& loader) {
    return loader.efi || (loader.loader == PROLOGUE_LOADER_LINUX &&
                          prologue_wish_snp_accept == PROLOGUE_ACCEPT_BY_LOADER);
}

template <class Change>
void change_entries(PageTables& tables, uint64_t virt, uint64_t bytes, Change change) {
    MapResult result = MapResult::ok;
    for (uint64_t done = 0; done != bytes && result == MapResult::ok; done += kPage)
        if (uint64_t* const entry = tables.small_page(virt + done, result))
            change(*entry);
    if (result != MapResult::ok)
        sev_terminate(PROLOGUE_SEV_NO_MEMORY);
}

void show_to_host(PageTables& tables, uint64_t virt, uint64_t bytes) {
    change_entries(tables, virt, bytes, [](uint64_t& entry) { entry &= ~sev().c_bit_mask; });
}

// What an identity map with devices shows as theirs, becomes memory.
void hide_from_host(PageTables& tables, Span span) {
    change_entries(tables, span.start, span.bytes(), [](uint64_t& entry) {
        if ((entry & sev().c_bit_mask) == 0)
            entry = (entry & ~uint64_t{PTE_CACHE_DISABLE}) | sev().c_bit_mask;
    });
}

// What has been read as private stays so, SNP's pages among it, though the map, which is the
// host's word, may not call it memory.
void hide_what_was_read(PageTables& tables, const SevFinish& finish) {
    for (unsigned i = 0; i != finish.loader.structure_count; ++i) {
        const Span& structure = finish.loader.structures[i];
        Span left = Span{0, finish.handoff.identity_bytes}.shared(
            Span{page_down(structure.start), structure.end});
        for (const prologue_range& range : finish.memory) {
            if (range.start >= left.end)
                break;
            if (range.end <= left.start || !is_mapped(range.type))
                continue;
            if (left.start < range.start)
                hide_from_host(tables, {left.start, range.start});
            left.start = range.end < left.end ? range.end : left.end;
        }
        hide_from_host(tables, left);
    }
}

bool was_read(const LoaderInfo& loader, Span span) {
    for (unsigned i = 0; i != loader.structure_count; ++i)
        if (span.overlaps(loader.structures[i]))
            return true;
    return false;
}

// What a device has is not encrypted. What the loader calls reserved, or does not know
// of, is taken for a device's.
bool is_memory(const MemoryMap& map, Span span) {
    for (const prologue_range& range : map)
        if (range.type != PROLOGUE_MEMORY_RESERVED && span.overlaps({range.start, range.end}))
            return true;
    return false;
}

// The map is the host's word: of memory that it leaves out, a window that is cached as memory
// is would be shown to it. So the wish must say the same, by any other caching; and what has been
// read there as private is no device's.
void show_windows(PageTables& tables, const SevFinish& finish) {
    for (const WindowNote* note = __start_prologue_windows; note != __stop_prologue_windows;
         ++note) {
        const Span pages = {note->phys, note->phys + note->bytes};
        if (note->rights >= PROLOGUE_WINDOW_WRITE_THROUGH && !is_memory(finish.memory, pages) &&
            !was_read(finish.loader, pages))
            show_to_host(tables, note->virt, note->bytes);
    }
}

// What the kernel gets as data must not be what is on a page with a meaning: keys would become
// a command line.
void check_apart(Span page, PhysMemory& memory, NextModule* next_module, const LoaderInfo& loader) {
    constexpr uint64_t kRsdpBytes = 36, kSmbiosBytes = 31, kSystemTableBytes = 120;
    const auto check = [&](uint64_t start, uint64_t bytes) {
        if (page.overlaps({start, start + bytes}))
            fail_in("the loader's data lie on a page of SNP's own", Error::entry, start,
                    page.start);
    };
    const auto check_text = [&](const void* seen, uint64_t bytes) {
        if (seen != nullptr)
            check(memory.phys_of(seen), bytes + 1);
    };
    check_text(loader.cmdline.start, loader.cmdline.bytes);
    check_text(loader.rsdp_copy.start, loader.rsdp_copy.bytes);
    check_text(loader.boot.environment, loader.boot.environment_bytes);
    check_text(loader.memory.entries, loader.memory.bytes);
    check_text(loader.more_memory.entries, loader.more_memory.bytes);
    check_text(loader.uefi.memory_map, loader.uefi.memory_map_bytes);
    check_text(loader.seed.start, loader.seed.bytes);
    check(loader.rsdp_phys, kRsdpBytes);
    check(loader.smbios_phys, kSmbiosBytes);
    check(loader.uefi.system_table_phys, kSystemTableBytes);
    check(loader.framebuffer.phys, uint64_t{loader.framebuffer.pitch} * loader.framebuffer.height);
    ModuleCursor cursor = loader.modules;
    for (LoaderModule module; next_module(memory, cursor, module);) {
        check(module.bytes.start, module.bytes.bytes());
        check_text(module.cmdline.start, module.cmdline.bytes);
    }
}

} // namespace
} // namespace prologue

using namespace prologue;

// In 64-bit mode, where the image lies; the IDT stands.
void prologue_sev_begin() {
    constexpr uint64_t kDr7AtReset = 0x400;
    sev().boot.dr7 = kDr7AtReset;
    keep_cpuid_page();
    if (sev().es())
        open_ghcb();
}

void prologue_sev_terminate(unsigned code) {
    sev_terminate(code);
}

// Memory was taken away. Whatever is looked at now may be of that memory, and would lead
// here again, until the stack has run over all that lies below it.
unsigned prologue_sev_handle_vc(Frame64& frame) {
    if (frame.error == VC_NOT_VALIDATED)
        end_sev_guest(PROLOGUE_SEV_VC_NOT_VALIDATED);
    // Of who does not know yet what it is, nobody is asked: a plain machine has no #VC, and a host
    // that hid SEV_STATUS would say that CPUID has no leaf of SEV's either.
    if (sev().unknown != 0)
        prologue_sev_unknown_end(is_of_status(frame) ? PROLOGUE_SEV_STATUS_READ
                                                     : PROLOGUE_SEV_VC_EARLY);
    if (frame.rip == reinterpret_cast<uintptr_t>(prologue_reads_cstar))
        end_sev_guest(PROLOGUE_SEV_VC_KEPT);
    if (!sev().es() && frame.error > VC_NOT_VALIDATED)
        return VECTOR_VC; // INT 29 in another guest, which pushes no error code
    const unsigned vector = handle_vc(frame);
    if (vector != 0)
        frame.error = 0;
    return vector;
}

void prologue::prologue_sev_mark_pages(PhysMemory& memory, uint32_t magic, uint64_t info,
                                       Span image, NextModule* next_module, LoaderInfo& loader) {
    const ConfidentialPages pages = find_confidential_pages(memory, magic, info);
    const Span* const ways[] = {&pages.system_table, &pages.efi_tables, &pages.blob};
    for (const Span* const span : ways)
        if (span->bytes() != 0)
            loader.occupies(span->start, span->bytes());
    const uint64_t two[] = {sev().cpuid_page_phys, sev().secrets_page_phys};
    for (const uint64_t phys : two) {
        if (phys == 0)
            continue;
        check_apart({phys, phys + kPage}, memory, next_module, loader);
        if (!image.overlaps({phys, phys + kPage})) // or it is the place for it there
            loader.occupies(phys, kPage);
    }
    loader.unaccepted_count = count_unaccepted(loader.uefi);
}

void prologue::prologue_sev_accept_storage(PhysMemory& memory, const LoaderInfo& loader,
                                           Span storage) {
    memory.at("memory to accept", storage.start, storage.bytes());
    if (!loader_has_accepted(loader))
        accept_pages(memory.window, storage);
}

void prologue::prologue_sev_accept_memory(MemoryMap& map, PhysMemory& memory,
                                          const LoaderInfo& loader) {
    // An entry has no room for an address with the C-bit in it: it would show other memory.
    if (is_memory(map, {sev().c_bit_mask, ~uint64_t{0}}))
        fail_in("memory map: from the C-bit on", Error::out_of_reach, 0, sev().c_bit_mask);
    if (!sev().snp())
        return;
    const bool by_loader = loader_has_accepted(loader);
    if (!by_loader)
        map.retype(PROLOGUE_MEMORY_USABLE, PROLOGUE_MEMORY_UNACCEPTED, kLastPageStart);
    add_unaccepted(map, loader.uefi);
    const uint64_t wish = prologue_wish_snp_accept;
    const uint64_t mark = wish == PROLOGUE_ACCEPT_BY_LOADER ? kLastPageStart : page_down(wish);
    accept_memory(map, memory, mark);
    sev().accepted_end = by_loader && mark == kLastPageStart ? ~uint64_t{0} : mark;
}

void prologue::prologue_sev_finish(const SevFinish& finish) {
    PageTables& tables = finish.tables;
    prologue_handoff& handoff = finish.handoff;
    hide_what_was_read(tables, finish);
    if (sev().es()) {
        show_to_host(tables, sev().boot.ghcb_phys + finish.image.virtual_offset(), kPage);
        if (sev().boot.ghcb_phys < handoff.direct_map_bytes)
            show_to_host(tables, handoff.direct_map + sev().boot.ghcb_phys, kPage);
        if (sev().boot.ghcb_phys < handoff.identity_bytes)
            show_to_host(tables, sev().boot.ghcb_phys, kPage);
    }
    show_windows(tables, finish);
    sev().tables_window = finish.seen_at;
    sev().kernel_offset = finish.image.virtual_offset();
    sev().kernel_has_tables = 1;
    handoff.sev = {
        .status = sev().status,
        .c_bit_mask = sev().c_bit_mask,
        .ghcb_phys = sev().es() ? sev().boot.ghcb_phys : 0,
        .ghcb_virtual = sev().es() ? sev().boot.ghcb_phys + finish.image.virtual_offset() : 0,
        .cpuid_page_phys = sev().cpuid_page_phys,
        .secrets_page_phys = sev().secrets_page_phys,
        .accepted_end = sev().accepted_end,
    };
}

namespace prologue {

void flush_page(uint64_t virt) {
    constexpr uint64_t kLine = 64;
    for (const uint64_t end = virt + kPage; virt != end; virt += kLine)
        asm volatile("clflush (%0)" : : "r"(virt) : "memory");
    asm volatile("mfence" : : : "memory");
}

uint64_t window_now() {
    const uint64_t here = reinterpret_cast<uintptr_t>(&sev()) - sev().own_phys;
    return sev().kernel_has_tables != 0 && here == sev().kernel_offset ? sev().tables_window : here;
}

// ---- The hardware, for the parts that the host's tests bring a host for ----

uint64_t read_ghcb_msr() {
    return read_msr(MSR_GHCB);
}

uint64_t exchange_ghcb_msr(uint64_t request) {
    return exchange_ghcb_msr_now(request);
}

// Before SEV_STATUS is known, a #VC says that there is a protocol to end by.
void sev_terminate(unsigned code) {
    if (sev().es() || sev().status == 0)
        end_sev_guest(code);
    fail_in("sev: no way on, for reason", Error::entry, code, sev().status);
}

// CSTAR is kept in the save area, where no host has the word, and is used by kernels alone that
// have 32-bit programs make SYSCALLs. A host that has its read intercepted ends the guest: the
// label is where that #VC would come from.
[[gnu::noinline]] SevCpu& this_sev_cpu() {
    if (sev().processors == 0) [[likely]]
        return sev().boot;
    uint32_t low, high;
    asm volatile(".globl prologue_reads_cstar\n\t.hidden prologue_reads_cstar\n"
                 "prologue_reads_cstar:\trdmsr"
                 : "=a"(low), "=d"(high)
                 : "c"(MSR_CSTAR));
    return *reinterpret_cast<SevCpu*>(uint64_t{high} << 32 | low);
}

volatile uint8_t* ghcb_page(const SevCpu& cpu) {
    return cpu.ghcb_virtual != 0 ? reinterpret_cast<volatile uint8_t*>(cpu.ghcb_virtual)
                                 : prologue_ghcb;
}

void exit_by_ghcb(const SevCpu& cpu) {
    write_msr(MSR_GHCB, cpu.ghcb_phys);
    asm volatile("rep\n\tvmmcall" : : : "memory");
}

void read_line(uint64_t virt) {
    (void)*reinterpret_cast<const volatile uint8_t*>(virt);
}

Validated pvalidate(uint64_t virt, bool large, bool validate) {
    Validated result;
    asm volatile(".byte 0xf2, 0x0f, 0x01, 0xff" // assemblers of 2022 do not all know it
                 : "=a"(result.code), "=@ccc"(result.unchanged)
                 : "a"(virt), "c"(uint32_t{large}), "d"(uint32_t{validate})
                 : "memory");
    return result;
}

uint32_t rmpadjust(uint64_t virt, uint64_t level_and_rights) {
    uint64_t result = virt;
    asm volatile(".byte 0xf3, 0x0f, 0x01, 0xfe"
                 : "+a"(result)
                 : "c"(uint64_t{0}), "d"(level_and_rights)
                 : "cc", "memory");
    return static_cast<uint32_t>(result);
}

uint64_t vc_cr3() {
    return read_cr3();
}

uint64_t vc_cr4() {
    return read_cr4();
}

uint64_t vc_xcr0() {
    constexpr uint64_t kCr4Osxsave = 1u << 18, kXcr0AtReset = 1;
    if ((read_cr4() & kCr4Osxsave) == 0)
        return kXcr0AtReset;
    uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
}

uint64_t vc_xss() {
    return read_msr(MSR_XSS);
}

// A field of the save area: a host that has its read intercepted ends the guest.
uint64_t vc_tsc_aux() {
    return read_msr(MSR_TSC_AUX);
}

uint64_t vc_segment_base(bool gs) {
    return read_msr(gs ? MSR_GS_BASE : MSR_FS_BASE);
}

bool vc_is_64bit(uint64_t cs) {
    constexpr uint32_t kLong = 1u << 21;
    uint32_t rights;
    asm("larl %1, %0" : "=r"(rights) : "r"(static_cast<uint32_t>(cs)) : "cc");
    return (rights & kLong) != 0;
}

bool vc_is_boots_pat_write(uint64_t rip) {
    return rip == reinterpret_cast<uintptr_t>(prologue_writes_pat);
}

const uint64_t* vc_table(uint64_t phys) {
    return reinterpret_cast<const uint64_t*>(static_cast<uintptr_t>(window_now() + phys));
}

const CpuidPage* vc_cpuid_page() {
    return sev().cpuid_page_phys != 0 ? &prologue_own_cpuid_page : nullptr;
}

} // namespace prologue
