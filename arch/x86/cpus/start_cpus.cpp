// prologue_start_cpus: all of them at once. Read prologue_start_cpus, at the end.
#include "ap_start.h"
#include "apic.h"
#include "bytes.h"
#include "clock.h"
#include "descriptors.h"
#include "low_pages.h"

#pragma GCC visibility push(hidden)
namespace prologue {
namespace {

constexpr uint64_t kStacksForExceptions = 3;
constexpr uint64_t kMostIds = 4096; // so many pointers are on the shared pages
constexpr uint64_t kAreaTableBytes = kMostIds * sizeof(ApArea*);
static_assert(kAreaTableBytes == PROLOGUE_CPUS_SHARED_BYTES);
static_assert((2 + kStacksForExceptions) * kPage == PROLOGUE_CPU_OWN_BYTES);
static_assert(sizeof(ApArea) <= kPage);

// In microseconds. Linux 6.1 waits ten seconds, too (arch/x86/kernel/smpboot.c, do_boot_cpu).
constexpr uint64_t kPatience = 10000000, kForEach = 10000;
constexpr uint64_t kAfterInit = 10000, kAfterStartup = 200; // SDM vol. 3, 9.4.4.1
constexpr uint64_t kBelow1M = 0x100000;

// Tables for the way: they show the first borrowed page, the code at the kernel's address and
// what it is told. A path of tables for each of the three, at the most.
constexpr unsigned kWayTables = 1 + 3 * 4;
alignas(kPage) char way_tables[kWayTables][kPage];

// What lies on the borrowed pages meanwhile.
alignas(kPage) char borrowed[kLowPagesBytes];

class Start {
public:
    Start(prologue_cpus& cpus, prologue_cpus_start& start)
        : cpus_(cpus), start_(start), tables_(tables_of(cpus)), peephole_(tables_),
          apic_(peephole_, cpus.x2apic != 0, cpus.apic_phys) {}

    bool image_is_seen() const { return peephole_.is_there(); }
    bool borrow();
    bool lay_out();
    void call_off();
    bool run(); // did all come?
    void give_back();

private:
    bool is_wanted(const prologue_cpu& cpu) const;
    bool set_up(prologue_cpu& cpu);
    bool unmap(uint64_t virt);
    bool is_mapped(uint64_t virt, uint64_t bytes);
    uint64_t take(uint64_t bytes);
    void make_way_tables();
    void write_page();
    void share();
    prologue_cpu* next_starting(const prologue_cpu* after) const;
    void start_up_all();
    void wake(uint32_t apic_id, const Clock& clock);
    void wait(const Clock& clock);

    prologue_cpus& cpus_;
    prologue_cpus_start& start_;
    KernelTables tables_;
    Peephole peephole_;
    LocalApic apic_;
    uint64_t low_ = 0;   // the borrowed pages
    uint64_t taken_ = 0; // of the kernel's memory
    uint32_t starting_ = 0;
    ApArea** areas_ = nullptr;
};

uint64_t root_now() {
    return read_cr3() & kTableAddress;
}

bool Start::is_wanted(const prologue_cpu& cpu) const {
    if (cpu.index < start_.first || (start_.most != 0 && starting_ == start_.most))
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
    LoaderInfo loader;
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
    loader.memory = {reinterpret_cast<const uint8_t*>(ranges), count * sizeof *ranges,
                     sizeof *ranges, 0};
    BiosWords bios = {};
    if (handoff.efi.system_table_phys == 0) {
        peephole_.read(kEbdaWord, &bios.ebda_segment, sizeof bios.ebda_segment);
        peephole_.read(kBaseMemoryWord, &bios.base_memory_kib, sizeof bios.base_memory_kib);
    }
    low_ = find_low_pages(loader, bios);
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
        const uint64_t* const entry = tables_.page_entry(root_now(), virt + done);
        constexpr uint64_t kNeeded = PTE_PRESENT | PTE_WRITABLE;
        if (entry == nullptr || (*entry & kNeeded) != kNeeded)
            return false;
    }
    return true;
}

bool Start::unmap(uint64_t virt) {
    const uint64_t root = (start_.cr3 != 0 ? start_.cr3 : read_cr3()) & kTableAddress;
    uint64_t* const entry = tables_.page_entry(root, virt);
    if (entry == nullptr)
        return false;
    *entry = 0;
    invalidate_page(virt);
    return true;
}

// From below: the guard page, the stack, the stacks for exceptions, the processor's own tables.
bool Start::set_up(prologue_cpu& cpu) {
    if (cpu.stack_bottom == 0) { // one that was started before has all of it
        const uint64_t bytes = start_.stack_bytes + PROLOGUE_CPU_OWN_BYTES;
        const uint64_t at = take(bytes);
        if (at == 0 || !is_mapped(at + kPage, bytes - kPage) || !unmap(at))
            return false;
        cpu.stack_bottom = at + kPage;
        cpu.stack_top = cpu.stack_bottom + start_.stack_bytes;
    }
    const uint64_t stacks = cpu.stack_top;
    auto& area = *reinterpret_cast<ApArea*>(stacks + kStacksForExceptions * kPage);
    clear_bytes(&area, sizeof area);
    area.cpu = &cpu;
    area.stack_top = cpu.stack_top;
    copy_bytes(area.gdt, prologue_gdt, GDT_BYTES);
    set_tss(area.gdt, area.tss);
    for (uint64_t i = 0; i != kStacksForExceptions; ++i)
        area.tss.ist[i] = stacks + (i + 1) * kPage;
    area.gdt_pointer = {GDT_BYTES - 1, reinterpret_cast<uintptr_t>(area.gdt), {}};
    areas_[cpu.apic_id] = &area;
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
        if (cpu.apic_id >= kMostIds) {
            cpu.state = PROLOGUE_CPU_UNREACHABLE;
            continue;
        }
        if (!set_up(cpu))
            return false;
        cpu.state = PROLOGUE_CPU_STARTING;
        ++starting_;
    }
    return true;
}

