// The 64-bit stage: from the first 64-bit instructions to the kernel.
// Read prologue_stage64, at the end, from top to bottom: it is the boot.
#pragma GCC visibility push(hidden)
#include "bits.h"
#include "bytes.h"
#include "contract_magic.h"
#include "cpu.h"
#include "early_map.h"
#include "entry_state.h"
#include "errors.h"
#include "free_memory.h"
#include "image.h"
#include "kernel_map.h"
#include "loader_info.h"
#include "memory_map.h"
#include "page_tables.h"
#include "parts.h"
#include "prologue/wishes.h"
#include "random_places.h"
#include "sev64.h"
#include "sev_features.h"
#include "stage32.h"
#include "wished_maps.h"

extern "C" {
extern const char __ehdr_start[], prologue_calls_kernel[];
extern uint64_t prologue_early_pml4[], prologue_early_pml5[];
extern const char prologue_stack_guard[], prologue_stack_bottom[], prologue_stack_top[];
extern const uint64_t prologue_wish_free_behind_image;

void prologue_install_descriptors();
[[noreturn]] void prologue_enter_kernel(uint64_t handoff, uint64_t cr3, uint64_t distance);
[[noreturn]] void prologue_stage64(uint64_t info, uint32_t magic, uint32_t features,
                                   uint64_t window);
}

namespace prologue {
namespace {

// Where memory of our own may lie: above what BIOSes and other processors'
// starts want, and where any later 32-bit code can load the tables.
constexpr Span kAllowed = {kMiB, 4 * kGiB};
constexpr uint64_t kLeastArena = 64 * 1024;

// What the loader said. Here, and not on the stack, since .bss is cleared already.
constinit LoaderInfo loader;

// Room for the map of 150 ranges or so.
alignas(16) char map_storage[8192];

// All that is known of this boot before anything is allocated.
struct Boot {
    uint32_t magic; // the loader's, as is its information's address
    uint64_t info;
    uint64_t window; // virtual address of physical 0
    unsigned levels;
    bool has_1g_pages;
    uint64_t tsc;
    const Image& image;
    PhysMemory& memory;
    const LoaderInfo& loader;
    NextModule* next_module;

