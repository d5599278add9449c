#include "limine_processors.h"

#include "payload/refusals.h"

namespace prologue {
namespace {

static_assert(offsetof(LimineProcessor, goto_address) == LIMINE_GOTO_ADDRESS);

constexpr uint64_t kOwnStack = kPage; // of one that is on its way
constexpr uint64_t kOwnBytes = kOwnStack + PROLOGUE_CPU_OWN_BYTES;
constexpr uint64_t kMostPauses = 1000000000;

// What each is told; this image is there until all have left it.
struct Parking {
    uint64_t list, stacks, stack_bytes, departure, moving_tables, code;
    volatile uint32_t* left;
    uint64_t left_phys;
};
Parking parking;

void park(prologue_cpu* cpu) {
    prologue_park_other(parking.list + cpu->index * sizeof(LimineProcessor), parking.departure,
                        parking.stacks + cpu->index * parking.stack_bytes, parking.left_phys,
                        parking.moving_tables, parking.code);
}

void wait_until_left(uint32_t count) {
    for (uint64_t pauses = 0; *parking.left != count; ++pauses) {
        if (pauses == kMostPauses)
            refuse(Refusal::processors, *parking.left, count);
        asm volatile("pause");
    }
}

} // namespace

Processors::Processors(Way& way, const LimineWishes& wishes) : stack_bytes_(wishes.stack_bytes) {
    if (!wishes.wants_processors)
        return;
    prologue_cpu own;
    cpus_ = {.handoff = &way.handoff(), .cpu = &own, .room = 1};
    prologue_find_cpus(&cpus_);
    count_ = way.handoff().sev.status == 0 ? cpus_.found : 1;
    list_ = way.objects<LimineProcessor>(count_);
    cpus_.cpu = way.objects<prologue_cpu>(count_);
    cpus_.room = count_;
    left_ = way.objects<uint32_t>();
    prologue_find_cpus(&cpus_);
    if (count_ == 1)
        return;
    stacks_ = way.room((count_ - 1) * stack_bytes_);
    memory_ = way.room((count_ - 1) * kOwnBytes + PROLOGUE_CPUS_SHARED_BYTES);
    way.make_small(memory_);
}

LimineProcessors Processors::start(Way& way, uint64_t moving_tables, uint64_t seen_at) {
    if (count_ > 1) {
        parking.list = seen_at + way.phys_of(list_);
        parking.stacks = seen_at + stacks_.start; // those with an index of 1 end at the first's end
        parking.stack_bytes = stack_bytes_;
        parking.departure = way.phys_of(&way.departure());
        parking.moving_tables = moving_tables;
        parking.code = way.code_page().start +
                       static_cast<uint64_t>(prologue_park - prologue_depart);
        parking.left = left_;
        parking.left_phys = way.phys_of(left_);
        prologue_cpus_start start = {.entry = park,
                                     .stack_bytes = kOwnStack,
                                     .memory = way.seen<void>(memory_.start),
                                     .memory_bytes = memory_.bytes()};
        prologue_start_cpus(&cpus_, &start);
        wait_until_left(start.started);
    }
    for (uint32_t i = 0; i != count_; ++i) {
        const prologue_cpu& cpu = cpus_.cpu[i];
        const bool runs = cpu.state == PROLOGUE_CPU_BOOT || cpu.state == PROLOGUE_CPU_RUNNING;
        list_[i] = {cpu.acpi_id, cpu.apic_id, !runs, 0, 0};
    }
    return {list_, count_, cpus_.x2apic != 0};
}

} // namespace prologue