void Start::call_off() {
    for (prologue_cpu* cpu = nullptr; (cpu = next_starting(nullptr)) != nullptr;)
        cpu->state = PROLOGUE_CPU_STOPPED;
}

// ---- The way ----

void Start::make_way_tables() {
    const uint64_t start = tables_.phys_of(way_tables);
    clear_bytes(way_tables, kPage);
    TablePages pages = {start + kPage, start + sizeof way_tables};
    PageTables tables(tables_.kernel_offset, start, {.levels = levels_now()}, pages);
    struct {
        uint64_t virt, phys, bits;
    } const shown[] = {
        {low_, low_, 0},
        {reinterpret_cast<uintptr_t>(prologue_ap_lands), tables_.phys_of(prologue_ap_lands), 0},
        {reinterpret_cast<uintptr_t>(prologue_ap_lands_end - 1),
         tables_.phys_of(prologue_ap_lands_end - 1), 0},
        {reinterpret_cast<uintptr_t>(&prologue_ap_shared), tables_.phys_of(&prologue_ap_shared),
         PTE_WRITABLE | kNoExecute},
    };
    for (const auto& page : shown)
        (void)tables.map(page_down(page.virt), page_down(page.phys), kPage, page.bits);
}

void Start::share() {
    const uint64_t cr3 = start_.cr3 != 0 ? start_.cr3 : read_cr3();
    const uint64_t cr4 = read_cr4();
    prologue_ap_shared = {
        .cr3 = (cr4 & CR4_PCIDE) != 0 ? page_down(cr3) : cr3,
        .cr3_with_pcid = cr3,
        .cr4 = cr4,
        .pat = read_msr(MSR_PAT),
        .idt = {VECTORS * 16 - 1, reinterpret_cast<uintptr_t>(prologue_idt64()), {}},
        .ids = kMostIds,
        .id_leaf = apic_id_leaf(),
        .areas = areas_,
        .entry = start_.entry,
        .faults = 0,
        .vector = 0,
    };
}

