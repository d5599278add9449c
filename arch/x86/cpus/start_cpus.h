// A start of other processors: what all ways of it have in common.
#pragma once
#pragma GCC visibility push(hidden)

#include "ap_start.h"
#include "apic.h"
#include "clock.h"

namespace prologue {

// In microseconds. Linux 6.1 waits ten seconds, too (arch/x86/kernel/smpboot.c, do_boot_cpu).
inline constexpr uint64_t kPatience = 10000000, kForEach = 10000;
inline constexpr uint64_t kForOne = 1000000; // where they come one after the other
inline constexpr uint64_t kAfterInit = 10000, kAfterStartup = 200; // SDM vol. 3, 9.4.4.1

class Start {
public:
    Start(prologue_cpus& cpus, prologue_cpus_start& start)
        : cpus_(cpus),
          start_(start),
          tables_(tables_of(cpus)),
          peephole_(tables_),
          apic_(peephole_, cpus.x2apic != 0, cpus.apic_phys) {}

    bool image_is_seen() const { return peephole_.is_there(); }
    bool lay_out(); // memory for all that are wanted; the table of areas
    prologue_cpus_result start();

    // The steps of it.
    bool borrow();
    void give_back();

    // What those on the way are told: where it leads, and how those that return wait.
    void share(const char* parks);
    void write_page(const char* landing, const char* landing_end);

    // Those that are laid out, in the list's order; the first behind null, then null.
    prologue_cpu* next_laid_out(const prologue_cpu* after) const;
    // Those that have not come yet, likewise.
    prologue_cpu* next_starting(const prologue_cpu* after) const;
    ApArea* area_of(const prologue_cpu& cpu) const { return *place_of(cpu.apic_id); }

    void wait_for_all();
    // The door is closed: whoever comes now parks. Had this one come?
    static bool close(prologue_cpu& cpu);
    bool finish(); // closes the door, and counts

    uint64_t patience() const;
    uint64_t patience_with_one() const { return patience() < kForOne ? patience() : kForOne; }
    uint64_t kernel_cr3() const;
    uint64_t low_page() const { return low_; }
    const prologue_cpus& cpus() const { return cpus_; }
    const KernelTables& tables() const { return tables_; }
    Peephole& peephole() { return peephole_; }
    LocalApic& apic() { return apic_; }
    const Clock& clock() const { return clock_; }
    const prologue_cpus_start& asked() const { return start_; }
    void refuse(uint64_t phys) { cpus_.refused_phys = phys; }

private:
    bool is_wanted(const prologue_cpu& cpu) const;
    bool set_up(prologue_cpu& cpu);
    bool unmap(uint64_t virt);
    bool is_mapped(uint64_t virt, uint64_t bytes);
    uint64_t take(uint64_t bytes);
    ApArea** place_of(uint32_t apic_id) const;
    void make_way_tables(const char* landing, const char* landing_end);
    void start_by_sipi();
    void start_by_mailbox();
    void start_up_all();
    void wake(uint32_t apic_id);
    void count_faults();

    prologue_cpus& cpus_;
    prologue_cpus_start& start_;
    KernelTables tables_;
    Peephole peephole_;
    LocalApic apic_;
    Clock clock_;
    uint64_t low_ = 0;   // the borrowed pages
    uint64_t taken_ = 0; // of the kernel's memory
    uint32_t wanted_ = 0;
    bool with_gs_base_ = false; // of one of them
    ApArea** areas_ = nullptr;
};

// SEV-ES and SNP: start_sev_cpus.cpp. A kernel that wishes for no SEV has another there.
extern "C" prologue_cpus_result prologue_start_sev_cpus(Start& start);

} // namespace prologue

#pragma GCC visibility pop
