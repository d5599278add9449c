// Source: SDM vol. 3, section 4.5. Smaller than the kernel's builder of tables, which knows
// more; all that is mapped is whole GiBs.
#include "tables.h"

#include "bits.h"
#include "bytes.h"

namespace prologue::efi {
namespace {

constexpr uint64_t kTables = 24;
constexpr uint64_t kBits = PTE_PRESENT | PTE_WRITABLE;
constexpr unsigned kGiBLevel = 3, kGiBShift = 30;
constexpr uint64_t kLargeBytes = 2 * kMiB;

class Tables {
public:
    Tables(const CpuState& cpu, uint64_t pages) : cpu_(cpu), next_(pages), left_(kTables) {
        root_ = take();
    }

    uint64_t root() const { return root_; }

    void map(uint64_t gib) {
        uint64_t table = root_;
        for (unsigned level = cpu_.levels; level != kGiBLevel; --level)
            table = table_at(entry(table, gib >> (3 + 9 * level)));
        uint64_t& last = *entry(table, gib >> kGiBShift);
        if (cpu_.has_1g_pages) {
            last = gib | cpu_.c_bit_mask | kBits | PTE_LARGE;
            return;
        }
        table = table_at(&last);
        for (uint64_t i = 0; i != TABLE_ENTRIES; ++i)
            *entry(table, i) = (gib + i * kLargeBytes) | cpu_.c_bit_mask | kBits | PTE_LARGE;
    }

private:
    static uint64_t* entry(uint64_t table, uint64_t index) {
        return reinterpret_cast<uint64_t*>(table) + index % TABLE_ENTRIES;
    }

    uint64_t table_at(uint64_t* entry) {
        if (*entry == 0)
            *entry = take() | cpu_.c_bit_mask | kBits;
        return (*entry & ~cpu_.c_bit_mask) - kBits;
    }

    uint64_t take() {
        if (left_-- == 0)
            refuse("too much memory to map: tables", kTables, 0);
        const uint64_t page = next_;
        next_ += kPage;
        clear_bytes(reinterpret_cast<void*>(page), kPage);
        return page;
    }

    const CpuState& cpu_;
    uint64_t root_, next_;
    uint64_t left_;
};

} // namespace

uint64_t build_tables(Firmware& firmware, const CpuState& cpu, const Span* spans, unsigned count) {
    Tables tables(cpu,
                  firmware.allocate("no memory for page tables: status, bytes", kTables * kPage));
    for (unsigned i = 0; i != count; ++i)
        for (uint64_t gib = spans[i].start & ~(kGiB - 1); gib < spans[i].end; gib += kGiB)
            tables.map(gib);
    return tables.root() | cpu.c_bit_mask;
}

} // namespace prologue::efi