// The two borrowed pages: code, its tables against exceptions, and what it is told; the top-level
// table.
void Start::write_page() {
    auto* const page = static_cast<char*>(peephole_.see(low_));
    clear_bytes(page, kPage);
    copy_bytes(page, prologue_ap_code,
               static_cast<uint64_t>(prologue_ap_code_end - prologue_ap_code));
    const auto in_page = [this](const char* symbol) {
        return low_ + static_cast<uint64_t>(symbol - prologue_ap_code);
    };
    const uint64_t caught = in_page(prologue_ap_caught);
    auto* const ivt = reinterpret_cast<uint32_t*>(page + AP_IVT);
    auto* const idt = reinterpret_cast<uint64_t*>(page + AP_IDT);
    for (uint32_t i = 0; i != VECTORS; ++i) {
        const uint64_t stub = caught + 4 * i; // below 64 KiB of the page's segment, and 1 MiB
        ivt[i] = static_cast<uint32_t>(low_ >> 4 << 16 | (stub - low_));
        idt[2 * i] = (stub & 0xffff) | uint64_t{AP_CODE64} << 16 | uint64_t{0x8e} << 40 |
                     stub >> 16 << 48;
    }
    ApFields fields = {};
    fields.cr0 = static_cast<uint32_t>(read_cr0());
    fields.cr3 = static_cast<uint32_t>(low_ + kPage);
    fields.cr4 = CR4_PAE | (static_cast<uint32_t>(read_cr4()) & (CR4_LA57 | CR4_MCE));
    fields.efer = static_cast<uint32_t>(read_msr(MSR_EFER)) & ~uint32_t{EFER_LMA};
    fields.far = {static_cast<uint32_t>(in_page(prologue_ap_long)), AP_CODE64};
    fields.ivt = {VECTORS * 4 - 1, static_cast<uint32_t>(low_ + AP_IVT)};
    fields.gdt = {15, in_page(prologue_ap_gdt)};
    fields.idt = {VECTORS * 16 - 1, low_ + AP_IDT};
    fields.landing = reinterpret_cast<uintptr_t>(prologue_ap_lands);
    fields.shared = reinterpret_cast<uintptr_t>(&prologue_ap_shared);
    copy_bytes(page + (prologue_ap_fields - prologue_ap_code), &fields, sizeof fields);
    make_way_tables();
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
void Start::wake(uint32_t apic_id, const Clock& clock) {
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
    for (const uint64_t end = clock.in_microseconds(kForEach);
         mailbox->command != 0 && read_tsc() < end;)
        asm volatile("pause");
}

void Start::wait(const Clock& clock) {
    const uint64_t patience = start_.patience != 0 ? start_.patience * uint64_t{1000}
                                                   : kPatience + starting_ * kForEach;
    const uint64_t end = clock.in_microseconds(patience);
    while (next_starting(nullptr) != nullptr && read_tsc() < end)
        asm volatile("pause");
}

[[gnu::noinline]] void Start::start_up_all() {
    for (prologue_cpu* cpu = nullptr; (cpu = next_starting(cpu)) != nullptr;)
        apic_.send_startup(cpu->apic_id, low_);
}

bool Start::run() {
    const Clock clock;
    share();
    write_page();
    prologue_cpu* cpu = nullptr;
    if (cpus_.mailbox_phys != 0) {
        while ((cpu = next_starting(cpu)) != nullptr)
            wake(cpu->apic_id, clock);
    } else {
        while ((cpu = next_starting(cpu)) != nullptr)
            apic_.send_init(cpu->apic_id);
        clock.wait_microseconds(kAfterInit);
        start_up_all();
        clock.wait_microseconds(kAfterStartup);
        start_up_all();
    }
    wait(clock);
    // The door is closed: who comes now parks, and INIT sends it back to wait.
    start_.started = starting_;
    while ((cpu = next_starting(nullptr)) != nullptr) {
        uint32_t expected = PROLOGUE_CPU_STARTING;
        if (!__atomic_compare_exchange_n(&cpu->state, &expected, PROLOGUE_CPU_SILENT, false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            continue;
        --start_.started;
        if (cpus_.mailbox_phys == 0)
            apic_.send_init(cpu->apic_id);
    }
    ApFields fields;
    peephole_.read(low_ + static_cast<uint64_t>(prologue_ap_fields - prologue_ap_code), &fields,
                   sizeof fields);
    start_.faults = fields.faults + prologue_ap_shared.faults;
    start_.fault_vector = fields.faults != 0 ? fields.vector : prologue_ap_shared.vector;
    return start_.started == starting_;
}

}  // namespace
}  // namespace prologue
#pragma GCC visibility pop

using namespace prologue;

prologue_cpus_result prologue_start_cpus(prologue_cpus* cpus, prologue_cpus_start* start) {
    start->started = start->faults = start->fault_vector = 0;
    if (cpus->handoff->sev.status != 0)
        return PROLOGUE_CPUS_SEV;
    Start all(*cpus, *start);
    if (!all.image_is_seen())
        return PROLOGUE_CPUS_NOT_SEEN;
    if (!all.borrow())
        return PROLOGUE_CPUS_NO_LOW_PAGES;
    if (!all.lay_out()) {
        all.call_off();
        return PROLOGUE_CPUS_NO_MEMORY;
    }
    const bool all_came = all.run();
    all.give_back();
    return all_came ? PROLOGUE_CPUS_DONE : PROLOGUE_CPUS_SOME;
}
