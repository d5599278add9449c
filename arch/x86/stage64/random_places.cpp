#include "random_places.h"

#include "errors.h"
#include "prologue/wishes.h"
#include "random_sources.h"
#include "relocate.h"
#include "sev_state.h"
#include "slots.h"
#include "wished_maps.h"
#include "words.h"

#pragma GCC visibility push(hidden)
extern "C" {
extern const uint64_t prologue_wish_random[2]; // physical end, virtual start
extern const uint64_t prologue_wish_direct_map;
extern const uint64_t prologue_dynamic; // where a PIE's dynamic section is in the image, or 0
}

namespace prologue {

extern "C" {
extern const WindowNote __start_prologue_windows[], __stop_prologue_windows[];
constinit Random prologue_random;
constinit unsigned prologue_random_sources = 0;
}

namespace {

constexpr uint64_t kLastEntry = 0xffffff8000000000; // the last of any top-level table
constexpr unsigned kMostTries = 256;                // to find a place that no window has

constinit uint64_t virtual_slide = 0, physical_slide = 0;

[[noreturn]] void refuse(const char* what, uint64_t a, uint64_t b = 0) {
    fail_in(what, Error::wish, a, b);
}

// Does no window lie there?
bool is_clear_of_windows(Span virt) {
    for (const WindowNote* note = __start_prologue_windows; note != __stop_prologue_windows; ++note)
        if (virt.shared(Span{note->virt, note->virt + note->bytes}).bytes() != 0)
            return false;
    return true;
}

// One of so many places, `step` apart from the first on, that no window has; the one that was
// there where there is none.
uint64_t choose(uint64_t first, uint64_t count, uint64_t step, uint64_t bytes, uint64_t otherwise) {
    for (unsigned tries = 0; count != 0 && tries != kMostTries; ++tries) {
        const uint64_t place = first + step * prologue_random.below(count);
        if (is_clear_of_windows({place, place + bytes}))
            return place;
    }
    return otherwise;
}

void choose_virtual(const Image& image) {
    const uint64_t from = prologue_wish_random[1];
    if (from == 0)
        return;
    if (prologue_dynamic == 0)
        refuse("a random virtual address takes a kernel that is linked with -pie", from);
    const Span kernel = image.virtual_span();
    const Span range = {from, page_down(~uint64_t{0}) - kSlot};
    if (from % kSlot != 0 || from >> 63 == 0)
        refuse("random virtual addresses begin at a multiple of 2 MiB in the upper half", from);
    const uint64_t virt = choose(first_slot(range.start, kernel.start),
                                 slots_in(range, kernel.bytes(), kernel.start), kSlot,
                                 kernel.bytes(), kernel.start);
    virtual_slide = virt - kernel.start;
}

// Of the free places below an end the one of that number; or how many there are.
uint64_t find_place(const MemoryMap& memory, const Image& image, uint64_t end, uint64_t number,
                    const prologue_range*& range, uint64_t& place) {
    uint64_t count = 0;
    const uint64_t linked = image.virtual_span().start;
    for (const prologue_range& free : memory) {
        const Span piece = Span{kMiB, end}.shared(free);
        if (free.type != PROLOGUE_MEMORY_USABLE)
            continue;
        const uint64_t slots = slots_in(piece, image.span().bytes(), linked);
        if (number - count < slots) {
            range = &free;
            place = first_slot(piece.start, linked) + kSlot * (number - count);
        }
        count += slots;
    }
    return count;
}

// The place where it is counts, too. What the image leaves is the loader's, whose structures
// may lie in its gaps.
void choose_physical(const Image& image, MemoryMap& memory) {
    const uint64_t end = prologue_wish_random[0];
    if (end % kSlot != 0 || end > 4 * kGiB)
        refuse("random physical places end at a multiple of 2 MiB, up to 4 GiB", end);
    const prologue_range* range = nullptr;
    uint64_t place = 0;
    const uint64_t count = find_place(memory, image, end, ~uint64_t{0}, range, place);
    const uint64_t number = prologue_random.below(count + 1);
    if (number == count)
        return;
    find_place(memory, image, end, number, range, place);
    const Span old = image.span();
    physical_slide = place - old.start;
    memory.carve(*range, {place, place + old.bytes()}, PROLOGUE_MEMORY_KERNEL);
    for (const prologue_range& was : memory) {
        if (was.type != PROLOGUE_MEMORY_KERNEL || was.start > old.start || was.end < old.end)
            continue;
        memory.carve(was, old, PROLOGUE_MEMORY_LOADER);
        return;
    }
}

// In whole GiBs, between the upper half's start and the last top-level entry.
void choose_direct_map(uint64_t window, const Image& image, const MemoryMap& memory,
                       KernelMap& map) {
    if (prologue_wish_direct_map != DIRECT_MAP_BY_DEFAULT ||
        image.virtual_span().start < kLastEntry)
        return;
    const uint64_t ram = memory.mapped_end() > 4 * kGiB ? memory.mapped_end() : 4 * kGiB;
    const uint64_t bytes = (ram + kGiB - 1) & ~(kGiB - 1);
    map.direct_map = choose(window, (kLastEntry - window - bytes) / kGiB + 1, kGiB, bytes, window);
    if (map.direct_map_bytes > kLastEntry - map.direct_map)
        map.direct_map_bytes = kLastEntry - map.direct_map;
    if (map.identity.end == 0)
        map.identity.end = 4 * kGiB; // by tables of its own
}

void relocate_image(uint64_t window, const Image& image) {
    LinkedBytes pieces[kMostSegments];
    unsigned count = 0;
    for (const Segment& segment : image)
        pieces[count++] = {segment.virt, segment.bytes,
                           reinterpret_cast<uint8_t*>(window + segment.phys)};
    const auto* const dynamic = reinterpret_cast<const uint8_t*>(window + image.span().start +
                                                                 prologue_dynamic);
    const RelocationFault fault = relocate(pieces, count, dynamic,
                                           image.span().bytes() - prologue_dynamic, virtual_slide);
    if (fault.what != nullptr)
        refuse(fault.what, fault.a, fault.b);
}

} // namespace

void prologue_choose_places(uint64_t window, unsigned, const LoaderInfo& loader, const Image& image,
                            MemoryMap& memory, KernelMap& map) {
    const bool is_sev = prologue_sev_state.status != 0;
    const auto* const seed = reinterpret_cast<const uint8_t*>(loader.seed.start);
    prologue_random_sources = gather(prologue_random, Processor(), seed, loader.seed.bytes, is_sev);
    if ((prologue_wish_random[0] | prologue_wish_random[1]) == 0 ||
        has_word(loader.cmdline, "nokaslr"))
        return;
    if (prologue_random_sources == 0)
        refuse("an SEV guest's processor has neither RDSEED nor RDRAND: SEV_STATUS is",
               prologue_sev_state.status);
    if (map.image_in_direct_map)
        refuse("a random place, and a direct map with the image in it", map.direct_map);
    choose_virtual(image);
    // Where an SEV guest's pages lie is the host's to know; and what UEFI's boot services have
    // not given is theirs.
    if (!is_sev && loader.uefi.boot_services == 0)
        choose_physical(image, memory);
    choose_direct_map(window, image, memory, map);
}

void prologue_slide_image(uint64_t window, unsigned levels, const KernelMap& map, Image& image,
                          prologue_handoff& handoff) {
    if (prologue_dynamic != 0) // not slid, it is relocated all the same
        relocate_image(window, image);
    image.slide(virtual_slide, physical_slide);
    image.check({map.direct_map, map.direct_map + map.direct_map_bytes}, levels);
    handoff.load_base += physical_slide;
    handoff.load_end += physical_slide;
    handoff.kernel_offset = image.virtual_offset();
    handoff.spare_start += physical_slide;
    handoff.spare_end += physical_slide;
    handoff.stack_bottom += virtual_slide;
    handoff.stack_top += virtual_slide;
}

} // namespace prologue
