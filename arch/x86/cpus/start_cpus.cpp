// prologue_start_cpus: all of them at once. Read prologue_start_cpus, at the end.
#include "start_cpus.h"

#include "bytes.h"
#include "low_pages.h"
#include "sev_state.h"

#pragma GCC visibility push(hidden)
namespace prologue {
namespace {

constexpr uint64_t kStacksForExceptions = 3;
constexpr uint64_t kPagesOfSev = 2; // GHCB and VMSA
constexpr uint64_t kAreaTableBytes = AP_PLACES * sizeof(ApArea*);
static_assert(kAreaTableBytes == PROLOGUE_CPUS_SHARED_BYTES);
static_assert((2 + kStacksForExceptions + kPagesOfSev) * kPage == PROLOGUE_CPU_OWN_BYTES);
static_assert(sizeof(ApArea) <= kPage);

constexpr uint64_t kBelow1M = 0x100000;

// Tables for the way: they show the first borrowed page, the code at the kernel's address and
// what it is told. A path of tables for each of the three, at the most.
constexpr unsigned kWayTables = 1 + 3 * 4;
alignas(kPage) char way_tables[kWayTables][kPage];

// What lies on the borrowed pages meanwhile.
alignas(kPage) char borrowed[kLowPagesBytes];

} // namespace

uint64_t Start::kernel_cr3() const {
    const uint64_t cr3 = start_.cr3 != 0 ? start_.cr3 : read_cr3();
    return cr3 | tables_.c_bit_mask;
}

bool Start::is_wanted(const prologue_cpu& cpu) const {
    if (cpu.index < start_.first || (start_.most != 0 && wanted_ == start_.most))
        return false;
    return cpu.state == PROLOGUE_CPU_STOPPED || cpu.state == PROLOGUE_CPU_SILENT ||
           cpu.state == PROLOGUE_CPU_PARKED;
}

// ---- Memory ----

// Conventional memory in the form in which loaders tell it: RAM is what can be given back.
bool Start::borrow() {
    if (start_.low_phys != 0) {
        low_ = start_.low_phys;
        return low_ % kPage == 0 && low_ + kLowPagesBytes <= kBelow1M;
    }
    static RawRange ranges[64];
    unsigned count = 0;
    const prologue_handoff& handoff = *cpus_.handoff;
    for (uint64_t i = 0; i != handoff.memory_count; ++i) {
        const prologue_range& range = handoff.memory[i];
        if (range.start >= kBelow1M || count == sizeof ranges / sizeof *ranges)
            break;
        const bool lent = range.type == PROLOGUE_MEMORY_USABLE ||
                          range.type == PROLOGUE_MEMORY_LOADER;
        ranges[count++] = {range.start, range.end - range.start, lent ? kE820Usable : 2};
    }
    const RawMap map = {reinterpret_cast<const uint8_t*>(ranges), count * sizeof *ranges,
                        sizeof *ranges, 0};
    BiosWords bios = {};
    if (handoff.efi.system_table_phys == 0) {
        peephole_.read(kEbdaWord, &bios.ebda_segment, sizeof bios.ebda_segment);
        peephole_.read(kBaseMemoryWord, &bios.base_memory_kib, sizeof bios.base_memory_kib);
    }
    low_ = find_low_pages(map, {}, bios);
    if (low_ == 0)
        return false;
    peephole_.read(low_, borrowed, sizeof borrowed);
    return true;
}

void Start::give_back() {
    if (start_.low_phys != 0)
        return;
    for (uint64_t done = 0; done != kLowPagesBytes; done += kPage)
        copy_bytes(peephole_.see(low_ + done), borrowed + done, kPage);
}

uint64_t Start::take(uint64_t bytes) {
    const uint64_t at = reinterpret_cast<uintptr_t>(start_.memory) + taken_;
    if (bytes > start_.memory_bytes - taken_)
        return 0;
    taken_ += bytes;
    return at;
}

bool Start::is_mapped(uint64_t virt, uint64_t bytes) {
    for (uint64_t done = 0; done < bytes; done += kPage) {
        const uint64_t* const entry = tables_.page_entry(tables_.root_of(read_cr3()), virt + done);
        constexpr uint64_t kNeeded = PTE_PRESENT | PTE_WRITABLE;
        if (entry == nullptr || (*entry & kNeeded) != kNeeded)
            return false;
    }
    return true;
}

bool Start::unmap(uint64_t virt) {
    uint64_t* const entry = tables_.page_entry(tables_.root_of(kernel_cr3()), virt);
    if (entry == nullptr)
        return false;
    *entry = 0;
    invalidate_page(virt);
    return true;
}

// A processor's in the table of areas, or the one that is free for it. There are fewer of them
// than places.
ApArea** Start::place_of(uint32_t apic_id) const {
    for (uint32_t place = apic_id;; ++place) {
        ApArea** const found = &areas_[place % AP_PLACES];
        if (*found == nullptr || (*found)->apic_id == apic_id)
            return found;
    }
}

// From below: the guard page, the stack, the stacks for exceptions, the processor's own tables; in
// an SEV guest two pages more.
bool Start::set_up(prologue_cpu& cpu) {
    const bool is_new = cpu.stack_bottom == 0; // one that was started before has all of it
    if (is_new) {
        const uint64_t of_sev = tables_.c_bit_mask != 0 ? 0 : kPagesOfSev * kPage;
        const uint64_t bytes = start_.stack_bytes + PROLOGUE_CPU_OWN_BYTES - of_sev;
        const uint64_t at = take(bytes);
        if (at == 0 || !is_mapped(at + kPage, bytes - kPage) || !unmap(at))
            return false;
        cpu.stack_bottom = at + kPage;
        cpu.stack_top = cpu.stack_bottom + start_.stack_bytes;
    }
    const uint64_t stacks = cpu.stack_top;
    auto& area = *reinterpret_cast<ApArea*>(stacks + kStacksForExceptions * kPage);
    clear_bytes(&area, is_new ? sizeof area : offsetof(ApArea, sev));
    area.cpu = &cpu;
    area.apic_id = cpu.apic_id;
    area.stack_top = cpu.stack_top;
    copy_bytes(area.gdt, prologue_gdt, GDT_BYTES);
    set_tss(area.gdt, area.tss);
    for (uint64_t i = 0; i != kStacksForExceptions; ++i)
        area.tss.ist[i] = stacks + (i + 1) * kPage;
    area.gdt_pointer.set(area.gdt, GDT_BYTES);
    *place_of(cpu.apic_id) = &area;
    return true;
}

bool Start::lay_out() {
    const auto memory = reinterpret_cast<uintptr_t>(start_.memory);
    if ((memory | start_.memory_bytes | start_.stack_bytes) % kPage != 0 || start_.stack_bytes == 0)
        return false;
    const uint64_t table = take(kAreaTableBytes);
    if (table == 0 || !is_mapped(table, kAreaTableBytes))
        return false;
    areas_ = reinterpret_cast<ApArea**>(table);
    clear_bytes(areas_, kAreaTableBytes);
    for (uint32_t i = 0; i != cpus_.count; ++i) {
        prologue_cpu& cpu = cpus_.cpu[i];
        if (!is_wanted(cpu))
            continue;
        if (wanted_ == AP_PLACES - 1 || !set_up(cpu))
            return false;
        ++wanted_;
        with_gs_base_ |= cpu.gs_base != 0;
    }
    return true;
}

prologue_cpu* Start::next_laid_out(const prologue_cpu* after) const {
    for (uint32_t i = after != nullptr ? after->index + 1 : 0; i != cpus_.count; ++i)
        if (*place_of(cpus_.cpu[i].apic_id) != nullptr)
            return &cpus_.cpu[i];
    return nullptr;
}

// ---- The way ----

void Start::make_way_tables(const char* landing, const char* landing_end) {
    const uint64_t start = tables_.phys_of(way_tables);
    clear_bytes(way_tables, kPage);
    TablePages pages = {start + kPage, start + sizeof way_tables};
    PageTables tables(tables_.kernel_offset, start,
                      {.levels = levels_now(), .c_bit_mask = tables_.c_bit_mask}, pages);
    const auto show = [&](const void* thing, uint64_t offset, uint64_t bits) {
        const uint64_t virt = page_down(reinterpret_cast<uintptr_t>(thing));
        (void)tables.map(virt, virt - offset, kPage, bits);
    };
    show(reinterpret_cast<const void*>(low_), 0, 0);
    show(landing, tables_.kernel_offset, 0);
    show(landing_end - 1, tables_.kernel_offset, 0);
    show(&prologue_ap_shared, tables_.kernel_offset, PTE_WRITABLE | kNoExecute);
}

// The IDT of all of them, but on the stack that there is. Nothing is cleared: one that was too late
// for another start may look up here, at any time, how it waits.
void Start::share(const char* parks) {
    const uint64_t cr3 = kernel_cr3(), cr4 = read_cr4();
    const auto* const idt = reinterpret_cast<const uint64_t*>(prologue_idt64());
    constexpr uint64_t kStackOfGate = uint64_t{7} << 32;
    ApShared& shared = prologue_ap_shared;
    shared.next = nullptr;
    shared.faults = shared.vector = 0;
    shared.cr3 = (cr4 & CR4_PCIDE) != 0 ? page_down(cr3) : cr3;
    shared.cr3_with_pcid = cr3;
    shared.cr4 = cr4;
    shared.pat = read_msr(MSR_PAT);
    shared.idt.set(idt, VECTORS * 16);
    shared.first_idt.set(shared.first_gates, VECTORS * 16);
    shared.areas = areas_;
    shared.entry = with_gs_base_ ? prologue_ap_takes_gs_base : start_.entry;
    shared.entry_behind = start_.entry;
    shared.id_leaf = apic_id_leaf();
    shared.parks = parks;
    for (unsigned i = 0; i != 2 * VECTORS; ++i)
        shared.first_gates[i] = i % 2 == 0 ? idt[i] & ~kStackOfGate : idt[i];
}

// The two borrowed pages: code, its tables against exceptions, and what it is told; the top-level
// table.
void Start::write_page(const char* landing, const char* landing_end) {
    auto* const page = static_cast<char*>(peephole_.see(low_));
    clear_bytes(page, kPage);
    copy_bytes(page, prologue_ap_code,
               static_cast<uint64_t>(prologue_ap_code_end - prologue_ap_code));
    // Below 64 KiB of the page's segment, and 1 MiB.
    const auto caught = static_cast<uint32_t>(prologue_ap_caught - prologue_ap_code);
    auto* const ivt = reinterpret_cast<uint32_t*>(page + AP_IVT);
    auto* const idt = reinterpret_cast<uint64_t*>(page + AP_IDT);
    const auto low = static_cast<uint32_t>(low_);
    for (uint32_t i = 0; i != VECTORS; ++i) {
        const uint32_t in_page = caught + 4 * i, stub = low + in_page;
        ivt[i] = low >> 4 << 16 | in_page;
        idt[2 * i] = (stub & 0xffff) | uint64_t{AP_CODE64} << 16 | uint64_t{0x8e} << 40 |
                     uint64_t{stub >> 16} << 48;
    }
    auto& fields = *reinterpret_cast<ApFields*>(page + (prologue_ap_fields - prologue_ap_code));
    fields.cr0 = static_cast<uint32_t>(read_cr0());
    fields.cr3 = static_cast<uint32_t>(low_ + kPage);
    fields.cr4 = CR4_PAE | (static_cast<uint32_t>(read_cr4()) & (CR4_LA57 | CR4_MCE));
    fields.efer = static_cast<uint32_t>(read_msr(MSR_EFER)) & ~uint32_t{EFER_LMA};
    fields.far.offset += low;
    fields.ivt.base += low;
    fields.gdt.base += low;
    fields.idt.base += low;
    // As SEV-ES, where a host could have anything of a gate without a stack of its own, there is
    // none (docs/sev.md).
    if (prologue_sev_state.es())
        fields.ivt.limit = fields.idt.limit = 0;
    fields.landing = reinterpret_cast<uintptr_t>(landing);
    fields.shared = reinterpret_cast<uintptr_t>(&prologue_ap_shared);
    make_way_tables(landing, landing_end);
    copy_bytes(peephole_.see(low_ + kPage), way_tables, kPage);
}

// ---- The start ----

// The next of those that have not come yet; the first behind null.
[[gnu::noinline]] prologue_cpu* Start::next_starting(const prologue_cpu* after) const {
    for (uint32_t i = after != nullptr ? after->index + 1 : 0; i != cpus_.count; ++i)
        if (__atomic_load_n(&cpus_.cpu[i].state, __ATOMIC_ACQUIRE) == PROLOGUE_CPU_STARTING)
            return &cpus_.cpu[i];
    return nullptr;
}

// The firmware's mailbox takes one order at a time, and each processor but once
// (ACPI 6.5, 5.2.12.19).
void Start::wake(uint32_t apic_id) {
    struct Mailbox {
        uint16_t command, reserved;
        uint32_t apic_id;
        uint64_t vector;
    };
    auto* const mailbox = static_cast<volatile Mailbox*>(peephole_.see(cpus_.mailbox_phys));
    mailbox->apic_id = apic_id;
    mailbox->vector = low_ + static_cast<uint64_t>(prologue_ap_wakes - prologue_ap_code);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    mailbox->command = 1;
    for (const uint64_t end = clock_.in_microseconds(patience_with_one());
         mailbox->command != 0 && read_tsc() < end;)
        asm volatile("pause");
    mailbox->command = 0; // who has not looked by now is not to come later
}

// One that has returned looks at its state, and comes by itself.
void Start::start_by_mailbox() {
    for (prologue_cpu* cpu = nullptr; (cpu = next_laid_out(cpu)) != nullptr;) {
        const uint32_t before = __atomic_exchange_n(&cpu->state, uint32_t{PROLOGUE_CPU_STARTING},
                                                    __ATOMIC_ACQ_REL);
        if (before != PROLOGUE_CPU_PARKED)
            wake(cpu->apic_id);
    }
}

uint64_t Start::patience() const {
    return start_.patience != 0 ? start_.patience * uint64_t{1000} : kPatience + wanted_ * kForEach;
}

void Start::wait_for_all() {
    const uint64_t end = clock_.in_microseconds(patience());
    while (next_starting(nullptr) != nullptr && read_tsc() < end)
        asm volatile("pause");
}

[[gnu::noinline]] void Start::start_up_all() {
    for (prologue_cpu* cpu = nullptr; (cpu = next_starting(cpu)) != nullptr;)
        apic_.send_startup(cpu->apic_id, low_);
}

void Start::start_by_sipi() {
    for (prologue_cpu* cpu = nullptr; (cpu = next_laid_out(cpu)) != nullptr;) {
        cpu->state = PROLOGUE_CPU_STARTING;
        apic_.send_init(cpu->apic_id);
    }
    clock_.wait_microseconds(kAfterInit);
    start_up_all();
    clock_.wait_microseconds(kAfterStartup);
    start_up_all();
}

bool Start::close(prologue_cpu& cpu) {
    uint32_t expected = PROLOGUE_CPU_STARTING;
    return !__atomic_compare_exchange_n(&cpu.state, &expected, PROLOGUE_CPU_SILENT, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void Start::count_faults() {
    ApFields fields;
    peephole_.read(low_ + static_cast<uint64_t>(prologue_ap_fields - prologue_ap_code), &fields,
                   sizeof fields);
    start_.faults = fields.faults + prologue_ap_shared.faults;
    start_.fault_vector = fields.faults != 0 ? fields.vector : prologue_ap_shared.vector;
}

// INIT sends who has not come back to wait.
prologue_cpus_result Start::start() {
    if (!borrow())
        return PROLOGUE_CPUS_NO_LOW_PAGES;
    const bool by_mailbox = cpus_.mailbox_phys != 0;
    share(by_mailbox ? prologue_ap_waits_awake : prologue_ap_halts);
    write_page(prologue_ap_lands, prologue_ap_lands_end);
    if (by_mailbox)
        start_by_mailbox();
    else
        start_by_sipi();
    wait_for_all();
    const bool all_came = finish();
    for (prologue_cpu* cpu = nullptr; !by_mailbox && (cpu = next_laid_out(cpu)) != nullptr;)
        if (cpu->state == PROLOGUE_CPU_SILENT)
            apic_.send_init(cpu->apic_id);
    count_faults();
    give_back();
    return all_came ? PROLOGUE_CPUS_DONE : PROLOGUE_CPUS_SOME;
}

bool Start::finish() {
    start_.started = wanted_;
    for (prologue_cpu* cpu = nullptr; (cpu = next_laid_out(cpu)) != nullptr;)
        if (!close(*cpu) || cpu->state == PROLOGUE_CPU_SILENT) // by now, or before
            --start_.started;
    return start_.started == wanted_;
}

} // namespace prologue
#pragma GCC visibility pop

using namespace prologue;

prologue_cpus_result prologue_start_cpus(prologue_cpus* cpus, prologue_cpus_start* start) {
    start->started = start->faults = start->fault_vector = 0;
    Start all(*cpus, *start);
    if (!all.image_is_seen())
        return PROLOGUE_CPUS_NOT_SEEN;
    if (!all.lay_out())
        return PROLOGUE_CPUS_NO_MEMORY;
    if (prologue_sev_state.es())
        return prologue_start_sev_cpus(all);
    return all.start();
}
