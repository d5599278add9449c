// What a 64-bit entry needs before the 64-bit stage: tables of our own, at the
// depth that the kernel wishes for. Linked with the contracts that come in
// 64-bit mode; runs where the image lies.
#pragma GCC visibility push(hidden)
#include "bits.h"
#include "bytes.h"
#include "contract_magic.h"
#include "cpu.h"
#include "depth_switch.h"
#include "early_map.h"
#include "entry_state.h"
#include "errors.h"
#include "low_pages.h"
#include "page_tables.h"
#include "parts.h"
#include "prologue/wishes.h"
#include "ranges.h"
#include "stage32.h"

extern "C" {
extern const char __ehdr_start[], prologue_segments_end[];
extern uint64_t prologue_early_pml4[], prologue_early_pml5[], prologue_early_pdpt[];
extern uint64_t prologue_early_pd[];
uint32_t prologue_leave_loaders_tables(uint64_t info, uint32_t magic);
[[noreturn]] void prologue_refuse_sev(uint32_t reason, uint32_t sev_status);
}

namespace prologue {
namespace {

constexpr uint64_t kIdentity = 0; // physical addresses are pointers
constexpr uint64_t kMost = TABLE_ENTRIES * kGiB;
constexpr uint64_t kLowBytes = 4 * kGiB;

uint64_t address(const void* thing) {
    return reinterpret_cast<uintptr_t>(thing);
}

// What the firmware can hide on Intel's CPUs is told from here on, as in the 32-bit entry.
[[gnu::noinline, clang::minsize]] void unhide() {
    const uint32_t version = cpuid_eax(CPUID_VERSION);
    const uint32_t family = version & VERSION_FAMILY;
    if (cpuid_edx(CPUID_VENDOR) != VENDOR_EDX_INTEL || family < VERSION_FAMILY_6 ||
        (family == VERSION_FAMILY_6 &&
         (version >> VERSION_MODEL_SHIFT & VERSION_MODEL) < MODEL_WITH_MISC_ENABLE))
        return;
    constexpr uint64_t kHides = uint64_t{1} << MISC_ENABLE_XD_DISABLE_BIT |
                                uint64_t{1} << MISC_ENABLE_LIMIT_CPUID_BIT;
    write_msr(MSR_MISC_ENABLE, read_msr(MSR_MISC_ENABLE) & ~kHides);
}

uint32_t check_features() {
    uint32_t features = cpuid_edx(CPUID_EXTENDED_FEATURES);
    if ((features & EXTENDED_EDX_NX) == 0) {
        unhide();
        features = cpuid_edx(CPUID_EXTENDED_FEATURES);
    }
    if ((features & EXTENDED_EDX_NX) == 0)
        fail_in("this CPU lacks NX", Error::entry, features);
    if (static_cast<uint32_t>(read_msr(MSR_EFER)) != EFER_LONG_MODE)
        write_msr(MSR_EFER, EFER_LONG_MODE);
    return features;
}

// The leaf that says so may be hidden.
bool turns_out_to_have_la57() {
    if (has_la57())
        return true;
    if (cpuid_eax(CPUID_VENDOR) >= CPUID_STRUCTURED_FEATURES)
        return false;
    unhide();
    return has_la57();
}

void map_large(uint64_t gib) {
    prologue_early_pdpt[gib] = gib * kGiB | PTE_PRESENT | PTE_WRITABLE | PTE_LARGE;
}

void map_in_2m(PageTables& tables, uint64_t start, uint64_t end) {
    if (tables.map(start, start, end - start, PTE_WRITABLE) != MapResult::ok)
        fail_in("early tables have no room for", Error::entry, start, end);
}

[[gnu::noinline, clang::minsize]] void build_tables_in_2m(Span image) {
    const uint64_t pds = address(prologue_early_pd);
    TablePages pages = {pds, pds + uint64_t{EARLY_PDS} * kPage};
    PageTables tables(kIdentity, address(prologue_early_pml4), {.levels = 4}, pages);
    const uint64_t start = image.start & ~(kGiB - 1);
    const uint64_t end = (image.end + kGiB - 1) & ~(kGiB - 1);
    map_in_2m(tables, 0, kGiB);
    map_in_2m(tables, start < kGiB ? kGiB : start, end);
}

[[gnu::noinline]] void map_image_large(Span image) {
#pragma clang loop vectorize(disable) unroll(disable)
    for (uint64_t gib = image.start / kGiB; gib <= (image.end - 1) / kGiB; ++gib)
        map_large(gib);
}

// The GiBs that the image lies in, and the first ones, where the arena will be.
[[gnu::always_inline]] inline void build_tables(bool has_1g_pages, Span image) {
    constexpr uint64_t kBits = PTE_PRESENT | PTE_WRITABLE;
    prologue_early_pml5[0] = address(prologue_early_pml4) | kBits;
    prologue_early_pml4[0] = address(prologue_early_pdpt) | kBits;
    if (image.end > kMost)
        fail_in("the image lies above 512 GiB", Error::entry, image.start, image.end);
    if (!has_1g_pages)
        return build_tables_in_2m(image);
    map_large(0);
    map_large(1);
    map_large(2);
    map_large(3);
    if (image.end > kLowBytes)
        map_image_large(image);
}

// For the change of depth: itself the place where it happens, if it lies below
// 4 GiB; else what keeps the contents of the place that is.
alignas(kPage) char depth_pages[kLowPagesBytes];

// What the loader said, as far as it is wanted before the 64-bit stage reads it.
constinit LoaderInfo loader;

// Two pages below 4 GiB, by the loader's map and the BIOS's words.
[[gnu::noinline, clang::minsize]] uint64_t borrowed_pages(uint64_t info, uint32_t magic) {
    PhysMemory memory = early_map(kIdentity);
    const Image image(kIdentity, address(__ehdr_start));
    find_contract(memory, image, magic, info).first<ParseLoaderInfo>()(memory, info, loader);
    BiosWords bios = {};
    if (!loader.efi)
        bios = {read_unaligned<uint16_t>(memory.seen(kEbdaWord)),
                read_unaligned<uint16_t>(memory.seen(kBaseMemoryWord))};
    const uint64_t pages = find_low_pages(loader.memory, loader.more_memory, bios);
    if (pages == 0)
        fail_in("no two pages of RAM in 0x20000 to 0x9f000 to change paging's depth through: "
                "EBDA segment, KiB of base memory",
                Error::entry, bios.ebda_segment, bios.base_memory_kib);
    return pages;
}

// To the other depth, on our own tables for it.
[[gnu::noinline]] void change_depth_to(uint64_t* top, Span image, uint64_t info, uint32_t magic) {
    if (image.end <= kLowBytes)
        return change_depth(top, address(top), depth_pages, address(depth_pages));
    const uint64_t low = borrowed_pages(info, magic);
    auto* const pages = reinterpret_cast<char*>(low);
    copy_bytes(depth_pages, pages, kLowPagesBytes);
    change_depth(top, address(top), pages, low);
    copy_bytes(pages, depth_pages, kLowPagesBytes);
}

// The CPU has this depth already, and the kernel wishes for the other, if it can be had.
[[gnu::noinline, clang::minsize]] void leave_depth(bool five, Span image, uint64_t info,
                                                   uint32_t magic) {
    if (five)
        change_depth_to(prologue_early_pml4, image, info, magic);
    else if (turns_out_to_have_la57())
        change_depth_to(prologue_early_pml5, image, info, magic);
    else if (const uint32_t wish = prologue_wish_paging; wish == PROLOGUE_PAGING_FIVE)
        fail_in("five levels of paging are wished for: this CPU has no LA57", Error::entry, wish);
}

} // namespace
} // namespace prologue