    // Where something of ours, as seen now, will be for the kernel.
    uint64_t kernel_address(const char* seen) const {
        return reinterpret_cast<uintptr_t>(seen) - window + image.offset_from_now();
    }
};

// Where a module's text lies.
Span text_of(const Boot& boot, const LoaderModule& module) {
    return boot.memory.span_of(module.cmdline.start, module.cmdline.bytes + 1);
}

// The module at the cursor. A text on the image is none: what the loader put there is gone.
bool next_module(const Boot& boot, ModuleCursor& cursor, LoaderModule& module) {
    module.text_is_lost = false;
    if (!boot.next_module(boot.memory, cursor, module))
        return false;
    if (module.cmdline.start != nullptr && boot.image.lies_on(text_of(boot, module))) {
        module.cmdline = {};
        module.text_is_lost = true;
    }
    return true;
}

// Marks all that is in use: the image, the loader's structures, its modules
// and their texts.
void mark_all(const Boot& boot, Marks& marks) {
    const Image& image = boot.image;
    marks.add(image.span(), PROLOGUE_MEMORY_KERNEL);
    for (unsigned i = 0; i != boot.loader.structure_count; ++i)
        marks.add(boot.loader.structures[i], PROLOGUE_MEMORY_LOADER);
    ModuleCursor cursor = boot.loader.modules;
    for (LoaderModule module; next_module(boot, cursor, module);) {
        if (module.bytes.bytes() != 0) {
            check_clear_of(image, "module", module.bytes);
            marks.add(module.bytes, PROLOGUE_MEMORY_MODULE);
        }
        if (module.cmdline.bytes != 0) // an empty one may be where nothing is
            marks.add(text_of(boot, module), PROLOGUE_MEMORY_LOADER);
    }
}

// The memory map, with all that is in use. It is made in our own .bss; only one
// that is too long for that goes where the loader's map has room.
MemoryMap make_map(const Boot& boot) {
    const LoaderInfo& loader = boot.loader;
    const Span image = boot.image.span();
    const uint64_t spans = 2 + loader.structure_count + 2 * loader.module_count;
    const uint64_t ranges = MemoryMap::storage_for(loader.memory.most_entries() +
                                                   loader.more_memory.bytes / sizeof(RawRange) +
                                                   loader.unaccepted_count + spans);
    const uint64_t bytes = spans * sizeof(Mark) + ranges * sizeof(prologue_range);
    Span storage = boot.memory.span_of(map_storage, sizeof map_storage);
    if (bytes > sizeof map_storage) {
        storage = find_free_memory(boot.memory, loader, boot.next_module, image, kAllowed,
                                   page_up(bytes));
        if (prologue_sev_state.snp())
            prologue_sev_accept_storage(boot.memory, loader, storage);
    }
    Arena arena(boot.memory, storage);
    Marks marks(arena.array<Mark>(spans));
    mark_all(boot, marks);
    if (!storage.overlaps(image))
        marks.add(storage, PROLOGUE_MEMORY_PROLOGUE);
    MemoryMap map(arena.array<prologue_range>(ranges), ranges);
    map.add(loader.memory, marks);
    if (loader.more_memory.bytes != 0)
        map.add(loader.more_memory, Marks(nullptr));
    return map;
}

// Copies the list of modules, and their texts.
const prologue_module* copy_modules(const Boot& boot, Arena& arena, uint32_t& left_out) {
    auto* modules = arena.array<prologue_module>(boot.loader.module_count);
    ModuleCursor cursor = boot.loader.modules;
    LoaderModule module;
    for (prologue_module* to = modules; next_module(boot, cursor, module); ++to) {
        *to = {module.bytes.start, module.bytes.bytes(),
               arena.copy(module.cmdline.start, module.cmdline.bytes, true), module.cmdline.bytes};
        if (module.text_is_lost)
            left_out |= PROLOGUE_LEFT_OUT_STRING;
    }
    return modules;
}

uint64_t rsdp_of(const Boot& boot, Arena& arena) {
    const Text copy = boot.loader.rsdp_copy;
    if (copy.bytes == 0)
        return boot.loader.rsdp_phys;
    return boot.memory.phys_of(arena.copy(copy.start, copy.bytes, false));
}

const void* copy_efi_map(const prologue_efi& efi, Arena& arena) {
    return efi.memory_map == nullptr
               ? nullptr
               : arena.copy(static_cast<const char*>(efi.memory_map), efi.memory_map_bytes, false);
}

// What the kernel gets to know, but for what the tables will tell. It has room
// for two more ranges than the map: what our own share can make of one.
prologue_handoff& make_handoff(const Boot& boot, const MemoryMap& map, const KernelMap& kernel_map,
                               Arena& arena) {
    auto* handoff = arena.array<prologue_handoff>(1);
    const void* const efi_map = copy_efi_map(boot.loader.uefi, arena); // while that is aligned
    const uint64_t early_tables = boot.memory.phys_of(prologue_early_pml4);
    uint32_t left_out = boot.loader.left_out | map.left_out();
    *handoff = {
        .magic = PROLOGUE_HANDOFF_MAGIC,
        .version = PROLOGUE_HANDOFF_VERSION,
        .size = sizeof *handoff,
        .loader = boot.loader.loader,
        .entry_mode = prologue_entry_state.entry_mode(),
        .loader_magic = boot.magic,
        .paging_levels = boot.levels,
        .loader_info_phys = boot.info,
        .load_base = boot.image.span().start,
        .load_end = boot.image.span().end,
        .kernel_offset = boot.image.virtual_offset(),
        .direct_map = kernel_map.direct_map,
        .direct_map_bytes = kernel_map.direct_map_bytes,
        .identity_bytes = kernel_map.identity.end,
        .page_size = boot.has_1g_pages ? kGiB : 2 * kMiB,
        .memory = arena.array<prologue_range>(map.size() + 2),
        .memory_count = 0,
        .cmdline = arena.copy(boot.loader.cmdline.start, boot.loader.cmdline.bytes, true),
        .cmdline_bytes = boot.loader.cmdline.bytes,
        .modules = copy_modules(boot, arena, left_out),
        .module_count = boot.loader.module_count,
        .rsdp_phys = rsdp_of(boot, arena),
        .framebuffer = boot.loader.framebuffer,
        .page_tables_phys = 0,
        .spare_start = early_tables,
        .spare_end = early_tables + EARLY_TABLES * kPage,
        .stack_bottom = boot.kernel_address(prologue_stack_bottom),
        .stack_top = boot.kernel_address(prologue_stack_top),
        .tsc = boot.tsc,
        .sev = {},
        .boot = boot.loader.boot,
        .efi = boot.loader.uefi,
        .smbios_phys = boot.loader.smbios_phys,
        .left_out = left_out, // with what copying the modules has added
    };
    handoff->efi.memory_map = efi_map;
    if (const char*& environment = handoff->boot.environment; environment != nullptr)
        environment = arena.copy(environment, handoff->boot.environment_bytes, true);
    return *handoff;
}

// Shows the kernel's addresses in the early tables, too.
void show_kernel_early(const Boot& boot, const PageTables& tables) {
    const Span kernel = boot.image.virtual_span();
    uint64_t* const early_top = boot.levels == 5 ? prologue_early_pml5 : prologue_early_pml4;
    const uint64_t ends[] = {kernel.start, kernel.end - 1};
    for (const uint64_t address : ends) {
        const unsigned index = tables.top_index(address);
        early_top[index] = *tables.entry(tables.root(), index);
    }
}

} // namespace
} // namespace prologue

using namespace prologue;

