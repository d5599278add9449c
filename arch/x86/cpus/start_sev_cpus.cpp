// Other processors of SEV-ES and SNP guests, which no host can start where it likes: as SEV-ES the
// firmware's AP jump table leads them, as SNP each gets a save area from here. Sources: AMD 56421
// (GHCB), 4.1.5, 4.1.9, 4.1.10 and 4.3; APM vol. 2, 15.35 and table B-4; Linux,
// arch/x86/coco/sev (sev_es_setup_ap_jump_table, wakeup_cpu_via_vmgexit); KVM, sev.c
// (sev_snp_ap_creation, sev_vcpu_deliver_sipi_vector).
#include "start_cpus.h"

#include "accept.h"
#include "bytes.h"
#include "ghcb.h"
#include "msr_protocol.h"
#include "prologue/sev.h"
#include "vmsa.h"

#pragma GCC visibility push(hidden)
namespace prologue {
namespace {

// ---- Each processor's GHCB page ----

// One page of the two is a save area one day, which must not lie at 2 MiB's beginning: such a
// page is as good as any for the other (an erratum; Linux's snp_alloc_vmsa_page).
constexpr uint64_t kNoSaveAreaAt = 2 * kMiB;

struct OwnPages {
    uint64_t ghcb, vmsa; // virtual
};

uint64_t* entry_at(const Start& start, uint64_t cr3, uint64_t virt) {
    return start.tables().page_entry(start.tables().root_of(cr3), virt);
}

uint64_t phys_at(const Start& start, uint64_t virt) {
    return start.tables().root_of(*entry_at(start, read_cr3(), virt)) | virt % kPage;
}

OwnPages pages_of(const Start& start, const ApArea& area) {
    const uint64_t first = reinterpret_cast<uintptr_t>(&area) + kPage;
    const bool swapped = phys_at(start, first + kPage) % kNoSaveAreaAt == 0;
    return swapped ? OwnPages{first + kPage, first} : OwnPages{first, first + kPage};
}

// In the tables that are loaded and in those that the processor gets.
bool open_page(const Start& start, ApArea& area) {
    const OwnPages own = pages_of(start, area);
    const uint64_t phys = phys_at(start, own.ghcb);
    prologue_table_pages none = {};
    if (prologue_sev_share(own.ghcb, kPage, &none) != PROLOGUE_SEV_DONE)
        return false;
    uint64_t* const entry = entry_at(start, start.kernel_cr3(), own.ghcb);
    if (entry == nullptr)
        return false;
    *entry &= ~start.tables().c_bit_mask;
    clear_bytes(reinterpret_cast<void*>(own.ghcb), kPage);
    constexpr uint64_t kDr7AtReset = 0x400;
    area.sev = {.ghcb_phys = phys, .ghcb_virtual = own.ghcb, .dr7 = kDr7AtReset, .busy = 0};
    area.vmsa_phys = phys_at(start, own.vmsa);
    area.cpu->ghcb_phys = phys;
    area.cpu->ghcb_virtual = own.ghcb;
    return true;
}

bool open_pages(Start& start) {
    for (prologue_cpu* cpu = nullptr; (cpu = start.next_laid_out(cpu)) != nullptr;)
        if (ApArea& area = *start.area_of(*cpu); area.sev.ghcb_phys == 0 && !open_page(start, area))
            return false;
    // From here on each processor is told from the others, this one too.
    write_msr(MSR_CSTAR, reinterpret_cast<uintptr_t>(&prologue_sev_state.boot));
    prologue_sev_state.processors = 1;
    return true;
}

// ---- SEV-ES ----

struct JumpTable {
    uint16_t ip, cs;
};

// It is written to, as private memory: so it must be none that anybody has here, whatever the
// host says. Firmware leaves it in memory that its map calls reserved.
bool is_firmwares(const prologue_handoff& handoff, uint64_t page) {
    for (uint64_t i = 0; i != handoff.memory_count; ++i) {
        const prologue_range& range = handoff.memory[i];
        if (range.start <= page && page < range.end)
            return range.type == PROLOGUE_MEMORY_RESERVED || range.type == PROLOGUE_MEMORY_NVS;
    }
    return false;
}

// 0: the host has none, or one that is refused.
uint64_t find_jump_table(Start& start) {
    constexpr uint64_t kGet = 1;
    const GhcbAnswer answer = Ghcb().call(
        {.code = kGhcbJumpTable, .info1 = kGet, .may_be_refused = true});
    if (answer.refused || answer.vector != 0 || answer.info2 == 0)
        return 0;
    if (answer.info2 % kPage == 0 && is_firmwares(*start.cpus().handoff, answer.info2))
        return answer.info2;
    start.refuse(answer.info2);
    return 0;
}

JumpTable exchange(Start& start, uint64_t jump_table, JumpTable value) {
    auto* const seen = static_cast<JumpTable*>(start.peephole().see(jump_table));
    const JumpTable before = *seen;
    *seen = value;
    return before;
}

// One after the other: a jump table leads all of them to one place, and nobody but the host could
// say who it is that comes.
void call(Start& start, prologue_cpu& cpu) {
    // One that knows who it is, or has been told and is on its way: nobody else may have its stack.
    ApArea& area = *start.area_of(cpu);
    const bool is_told = cpu.state == PROLOGUE_CPU_PARKED || area.has_run;
    cpu.state = PROLOGUE_CPU_STARTING;
    if (!is_told)
        __atomic_store_n(&prologue_ap_shared.next, &area, __ATOMIC_RELEASE);
    start.apic().send_init(cpu.apic_id);
    start.clock().wait_microseconds(kAfterInit);
    start.apic().send_startup(cpu.apic_id, start.low_page());
    const uint64_t end = start.clock().in_microseconds(start.patience_with_one());
    while (__atomic_load_n(&cpu.state, __ATOMIC_ACQUIRE) == PROLOGUE_CPU_STARTING &&
           read_tsc() < end)
        asm volatile("pause");
    if (__atomic_exchange_n(&prologue_ap_shared.next, nullptr, __ATOMIC_ACQ_REL) == nullptr)
        area.has_run = true;
    Start::close(cpu);
}

prologue_cpus_result start_es(Start& start) {
    const uint64_t jump_table = find_jump_table(start);
    if (jump_table == 0)
        return PROLOGUE_CPUS_SEV;
    if (!start.borrow())
        return PROLOGUE_CPUS_NO_LOW_PAGES;
    start.share(prologue_ap_is_held);
    start.write_page(prologue_ap_lands_es, prologue_ap_lands_es_end);
    const JumpTable before = exchange(start, jump_table,
                                      {static_cast<uint16_t>(prologue_ap_held - prologue_ap_code),
                                       static_cast<uint16_t>(start.low_page() >> 4)});
    for (prologue_cpu* cpu = nullptr; (cpu = start.next_laid_out(cpu)) != nullptr;)
        call(start, *cpu);
    const bool all_came = start.finish();
    exchange(start, jump_table, before);
    start.give_back();
    return all_came ? PROLOGUE_CPUS_DONE : PROLOGUE_CPUS_SOME;
}

// ---- SNP ----

enum class Creation : uint64_t { now = 1, destroy = 2 };

bool ask_creation(const ApArea& area, Creation what) {
    const bool has_vmsa = what == Creation::now;
    const GhcbAnswer answer = Ghcb().call(
        {.code = kGhcbApCreation,
         .info1 = uint64_t{area.apic_id} << 32 | static_cast<uint64_t>(what),
         .info2 = has_vmsa ? area.vmsa_phys : 0,
         .fields = has_vmsa ? unsigned{kFieldRax} : 0u,
         .registers = {has_vmsa ? sev_features(prologue_sev_state.status) : 0},
         .may_be_refused = true});
    return !answer.refused && answer.vector == 0;
}

// The boot processor's own scale and offset are in no register: SNP's firmware tells them, by a
// message under a key of the secrets page (SNP ABI 56860, TSC_INFO), to who has a cipher.
bool has_secure_tsc() {
    return (prologue_sev_state.status & SEV_STATUS_SECURE_TSC) != 0;
}

// RMPADJUST (APM vol. 3): which it is, and no rights for level 1, where nobody runs.
bool make_save_area(uint64_t virt, bool is_one) {
    constexpr uint64_t kLevel1 = 1, kSaveArea = 1 << 16;
    return rmpadjust(virt, kLevel1 | (is_one ? kSaveArea : 0)) == 0;
}

// A processor that runs by it still is asked to stop, and may take its time: as long as it runs the
// page cannot be had back.
bool free_save_area(Start& start, ApArea& area) {
    if (!area.has_run)
        return true;
    ask_creation(area, Creation::destroy);
    const uint64_t virt = pages_of(start, area).vmsa;
    const uint64_t end = start.clock().in_microseconds(start.patience_with_one());
    while (!make_save_area(virt, false))
        if (read_tsc() >= end)
            return false;
    area.has_run = false;
    return true;
}

bool prepare(Start& start, ApArea& area) {
    const uint64_t virt = pages_of(start, area).vmsa;
    auto& vmsa = *reinterpret_cast<Vmsa*>(virt);
    if (!free_save_area(start, area))
        return false;
    clear_bytes(&vmsa, kPage);
    fill_in(vmsa, {.rip = reinterpret_cast<uintptr_t>(prologue_ap_arrives),
                   .rbx = reinterpret_cast<uintptr_t>(&area),
                   .cr0 = read_cr0(),
                   .cr3 = start.kernel_cr3(),
                   .cr4 = read_cr4(),
                   .efer = read_msr(MSR_EFER),
                   .pat = read_msr(MSR_PAT),
                   .sev_status = prologue_sev_state.status,
                   .tsc_scale = has_secure_tsc() ? start.asked().tsc_scale : 0,
                   .tsc_offset = has_secure_tsc() ? start.asked().tsc_offset : 0});
    if (!make_save_area(virt, true))
        sev_terminate(PROLOGUE_SEV_VMPL);
    area.has_run = true;
    area.cpu->state = PROLOGUE_CPU_STARTING;
    return true;
}

// A host that refuses may have it run all the same: whoever has come by then has come.
void create(Start& start, ApArea& area) {
    if (!prepare(start, area))
        area.cpu->state = PROLOGUE_CPU_SILENT;
    else if (!ask_creation(area, Creation::now))
        Start::close(*area.cpu);
}

prologue_cpus_result start_snp(Start& start) {
    constexpr uint64_t kHostApCreation = 2;
    if ((ask_features() & kHostApCreation) == 0)
        return PROLOGUE_CPUS_SEV;
    if (has_secure_tsc() && start.asked().tsc_scale == 0)
        return PROLOGUE_CPUS_SECURE_TSC;
    start.share(prologue_ap_halts);
    for (prologue_cpu* cpu = nullptr; (cpu = start.next_laid_out(cpu)) != nullptr;)
        create(start, *start.area_of(*cpu));
    start.wait_for_all();
    const bool all_came = start.finish();
    for (prologue_cpu* cpu = nullptr; (cpu = start.next_laid_out(cpu)) != nullptr;)
        if (cpu->state == PROLOGUE_CPU_SILENT)
            free_save_area(start, *start.area_of(*cpu));
    return all_came ? PROLOGUE_CPUS_DONE : PROLOGUE_CPUS_SOME;
}

} // namespace
} // namespace prologue
#pragma GCC visibility pop

using namespace prologue;

prologue_cpus_result prologue::prologue_start_sev_cpus(Start& start) {
    if (start.next_laid_out(nullptr) == nullptr)
        return PROLOGUE_CPUS_DONE;
    if (!open_pages(start))
        return PROLOGUE_CPUS_NO_MEMORY;
    return prologue_sev_state.snp() ? start_snp(start) : start_es(start);
}

// On the processor itself, before it has an IDT: from here on it is served as the boot processor.
void prologue_ap_joins(ApArea* area) {
    write_msr(MSR_CSTAR, reinterpret_cast<uintptr_t>(&area->sev));
    if (prologue_sev_state.snp())
        register_ghcb(area->sev.ghcb_phys);
}

// Until it is called again. A host that wakes it unasked finds that it is not (56421, 4.1.5).
ApArea* prologue_ap_holds(prologue_cpu* cpu) {
    while (__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) != PROLOGUE_CPU_STARTING)
        Ghcb().call({.code = kGhcbResetHold, .may_be_refused = true});
    auto* const sev = reinterpret_cast<char*>(&this_sev_cpu());
    return reinterpret_cast<ApArea*>(sev - offsetof(ApArea, sev));
}
