// The 32-bit stage: what the entry needs in C++ while it is in 32-bit mode.
#include "stage32.h"

#pragma GCC visibility push(hidden)
#include "bits.h"
#include "image.h"
#include "prologue/wishes.h"
#include "report.h"

extern "C" const char stage32_start[]; // from stage32.ld

namespace prologue {
namespace {

constexpr uint64_t kWindow = 0; // paging is off: physical addresses are pointers

constexpr char kSentences[] = PROLOGUE_ENTRY_ERRORS(PROLOGUE_ERROR_SENTENCE);

// What stands in memory when isr32_report has been through: PUSHA, then the
// stub's vector and error code, then what the CPU pushed.
struct Frame32 {
    uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
    uint32_t vector, error;
    uint32_t eip, cs, eflags;
};
static_assert(sizeof(Frame32) == 52);

int32_t distance_before_stage(unsigned word) {
    return reinterpret_cast<const int32_t*>(stage32_start)[-static_cast<int>(word)];
}

uint32_t image_address() {
    return reinterpret_cast<uintptr_t>(stage32_start) + distance_before_stage(2);
}

uint32_t wish_qemu_exit() {
    return *reinterpret_cast<const uint32_t*>(stage32_start + distance_before_stage(1));
}

} // namespace

const char* vector_names() {
    return stage32_start + distance_before_stage(3);
}

namespace {

// The lower half of an entry; the upper one is zero below 4 GiB, as the tables are so far.
uint32_t& entry(uint32_t table, uint32_t index) {
    return reinterpret_cast<uint32_t*>(table)[2 * index];
}

// No SSE: a KVM that has to emulate this mode ends the guest there.
[[gnu::noinline]] void build_early_tables(uint32_t pml4, uint32_t pdpt, uint32_t pds) {
    const Span image = Image(kWindow, image_address()).span();
    if (image.end > EARLY_PDS * kGiB)
        fail(Error::early_tables, image.end);
    const uint32_t gibs = static_cast<uint32_t>((image.end - 1) >> 30) + 1;
    constexpr uint32_t kTableBits = PTE_PRESENT | PTE_WRITABLE, kStep = 2 * kMiB;
    entry(pml4, 0) = pdpt | kTableBits;
    for (uint32_t gib = 0; gib != gibs; ++gib)
        entry(pdpt, gib) = (pds + gib * kPage) | kTableBits;
    uint32_t page = kTableBits | PTE_LARGE;
#pragma clang loop unroll_count(8)
    for (uint32_t i = 0; i != gibs * TABLE_ENTRIES; ++i, page += kStep)
        entry(pds, i) = page;
}

[[noreturn]] void report(const Frame32& frame, uint32_t efer, uint32_t entry_base,
                         uint32_t sev_status) {
    const bool based = (frame.cs & ~7u) == SELECTOR_CODE32_BASED;
    const uint32_t sp = reinterpret_cast<uintptr_t>(&frame) + sizeof frame;
    uint32_t cr0, cr2, cr3, cr4;
    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    asm volatile("mov %%cr2, %0" : "=r"(cr2));
    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    const ExceptionReport exception = {
        .bits = 32,
        .vector = frame.vector,
        .error = frame.error,
        .ip = frame.eip + (based ? entry_base : 0),
        .cs = frame.cs,
        .flags = frame.eflags,
        .sp = sp,
        .registers = {frame.eax, frame.ecx, frame.edx, frame.ebx, sp, frame.ebp, frame.esi,
                      frame.edi},
        .cr0 = cr0,
        .cr2 = cr2,
        .cr3 = cr3,
        .cr4 = cr4,
        .efer = efer,
        .of_private_memory = sev_status != 0,
    };
    const Image image(kWindow, image_address());
    Console console;
    print_exception(
        console, exception,
        {image.span().start, image.span().bytes(), image.span().start + image.virtual_offset()});
    end_boot(wish_qemu_exit());
}

} // namespace

void fail_in(const char* what, Error error, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    const uint64_t numbers[] = {a, b, c, d};
    Console console;
    print_error(console, sentence(kSentences, error), what, numbers);
    end_boot(wish_qemu_exit());
}

void fail(Error error, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    fail_in("", error, a, b, c, d);
}

} // namespace prologue

// The stage's first byte, by stage32.ld.
extern "C" __attribute__((section(".text.first"), regparm(0))) void stage32_main(
    uint32_t operation, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    using namespace prologue;
    switch (operation) {
    case STAGE32_EARLY_TABLES:
        build_early_tables(a, b, c);
        return;
    case STAGE32_REPORT:
        report(*reinterpret_cast<const Frame32*>(a), b, c, d);
    default:
        if (a == ERROR_NESTED_FAULT)
            Console().put('\n'); // the report was in the middle of a line
        fail(static_cast<Error>(a), b, c, d);
    }
}
