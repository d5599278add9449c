#include "errors.h"
#include "loader_info.h"

namespace prologue {
namespace {

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighs = 0x8080808080808080;

constexpr bool has_zero_byte(uint64_t word) {
    return ((word - kOnes) & ~word & kHighs) != 0;
}

bool starts_with(Text text, const char* prefix) {
    for (uint64_t i = 0; prefix[i] != 0; ++i)
        if (i == text.bytes || text.start[i] != prefix[i])
            return false;
    return true;
}

}  // namespace

// Looks at eight aligned bytes at a time: such a word never crosses into a page
// that is not mapped.
Text text_at(PhysMemory& memory, const char* what, uint64_t phys) {
    if (phys == 0)
        return {};
    const auto* start = memory.at<char>(what, phys);
    uint64_t length = 0;
    const auto ended_within = [&](uint64_t bytes) {
        for (; length < bytes; ++length)
            if (start[length] == 0)
                return true;
        return false;
    };
    if (ended_within(-phys % 8))
        return {start, length};
    for (; length <= kLongestText; length += 8) {
        const uint8_t* word = memory.at(what, phys + length, 8);
        if (has_zero_byte(read_unaligned<uint64_t>(word))) {
            ended_within(length + 8);
            return {start, length};
        }
    }
    fail_in(what, Error::text_not_ended, phys, kLongestText);
}

Text without_image_path(Text cmdline, Text loader_name) {
    if (loader_name.bytes == 0 || starts_with(loader_name, "GRUB "))
        return cmdline;
    while (cmdline.bytes != 0 && *cmdline.start != ' ') {
        ++cmdline.start;
        --cmdline.bytes;
    }
    while (cmdline.bytes != 0 && *cmdline.start == ' ') {
        ++cmdline.start;
        --cmdline.bytes;
    }
    return cmdline;
}

Span module_span(const char* contract, uint64_t start, uint64_t bytes) {
    if (bytes > kLastPageStart - start || start > kLastPageStart)
        fail_in(contract, Error::module_wraps, start, bytes);
    return {start, start + bytes};
}

}  // namespace prologue