// `info` and `magic` are the loader's, `features` is CPUID 80000001 EDX, and
// `window` the virtual address at which physical memory is seen.
void prologue_stage64(uint64_t info, uint32_t magic, uint32_t features, uint64_t window) {
    // From here on, a fault is reported.
    prologue_install_descriptors();
    const uint64_t tsc = read_tsc();

    // Who and where are we?
    const unsigned levels = (read_cr4() & CR4_LA57) != 0 ? 5 : 4;
    const bool has_1g_pages = (features >> EXTENDED_EDX_1G_PAGES_BIT & 1) != 0;
    KernelMap kernel_map = {window, direct_map_room(levels)};
    Image image(window, reinterpret_cast<uintptr_t>(__ehdr_start) - window);
    const Part* const wished_maps = find_part(WISHED_MAPS_MAGIC);
    if (wished_maps != nullptr)
        wished_maps->first<PlanMaps>()(window, levels, image, kernel_map);
    else
        image.check({window, window + kernel_map.direct_map_bytes}, levels);
    if (image.moved() != 0 && prologue_wish_relocatable == 0)
        fail(Error::image_moved, image.span().start - image.moved(), image.span().start);
    if (prologue_wish_paging != PROLOGUE_PAGING_BEST && prologue_wish_paging != levels)
        fail(Error::bad_wish, prologue_wish_paging);
    if ((required_status(prologue_sev_wish) & ~prologue_sev_state.status) != 0)
        fail_in("the kernel requires an SEV guest: bits of SEV_STATUS, which is", Error::entry,
                required_status(prologue_sev_wish), prologue_sev_state.status);

    // The loader's information, in one form whoever it was.
    PhysMemory memory = early_map(window);
    const Part& contract = find_contract(memory, image, magic, info);
    const Boot boot = {magic, info,  window, levels, has_1g_pages,
                       tsc,   image, memory, loader, contract.second<NextModule>()};
    loader.image = &image;
    contract.first<ParseLoaderInfo>()(memory, info, loader);
    if (loader.kernel_end > image.span().end)
        loader.occupies(image.span().end, loader.kernel_end - image.span().end);

    if (prologue_sev_state.snp()) [[unlikely]]
        prologue_sev_mark_pages(memory, magic, info, image.span(), boot.next_module, loader);

    // The memory map; memory of our own in it, for what the kernel gets.
    MemoryMap map = make_map(boot);
    leave_out_unaddressable(map, kernel_map);
    if (prologue_sev_state.status != 0) [[unlikely]]
        prologue_sev_accept_memory(map, memory, loader);
    const Part* places = nullptr;
    if (wished_maps != nullptr && (places = find_part(RANDOM_PLACES_MAGIC)) != nullptr) [[unlikely]]
        places->first<ChoosePlaces>()(window, levels, loader, image, map, kernel_map);
    const uint64_t kept_free = prologue_wish_free_behind_image;
    const Span allowed = {kept_free != 0 ? image.span().end + kept_free : kAllowed.start,
                          kernel_map.reach};
    const prologue_range& home = map.largest_usable(allowed, kLeastArena);
    Arena arena(memory, allowed.shared(home));
    prologue_handoff& handoff = make_handoff(boot, map, kernel_map, arena);
    if (places != nullptr) [[unlikely]]
        places->second<SlideImage>()(window, levels, kernel_map, image, handoff);

    // The kernel's tables, after which our share of memory is known.
    const Span rest = arena.rest();
    TablePages pages = {rest.end - kPage, rest.start - kPage, -int64_t{kPage}};
    const uint64_t root = pages.take(window);
    if (root == 0)
        fail(Error::no_free_memory, kPage, 0);
    PageTables tables(window, root,
                      {.levels = levels,
                       .has_1g_pages = has_1g_pages,
                       .c_bit_mask = prologue_sev_state.c_bit_mask},
                      pages);
    image.check_rights(boot.kernel_address(prologue_calls_kernel),
                       boot.kernel_address(prologue_stack_bottom));
    map_kernel(tables, image, boot.kernel_address(prologue_stack_guard), map, kernel_map);
    handoff.identity_bytes = kernel_map.identity.end;
    handoff.page_tables_phys = root;
    auto* const ranges = const_cast<prologue_range*>(handoff.memory);
    uint64_t seen_at = window;
    if (wished_maps != nullptr)
        seen_at = wished_maps->second<FinishMaps>()({window, levels, image, map, kernel_map},
                                                    tables, handoff);
    uint64_t cr3 = root;
    if (prologue_sev_state.status != 0) [[unlikely]] {
        prologue_sev_finish({tables, image, map, loader, seen_at, handoff});
        cr3 |= prologue_sev_state.c_bit_mask;
    }
    map.carve(home, {pages.next + kPage, arena.end()}, PROLOGUE_MEMORY_PROLOGUE);
    handoff.memory_count = map.size();
    copy_bytes(ranges, map.begin(), map.size() * sizeof *ranges);

    // To the kernel.
    show_kernel_early(boot, tables);
    prologue_enter_kernel(seen_at + memory.phys_of(&handoff), cr3,
                          image.offset_from_now() - window);
}
