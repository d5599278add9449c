#include "wished_maps.h"

#include "bytes.h"
#include "cpu.h"
#include "errors.h"
#include "handoff_pointers.h"
#include "prologue/wishes.h"

#pragma GCC visibility push(hidden)
extern "C" {
extern const uint64_t prologue_wish_direct_map;
extern const uint64_t prologue_wish_identity_map[2]; // end, start
extern const uint32_t prologue_wish_writable_text;
}

namespace prologue {
namespace {

extern "C" const WindowNote __start_prologue_windows[], __stop_prologue_windows[];

constexpr uint64_t kMostIdentity = 512 * kGiB;
constexpr uint64_t kLeastDirectMap = 4 * kGiB; // so that it shows whatever is Prologue's

constexpr unsigned kCachingShift = 4; // above the rights: an index into PROLOGUE_PAT
constexpr uint64_t kMostCaching = 5;

[[noreturn]] void refuse(const char* what, uint64_t a, uint64_t b) {
    fail_in(what, Error::wish, a, b);
}

// Where the half that an address lies in ends; 0 for the upper half, which ends
// where addresses do.
constexpr uint64_t end_of_half(uint64_t address, unsigned levels) {
    return address >> 63 != 0 ? 0 : uint64_t{1} << (11 + 9 * levels);
}

constexpr unsigned top_index(uint64_t virt, unsigned levels) {
    return virt >> (3 + 9 * levels) & (TABLE_ENTRIES - 1);
}

void check_image(const Image& image, unsigned levels, const KernelMap& map) {
    const Span elsewhere = {map.direct_map, map.direct_map + map.direct_map_bytes};
    image.check(map.image_in_direct_map ? Span{} : elsewhere, levels);
}

bool devices_are_wished_for() {
    return prologue_wish_identity_map[0] != IDENTITY_MAP_BY_DEFAULT &&
           (prologue_wish_identity_map[1] & PROLOGUE_WITH_DEVICES) != 0;
}

// Can this CPU address the last byte?
bool is_addressable(uint64_t last) {
    return last < kSurelyAddressable || last >> (cpuid_eax(CPUID_ADDRESS_WIDTHS) & 0xff) == 0;
}

void plan_identity_map(KernelMap& map) {
    const uint64_t end = prologue_wish_identity_map[0], wished = prologue_wish_identity_map[1];
    if (end == IDENTITY_MAP_BY_DEFAULT)
        return;
    const uint64_t start = wished & ~uint64_t{PROLOGUE_WITH_DEVICES};
    if (end % kPage != 0 || end > kMostIdentity || (start != 0 && start != kPage))
        refuse("an identity map up to this address, from this one, cannot be", end, wished);
    if (end != 0 && start != wished && !is_addressable(end - 1))
        refuse("an identity map with devices must show what this CPU can address", end, wished);
    map.identity = end != 0 ? Span{start, end} : Span{kPage, kPage};
}

// The room from `base` up to the image, or to the end of what can be addressed.
uint64_t room_from(uint64_t base, Span image, unsigned levels) {
    const uint64_t room = end_of_half(base, levels) - base;
    const uint64_t before_image = image.start - base;
    if (base >= image.start && base < image.end)
        return 0;
    return before_image < room ? before_image : room;
}

void plan_direct_map(uint64_t window, unsigned levels, const Image& image, KernelMap& map) {
    const uint64_t base = prologue_wish_direct_map;
    if (base == DIRECT_MAP_BY_DEFAULT)
        return;
    if (map.identity.end == 0)
        map.identity.end = 4 * kGiB;

    const Span kernel = image.virtual_span();
    if (top_index(kernel.start, levels) == top_index(window, levels) ||
        top_index(kernel.end - 1, levels) == top_index(window, levels))
        refuse("an image there needs the default direct map", kernel.start, kernel.end);

    if (base == PROLOGUE_NO_DIRECT_MAP) {
        if (map.identity.end <= kMiB)
            refuse("with neither map, the handoff is out of sight", base, map.identity.end);
        map.direct_map = 0;
        map.direct_map_bytes = 0;
        map.reach = map.identity.end < map.reach ? map.identity.end : map.reach;
        return;
    }
    map.image_in_direct_map = base == image.virtual_offset();
    uint64_t room = 0, least = kLeastDirectMap;
    if (map.image_in_direct_map) {
        room = end_of_half(base, levels) - base;
        least = image.span().end;
    } else if (is_canonical(base, levels)) {
        room = room_from(base, kernel, levels);
    }
    if (base % kPage != 0 || base < map.identity.end || room < least)
        refuse("a direct map at this address has no room, or too little", base, room);
    map.direct_map = base;
    if (room < map.direct_map_bytes)
        map.direct_map_bytes = room;
    if (room < map.reach)
        map.reach = room;
}

// Is anything mapped in a span of virtual addresses?
bool has_a_page(const PageTables& tables, unsigned levels, uint64_t virt, uint64_t bytes) {
    const uint64_t last = virt + (bytes - 1);
    for (;;) {
        uint64_t table = tables.root();
        unsigned level = levels;
        uint64_t entry;
        while (((entry = *tables.entry(table, virt >> (3 + 9 * level) & (TABLE_ENTRIES - 1))) &
                PTE_PRESENT) != 0) {
            if (level == 1 || (entry & PTE_LARGE) != 0)
                return true;
            table = tables.pointed_to(entry);
            --level;
        }
        const uint64_t end_of_entry = virt | ((uint64_t{1} << (3 + 9 * level)) - 1);
        if (end_of_entry >= last)
            return false;
        virt = end_of_entry + 1;
    }
}

// Does the identity map hang on the direct map's tables?
bool shares_first_entry(const KernelMap& map, const PageTables& tables) {
    const uint64_t* const top = tables.entry(tables.root(), 0);
    const unsigned direct = tables.top_index(map.direct_map);
    return direct != 0 && top[0] == top[direct];
}

void check_window(const WindowNote& window, unsigned levels, const KernelMap& map,
                  const PageTables& tables) {
    const uint64_t virt = window.virt, last = virt + (window.bytes - 1);
    const uint64_t caching = window.rights >> kCachingShift;
    const uint64_t rights = window.rights % (1 << kCachingShift);
    if (window.type != PROLOGUE_NOTE_WINDOW || window.bytes == 0 ||
        (virt | window.phys | window.bytes) % kPage != 0)
        refuse("a window must be of whole pages", virt, window.bytes);
    if (last < virt || !is_canonical(virt, levels) || !is_canonical(last, levels) ||
        (virt ^ last) >> 63 != 0)
        refuse("a window must have addresses that exist", virt, window.bytes);
    const uint64_t highest = window.phys + (window.bytes - 1);
    if (highest < window.phys || !is_addressable(highest))
        refuse("a window must show what this CPU can address", window.phys, window.bytes);
    if (caching > kMostCaching || rights > (PROLOGUE_WINDOW_WRITE | PROLOGUE_WINDOW_EXECUTE))
        refuse("a window's rights are unknown", virt, window.rights);
    if (rights == (PROLOGUE_WINDOW_WRITE | PROLOGUE_WINDOW_EXECUTE) &&
        prologue_wish_writable_text == 0)
        refuse("a window is writable and executable", virt, window.rights);
    if (top_index(virt, levels) == 0 && shares_first_entry(map, tables))
        refuse("a window in the identity map's entry needs a wish for that map", virt,
               map.identity.end);
    if (has_a_page(tables, levels, virt, window.bytes))
        refuse("a window lies where something is mapped", virt, window.bytes);
}

void map_part(PageTables& tables, uint64_t virt, uint64_t phys, uint64_t bytes, uint64_t bits) {
    if (bytes != 0 && tables.map(virt, phys, bytes, bits) != MapResult::ok)
        fail(Error::no_table_memory, virt, phys, bytes);
}

// The PAT's upper half is chosen by a bit that stands elsewhere in a large page's
// entry. So what can be large pages is mapped apart from what cannot.
void map_window(const WindowNote& window, PageTables& tables) {
    const uint64_t caching = window.rights >> kCachingShift;
    uint64_t bits = (caching & 1 ? PTE_WRITE_THROUGH : 0) | (caching & 2 ? PTE_CACHE_DISABLE : 0);
    if ((window.rights & PROLOGUE_WINDOW_WRITE) != 0)
        bits |= PTE_WRITABLE;
    if ((window.rights & PROLOGUE_WINDOW_EXECUTE) == 0)
        bits |= kNoExecute;
    const uint64_t small = bits | (caching & 4 ? PTE_PAT_IN_4K : 0);
    const uint64_t large = bits | (caching & 4 ? PTE_PAT_IN_LARGE : 0);

    constexpr uint64_t kLarge = 2 * kMiB;
    uint64_t head = -window.virt % kLarge, middle = 0;
    if ((window.virt - window.phys) % kLarge != 0 || head > window.bytes)
        head = window.bytes;
    else
        middle = (window.bytes - head) & ~(kLarge - 1);
    const uint64_t before_tail = head + middle;
    map_part(tables, window.virt, window.phys, head, small);
    map_part(tables, window.virt + head, window.phys + head, middle, large);
    map_part(tables, window.virt + before_tail, window.phys + before_tail,
             window.bytes - before_tail, small);
}

// Maps at its own address what of a span lies within the identity map, and not where the
// kernel is linked.
template <class Map>
void map_around_kernel(const MapsMade& made, Span span, Map map) {
    const Span kernel = made.image.virtual_span();
    const Span limits = made.map.identity;
    const Span parts[] = {limits.shared(Span{0, kernel.start}),
                          limits.shared(Span{kernel.end, limits.end})};
    for (const Span& part : parts) {
        const Span piece = part.shared(span);
        if (map(piece) != MapResult::ok)
            fail(Error::no_table_memory, piece.start, piece.start, piece.bytes());
    }
}

// What the identity map has besides. Uncached by UC-, so that an MTRR may say that it is a
// write-combining frame buffer (SDM vol. 3, table 12-7); but page 0 and soft-reserved memory
// are RAM, by whatever name.
void map_devices(const MapsMade& made, PageTables& tables) {
    constexpr uint64_t kRam = PTE_WRITABLE | kNoExecute, kDevice = kRam | PTE_CACHE_DISABLE;
    const auto map_ram = [&](Span span) {
        return tables.map(span.start, span.start, span.bytes(), kRam);
    };
    const auto map_device = [&](Span span) {
        return tables.map_devices(span.start, span.start, span.bytes(), kDevice);
    };
    uint64_t next = 0;
    for (const prologue_range& range : made.memory) {
        if (range.type == PROLOGUE_MEMORY_SOFT_RESERVED)
            map_around_kernel(made, {range.start, range.end}, map_ram);
        else if (!is_mapped(range.type))
            continue;
        if (next == 0 && range.start != 0) {
            map_around_kernel(made, {0, kPage}, map_ram);
            next = kPage;
        }
        map_around_kernel(made, {next, range.start}, map_device);
        next = range.end;
    }
    map_around_kernel(made, {next, made.map.identity.end}, map_device);
}

} // namespace

void prologue_plan_maps(uint64_t window, unsigned levels, Image& image, KernelMap& map) {
    if (prologue_wish_writable_text == 0) {
        plan_identity_map(map);
        plan_direct_map(window, levels, image, map);
        check_image(image, levels, map);
        return;
    }
    for (const Segment& segment : image)
        if (segment.virt - segment.phys != image.virtual_offset())
            fail(Error::image_offset, segment.index, segment.virt, segment.phys);
    Segment& all = image.merge();
    plan_identity_map(map);
    plan_direct_map(window, levels, image, map);
    check_image(image, levels, map);
    all.executable = true;
}

uint64_t prologue_finish_maps(const MapsMade& made, PageTables& tables, prologue_handoff& handoff) {
    const KernelMap& map = made.map;
    if (devices_are_wished_for())
        map_devices(made, tables);
    for (const WindowNote* note = __start_prologue_windows; note != __stop_prologue_windows;
         ++note) {
        check_window(*note, made.levels, map, tables);
        map_window(*note, tables);
    }
    if (map.identity.bytes() == 0)
        handoff.identity_bytes = 0;
    move_pointers(handoff, map.direct_map - made.window);
    // Last of all: nothing that this boot changes from here on in its image is the kernel's.
    if (const uint64_t carried = made.image.carried(); carried != 0) {
        const Span to = made.image.span();
        copy_bytes(reinterpret_cast<void*>(made.window + to.start),
                   reinterpret_cast<const void*>(made.window + to.start - carried), to.bytes());
    }
    return map.direct_map;
}

} // namespace prologue
