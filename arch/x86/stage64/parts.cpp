#include "parts.h"

#include "contract_magic.h"
#include "entry_state.h"
#include "errors.h"

#pragma GCC visibility push(hidden)
extern "C" {
extern const prologue::Part __start_prologue_parts[];
extern const prologue::Part __stop_prologue_parts[];
}

namespace prologue {
namespace {

[[gnu::always_inline]] constexpr bool is_known(uint32_t magic) {
    return magic == PVH_MAGIC || magic == MULTIBOOT1_MAGIC || magic == MULTIBOOT2_MAGIC ||
           magic == LINUX_MAGIC || magic == IGVM_MAGIC;
}

// Printable characters that were written over PVH's magic: four of them, or fewer, the NUL behind
// them, and what that has left of it.
bool is_text(uint32_t word) {
    for (unsigned shift = 0; shift != 32; shift += 8) {
        const uint32_t byte = word >> shift & 0xff;
        if (byte == 0)
            return (word ^ PVH_MAGIC) >> shift >> 8 == 0;
        if (byte < ' ' || byte > '~')
            return false;
    }
    return true;
}

} // namespace

void check_clear_of(const Image& image, const char* what, Span span) {
    if (!span.overlaps(image.span()))
        return;
    if (image.lies_on(span))
        fail_in(what, Error::on_the_image, span.start, span.end, image.loaded_span().start,
                image.loaded_span().end);
}

const Part* find_part(uint32_t magic) {
    for (const Part* part = __start_prologue_parts; part != __stop_prologue_parts; ++part)
        if (part->magic == magic)
            return part;
    return nullptr;
}

const Part& find_contract(PhysMemory& memory, const Image& image, uint32_t& magic, uint64_t& info) {
    const uint32_t given = magic;
    if (!is_known(given)) {
        for (const Part* part = __start_prologue_parts; part != __stop_prologue_parts; ++part) {
            if (part->magic != RECOGNISER_MAGIC)
                continue;
            magic = part->first<Recognise>()(memory, prologue_entry_state, info);
            if (magic != 0)
                break;
        }
    }
    const Part* contract = find_part(magic);
    if (contract == nullptr && is_text(given) && memory.reach(info, sizeof given) &&
        read_unaligned<uint32_t>(memory.seen(info)) == given)
        fail_in("text stands where a start info should, as with QEMU's PVH loader, which "
                "writes a command line of 4128 bytes and more over it: text, address",
                Error::entry, given, info);
    if (contract == nullptr)
        fail(is_known(given) ? Error::contract_left_out : Error::unknown_loader, given, info);
    check_clear_of(image, "information", {info, page_up(info + 1)});
    return *contract;
}

} // namespace prologue
