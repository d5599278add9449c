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

bool starts_with(Text text, const char* prefix) {
    for (uint64_t i = 0; prefix[i] != 0; ++i)
        if (i == text.bytes || text.start[i] != prefix[i])
            return false;
    return true;
}

}  // namespace

// Looks at 16 aligned bytes at a time: those never cross into a page that is not
// mapped, though they may begin before the string.
Text text_at(PhysMemory& memory, const char* what, uint64_t phys) {
    if (phys == 0)
        return {};
    const uint64_t before = phys % sizeof(Chunk);
    const uint64_t aligned = phys - before;
    const uint8_t* chunk = memory.at(what, aligned, sizeof(Chunk));
    const auto* start = reinterpret_cast<const char*>(chunk + before);
    uint32_t zeros = zero_bytes(chunk) >> before << before;
    for (uint64_t done = sizeof(Chunk); zeros == 0; done += sizeof(Chunk)) {
        if (done > kLongestText)
            fail_in(what, Error::text_not_ended, phys, kLongestText);
        chunk = memory.at(what, aligned + done, sizeof(Chunk));
        zeros = zero_bytes(chunk);
    }
    const auto* end = reinterpret_cast<const char*>(chunk) + __builtin_ctz(zeros);
    return {start, static_cast<uint64_t>(end - start)};
}

Text without_image_path(Text cmdline, Text loader_name) {
    constexpr char kPrefixers[] =
        "qemu\0GNU GRUB 0.\0iPXE\0SYSLINUX\0ISOLINUX\0PXELINUX\0EXTLINUX\0";
    for (const char* name = kPrefixers; !starts_with(loader_name, name);) {
        while (*name++ != 0) {
        }
        if (*name == 0)
            return cmdline;
    }
    const auto skip_while = [&](bool space) {
        for (; cmdline.bytes != 0 && (*cmdline.start == ' ') == space; --cmdline.bytes)
            ++cmdline.start;
    };
    skip_while(false);
    skip_while(true);
    return cmdline;
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

}  // namespace prologue