using namespace prologue;

void prologue_refuse_sev(uint32_t reason, uint32_t sev_status) {
    fail_in("SEV guests are not served by this kernel", Error::entry, reason, sev_status);
}

// Returns CPUID 80000001 EDX. All but the tables is the loader's still.
uint32_t prologue_leave_loaders_tables(uint64_t info, uint32_t magic) {
    const uint32_t features = check_features();
    const Span image = {address(__ehdr_start), address(prologue_segments_end)};
    build_tables((features >> EXTENDED_EDX_1G_PAGES_BIT & 1) != 0, image);
    const bool five = (read_cr4() & CR4_LA57) != 0;
    write_cr3(address(five ? prologue_early_pml5 : prologue_early_pml4));
    if (five != (prologue_wish_paging != PROLOGUE_PAGING_FOUR))
        leave_depth(five, image, info, magic);
    return features;
}

// The 32-bit entry does this itself; in 64-bit mode EBX may point to nothing.
uint32_t prologue::prologue_recognise_pvh(PhysMemory& memory, const EntryState&, uint64_t& info) {
    const bool found = memory.reach(info, sizeof(uint32_t)) &&
                       *memory.seen<const uint32_t>(info) == PVH_MAGIC;
    return found ? PVH_MAGIC : 0;
}
