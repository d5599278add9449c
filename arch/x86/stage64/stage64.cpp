// The 64-bit stage: from the first 64-bit instructions to the kernel.
// Read prologue_stage64, at the end, from top to bottom: it is the boot.
#pragma GCC visibility push(hidden)
#include "bits.h"
#include "bytes.h"
#include "contract_magic.h"
#include "cpu.h"
#include "early_map.h"
#include "errors.h"
#include "free_memory.h"
#include "image.h"
#include "kernel_map.h"
#include "loader_info.h"
#include "memory_map.h"
#include "page_tables.h"
#include "prologue/wishes.h"
#include "stage32.h"

extern "C" {
extern const char __ehdr_start[];
extern const prologue::Contract __start_prologue_contracts[];
extern const prologue::Contract __stop_prologue_contracts[];
extern uint64_t prologue_early_pml4[];
extern const char prologue_stack_guard[], prologue_stack_bottom[], prologue_stack_top[];

void prologue_install_descriptors();
[[noreturn]] void prologue_enter_kernel(const prologue_handoff* handoff, uint64_t cr3,
                                        uint64_t distance);
[[noreturn]] void prologue_stage64(uint64_t info, uint32_t magic, uint32_t features,
                                   uint64_t window);
}

namespace prologue {
namespace {

// Where memory of our own may lie: above what BIOSes and other processors'
// starts want, and where any later 32-bit code can load the tables.
constexpr Span kAllowed = {kMiB, 4 * kGiB};
constexpr uint64_t kLeastArena = 64 * 1024;

// Room for the map of 150 ranges or so.
alignas(16) char map_storage[8192];

const Contract& find_contract(uint32_t magic, uint64_t info) {
    for (const Contract* contract = __start_prologue_contracts;
         contract != __stop_prologue_contracts; ++contract)
        if (contract->magic == magic)
            return *contract;
    const bool known =
        magic == PVH_MAGIC || magic == MULTIBOOT1_MAGIC || magic == MULTIBOOT2_MAGIC;
    fail(known ? Error::contract_left_out : Error::unknown_loader, magic, info);
}

// What the loader has put into memory must not lie on the image: our .bss has
// been written to.
void check_clear_of(Span image, const char* what, Span span) {
    if (span.overlaps(image))
        fail_in(what, Error::on_the_image, span.start, span.end, image.start, image.end);
}

// Marks all that is in use: the image, the loader's structures, its modules
// and their texts.
void mark_all(PhysMemory& memory, const LoaderInfo& loader, NextModule* next_module, Span image,
              Marks& marks) {
    marks.add(image, PROLOGUE_MEMORY_KERNEL);
    for (unsigned i = 0; i != loader.structure_count; ++i) {
        check_clear_of(image, "loader's structure", loader.structures[i]);
        marks.add(loader.structures[i], PROLOGUE_MEMORY_LOADER);
    }
    ModuleCursor cursor = loader.modules;
    for (LoaderModule module; next_module(memory, cursor, module);) {
        if (module.bytes.bytes() != 0) {
            check_clear_of(image, "module", module.bytes);
            marks.add(module.bytes, PROLOGUE_MEMORY_MODULE);
        }
        if (module.cmdline.start != nullptr) {
            const Span text = memory.span_of(module.cmdline.start, module.cmdline.bytes + 1);
            check_clear_of(image, "module's string", text);
            marks.add(text, PROLOGUE_MEMORY_LOADER);
        }
    }
}

// Copies the list of modules, and their texts.
const prologue_module* copy_modules(PhysMemory& memory, const LoaderInfo& loader,
                                    NextModule* next_module, Arena& arena) {
    auto* modules = arena.array<prologue_module>(loader.module_count);
    ModuleCursor cursor = loader.modules;
    LoaderModule module;
    for (prologue_module* to = modules; next_module(memory, cursor, module); ++to)
        *to = {module.bytes.start, module.bytes.bytes(),
               arena.copy(module.cmdline.start, module.cmdline.bytes, true),
               module.cmdline.bytes};
    return modules;
}

uint64_t rsdp_of(const LoaderInfo& loader, Arena& arena, const PhysMemory& memory) {
    if (loader.rsdp_copy.bytes == 0)
        return loader.rsdp_phys;
    return memory.phys_of(arena.copy(loader.rsdp_copy.start, loader.rsdp_copy.bytes, false));
}

}  // namespace
}  // namespace prologue

using namespace prologue;

