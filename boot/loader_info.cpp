#include "boot_params.h"
#include "errors.h"
#include "loader_info.h"

namespace prologue {
namespace {

using Chunk = char __attribute__((vector_size(16)));

// A bit for each byte of the chunk that is zero, the first byte's lowest.
uint32_t zero_bytes(const uint8_t* aligned) {
    const Chunk chunk = *reinterpret_cast<const Chunk*>(aligned);
    return static_cast<uint32_t>(__builtin_ia32_pmovmskb128(chunk == Chunk{}));
}

// Null where it cannot be had and need not be.
inline const uint8_t* chunk_at(PhysMemory& memory, const char* what, uint64_t phys) {
    if (memory.sees(phys, sizeof(Chunk)) || memory.reach(phys, sizeof(Chunk)))
        return memory.seen<const uint8_t>(phys);
    if (what != nullptr)
        fail_in(what, Error::out_of_reach, sizeof(Chunk), phys);
    return nullptr;
}

bool starts_with(Text text, const char* prefix) {
    for (uint64_t i = 0; prefix[i] != 0; ++i)
        if (i == text.bytes || text.start[i] != prefix[i])
            return false;
    return true;
}

// name=value, where a path's = comes behind a slash, as in an address with a query.
bool begins_with_an_option(Text text) {
    uint64_t i = 0;
    while (i != text.bytes && text.start[i] != ' ' && text.start[i] != '/' && text.start[i] != '=')
        ++i;
    return i != text.bytes && text.start[i] == '=';
}

// ELF's section headers, as far as they are wanted.
struct Section64 {
    uint32_t name, type;
    uint64_t flags, address, file_offset, bytes;
} __attribute__((packed));
struct Section32 {
    uint32_t name, type;
    uint32_t flags, address, file_offset, bytes;
} __attribute__((packed));
constexpr uint32_t kSection32Bytes = 40, kSection64Bytes = 64;
constexpr uint64_t kAllocated = 2;

template <class Section>
void mark_section(const uint8_t* at, LoaderInfo& loader) {
    const auto& section = *reinterpret_cast<const Section*>(at);
    if ((section.flags & kAllocated) == 0)
        loader.may_occupy(section.address, section.bytes);
}

} // namespace

// Looks at 16 aligned bytes at a time: those never cross into a page that is not
// mapped, though they may begin before the string.
Text text_at(PhysMemory& memory, const char* what, uint64_t phys) {
    if (phys == 0)
        return {};
    const uint64_t before = phys % sizeof(Chunk);
    const uint64_t aligned = phys - before;
    const uint8_t* chunk = chunk_at(memory, what, aligned);
    if (chunk == nullptr)
        return {};
    const auto* start = reinterpret_cast<const char*>(chunk + before);
    uint32_t zeros = zero_bytes(chunk) >> before << before;
    for (uint64_t done = sizeof(Chunk); zeros == 0; done += sizeof(Chunk)) {
        if (done > kLongestText && what != nullptr)
            fail_in(what, Error::text_not_ended, phys, kLongestText);
        chunk = done > kLongestText ? nullptr : chunk_at(memory, what, aligned + done);
        if (chunk == nullptr)
            return {};
        zeros = zero_bytes(chunk);
    }
    const auto* end = reinterpret_cast<const char*>(chunk) + __builtin_ctz(zeros);
    return {start, static_cast<uint64_t>(end - start)};
}

void LoaderModule::set_cmdline(PhysMemory& memory, uint64_t phys) {
    cmdline = text_at(memory, nullptr, phys);
    text_is_lost = phys != 0 && cmdline.start == nullptr;
}

Text without_image_path(Text cmdline, Text loader_name) {
    if (loader_name.bytes == 0 || starts_with(loader_name, "GRUB 2") ||
        starts_with(loader_name, "GNU GRUB 2") || starts_with(loader_name, "Limine") ||
        starts_with(loader_name, "Prologue") || // the loader image
        begins_with_an_option(cmdline))
        return cmdline;
    const auto skip_while = [&](bool space) {
        for (; cmdline.bytes != 0 && (*cmdline.start == ' ') == space; --cmdline.bytes)
            ++cmdline.start;
    };
    skip_while(false);
    skip_while(true);
    return cmdline;
}

void mark_elf_sections(const uint8_t* entries, uint64_t count, uint32_t entry_bytes,
                       LoaderInfo& loader) {
    if (entry_bytes != kSection32Bytes && entry_bytes < kSection64Bytes) {
        loader.left_out |= PROLOGUE_LEFT_OUT_SYMBOLS;
        return;
    }
    for (; count != 0; --count, entries += entry_bytes)
        if (entry_bytes == kSection32Bytes)
            mark_section<Section32>(entries, loader);
        else
            mark_section<Section64>(entries, loader);
}

void mark_confidential_blob(PhysMemory& memory, uint64_t at, LoaderInfo& loader) {
    if (at == 0 || !memory.reach(at, sizeof(ConfidentialBlob)))
        return;
    const auto blob = read_unaligned<ConfidentialBlob>(memory.seen(at));
    if (blob.magic != ConfidentialBlob::kMagic)
        return;
    loader.may_occupy(at, sizeof blob);
    loader.may_occupy(blob.secrets, kPage); // whatever length is told
    loader.may_occupy(blob.cpuid, kPage);
}

void LoaderInfo::may_occupy(uint64_t start, uint64_t bytes) {
    if (start != 0 && bytes != 0 && start < kMostPhysical && bytes <= kMostPhysical - start)
        add({start, page_up(start + bytes)});
}

void LoaderInfo::add(Span span) {
    for (unsigned i = 0; i != structure_count; ++i)
        if (structures[i].join(span))
            return;
    if (structure_count != kMaxStructures)
        structures[structure_count++] = span;
    else
        join_nearest(span);
}

void LoaderInfo::check_clear_of_image(Span span) const {
    if (image->lies_on(span))
        fail_in("information", Error::on_the_image, span.start, page_up(span.end),
                image->loaded_span().start, image->loaded_span().end);
}

void LoaderInfo::join_nearest(Span span) {
    Span* nearest = structures;
    uint64_t least = ~uint64_t{0};
    for (Span& structure : structures) {
        const uint64_t added = structure.hull(span).bytes() - structure.bytes();
        if (added < least) {
            nearest = &structure;
            least = added;
        }
    }
    *nearest = nearest->hull(span);
}

void set_colours(prologue_framebuffer& framebuffer, const uint8_t* colours) {
    framebuffer.red_shift = colours[0];
    framebuffer.red_bits = colours[1];
    framebuffer.green_shift = colours[2];
    framebuffer.green_bits = colours[3];
    framebuffer.blue_shift = colours[4];
    framebuffer.blue_bits = colours[5];
}

Span module_span(const char* contract, uint64_t start, uint64_t bytes) {
    if (start > kMostPhysical || bytes > kMostPhysical - start)
        fail_in(contract, Error::module_too_high, start, bytes);
    return {start, start + bytes};
}

} // namespace prologue