// `info` and `magic` are the loader's, `features` is CPUID 80000001 EDX, and
// `window` the virtual address at which physical memory is seen.
void prologue_stage64(uint64_t info, uint32_t magic, uint32_t features, uint64_t window) {
    // From here on, a fault is reported.
    prologue_install_descriptors();
    const uint64_t tsc = read_tsc();

    // Who and where are we?
    const unsigned levels = window == PROLOGUE_DIRECT_MAP_5_LEVEL ? 5 : 4;
    const bool has_1g_pages = (features >> EXTENDED_EDX_1G_PAGES_BIT & 1) != 0;
    KernelMap kernel_map = direct_map_of(levels);
    const Image image(window, reinterpret_cast<uintptr_t>(__ehdr_start) - window);
    image.check({window, window + kernel_map.direct_map_bytes}, levels);
    if (prologue_wishes.paging != PROLOGUE_PAGING_BEST && prologue_wishes.paging != levels)
        fail(Error::bad_wish, prologue_wishes.paging);

    // The loader's information, in one form whoever it was.
    PhysMemory memory = early_map(window, has_1g_pages, image.span());
    const Contract& contract = find_contract(magic, info);
    NextModule* const next_module = contract.next_module();
    LoaderInfo loader;
    contract.parse()(memory, info, loader);

    // The memory map, with all that is in use. It is made in our own .bss; only
    // one that is too long for that goes where the loader's map has room.
    const uint64_t spans = 2 + loader.structure_count + 2 * loader.module_count;
    const uint64_t ranges = MemoryMap::storage_for(loader.memory.most_entries() + spans);
    const uint64_t bytes = spans * sizeof(Mark) + ranges * sizeof(prologue_range);
    Span storage = memory.span_of(map_storage, sizeof map_storage);
    if (bytes > sizeof map_storage)
        storage =
            find_free_memory(memory, loader, next_module, image.span(), kAllowed, page_up(bytes));
    Arena map_arena(memory, storage);
    Marks marks(map_arena.array<Mark>(spans));
    mark_all(memory, loader, next_module, image.span(), marks);
    if (!storage.overlaps(image.span()))
        marks.add(storage, PROLOGUE_MEMORY_PROLOGUE);
    MemoryMap map(map_arena.array<prologue_range>(ranges), ranges);
    map.add(loader.memory, marks);

    // Memory for what the kernel gets.
    const prologue_range& home = map.largest_usable(kAllowed, kLeastArena);
    Arena arena(memory, kAllowed.shared(home));

    // What the kernel gets to know. Two more ranges is what the arena's own
    // share of the map can make.
    auto* handoff = arena.array<prologue_handoff>(1);
    auto* const final_map = arena.array<prologue_range>(map.size() + 2);
    const uint64_t offset = image.virtual_offset();
    const auto kernel_address = [&](const char* seen) {
        return reinterpret_cast<uintptr_t>(seen) - window + offset;
    };
    *handoff = {
        .magic = PROLOGUE_HANDOFF_MAGIC,
        .version = PROLOGUE_HANDOFF_VERSION,
        .size = sizeof *handoff,
        .loader = loader.loader,
        .entry_mode = PROLOGUE_ENTRY_PROTECTED32,
        .loader_magic = magic,
        .paging_levels = levels,
        .loader_info_phys = info,
        .load_base = image.span().start,
        .load_end = image.span().end,
        .kernel_offset = offset,
        .direct_map = window,
        .direct_map_bytes = kernel_map.direct_map_bytes,
        .identity_bytes = 0,
        .page_size = has_1g_pages ? kGiB : 2 * kMiB,
        .memory = final_map,
        .memory_count = 0,
        .cmdline = arena.copy(loader.cmdline.start, loader.cmdline.bytes, true),
        .cmdline_bytes = loader.cmdline.bytes,
        .modules = copy_modules(memory, loader, next_module, arena),
        .module_count = loader.module_count,
        .rsdp_phys = rsdp_of(loader, arena, memory),
        .framebuffer = loader.framebuffer,
        .page_tables_phys = 0,
        .spare_start = reinterpret_cast<uintptr_t>(prologue_early_pml4) - window,
        .spare_end = reinterpret_cast<uintptr_t>(prologue_early_pml4) - window +
                     EARLY_TABLES * kPage,
        .stack_bottom = kernel_address(prologue_stack_bottom),
        .stack_top = kernel_address(prologue_stack_top),
        .tsc = tsc,
        .sev = {},
    };

    // The kernel's tables, after which the arena's share is known.
    const PagingMode mode = {.levels = levels, .has_1g_pages = has_1g_pages};
    TablePages pages = {arena.rest().start, arena.rest().end};
    const uint64_t root = pages.take(window);
    if (root == 0)
        fail(Error::no_free_memory, kPage, 0);
    PageTables tables(window, root, mode, pages);
    map_kernel(tables, image, kernel_address(prologue_stack_guard), map, kernel_map);
    map.carve(home, {arena.start(), pages.next}, PROLOGUE_MEMORY_PROLOGUE);
    copy_bytes(final_map, map.begin(), map.size() * sizeof *final_map);
    handoff->memory_count = map.size();
    handoff->identity_bytes = kernel_map.identity_bytes;
    handoff->page_tables_phys = tables.root();

    // Show the kernel's addresses in the early tables too, and go there.
    const Span kernel = image.virtual_span();
    uint64_t* const early_top = memory.seen<uint64_t>(read_cr3());
    const uint64_t ends[] = {kernel.start, kernel.end - 1};
    for (const uint64_t address : ends) {
        const unsigned index = tables.top_index(address);
        early_top[index] = *tables.entry(tables.root(), index);
    }
    prologue_enter_kernel(handoff, tables.root(), offset - window);
}
