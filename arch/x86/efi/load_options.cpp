#include "load_options.h"

namespace prologue::efi {
namespace {

constexpr bool is_space(uint16_t c) {
    return c == ' ' || c == '\t';
}

constexpr uint16_t lower(uint16_t c) {
    return c >= 'A' && c <= 'Z' ? static_cast<uint16_t>(c + ('a' - 'A')) : c;
}

Text16 up_to_its_end(Text16 text) {
    for (uint64_t i = 0; i != text.units; ++i)
        if (const uint16_t c = text.at(i); c == 0 || c == '\n' || c == '\r')
            return text.first(i);
    return text;
}

Text16 without_spaces(Text16 text) {
    while (text.units != 0 && is_space(text.at(0)))
        text = text.from(1);
    return text;
}

// Up to a space that no quotes are around.
uint64_t word_units(Text16 text) {
    bool quoted = false;
    uint64_t i = 0;
    for (; i != text.units && (quoted || !is_space(text.at(i))); ++i)
        quoted ^= text.at(i) == '"';
    return i;
}

// Behind the last separator of directories, and without quotes.
Text16 file_name(Text16 path) {
    if (path.units != 0 && path.at(path.units - 1) == '"')
        --path.units;
    for (uint64_t i = path.units; i != 0; --i)
        if (const uint16_t c = path.at(i - 1); c == '\\' || c == '/' || c == ':' || c == '"')
            return path.from(i);
    return path;
}

bool same_name(Text16 a, Text16 b) {
    if (a.units != b.units || a.units == 0)
        return false;
    for (uint64_t i = 0; i != a.units; ++i)
        if (lower(a.at(i)) != lower(b.at(i)))
            return false;
    return true;
}

constexpr uint64_t kMostPathBytes = 4096;

uint64_t node_bytes(const uint8_t* node) {
    return read_unaligned<uint16_t>(node + offsetof(DevicePath, bytes));
}

// The name of the file that the image is from, by the last node of its path that has one.
Text16 image_name(const uint8_t* path) {
    Text16 name;
    if (path == nullptr)
        return name;
    uint64_t at = 0;
    while (path[at] != kPathEnd) {
        const uint64_t bytes = node_bytes(path + at);
        if (bytes < sizeof(DevicePath) || at + bytes > kMostPathBytes)
            return {};
        if (path[at] == kMediaPath && path[at + 1] == kFilePath)
            name = up_to_its_end(
                {path + at + sizeof(DevicePath), (bytes - sizeof(DevicePath)) / sizeof(uint16_t)});
        at += bytes;
    }
    return file_name(name);
}

// Some firmware passes the whole of an EFI_LOAD_OPTION: attributes, bytes of the list of
// device paths, description, list, and then what is meant. Source: UEFI 2.10, section 3.1.3.
Text16 without_load_option(const uint8_t* bytes, uint64_t count) {
    constexpr uint64_t kHead = 6;
    constexpr uint32_t kAttributes = 0x1f0f;
    const Text16 all = {bytes, count / sizeof(uint16_t)};
    if (count < kHead || (read_unaligned<uint32_t>(bytes) & ~kAttributes) != 0)
        return all;
    const Text16 description = {bytes + kHead, (count - kHead) / sizeof(uint16_t)};
    uint64_t end = 0;
    while (end != description.units && description.at(end) != 0)
        ++end;
    uint64_t at = kHead + (end + 1) * sizeof(uint16_t);
    const uint64_t path_end = at + read_unaligned<uint16_t>(bytes + sizeof(uint32_t));
    if (end == 0 || path_end > count)
        return all;
    bool ended = false;
    while (at + sizeof(DevicePath) <= path_end && node_bytes(bytes + at) >= sizeof(DevicePath)) {
        ended = bytes[at] == kPathEnd && bytes[at + 1] == kWholePathEnd;
        at += node_bytes(bytes + at);
    }
    if (!ended || at != path_end)
        return all;
    return {bytes + path_end, (count - path_end) / sizeof(uint16_t)};
}

} // namespace

Text16 load_options(const LoadedImage& image, bool shell) {
    const auto* const bytes = static_cast<const uint8_t*>(image.load_options);
    if (bytes == nullptr)
        return {};
    const Text16 options = up_to_its_end(without_load_option(bytes, image.load_options_bytes));
    const uint64_t first = word_units(options);
    const Text16 named = image_name(reinterpret_cast<const uint8_t*>(image.file_path));
    if (!shell && !same_name(file_name(options.first(first)), named))
        return options;
    return without_spaces(options.from(first));
}

bool next_option(Text16& rest, const char* key, Text16& value) {
    for (;;) {
        rest = without_spaces(rest);
        if (rest.units == 0)
            return false;
        const Text16 word = rest.first(word_units(rest));
        rest = rest.from(word.units);
        uint64_t same = 0;
        while (key[same] != 0 && same != word.units && word.at(same) == key[same])
            ++same;
        if (key[same] == 0) {
            value = word.from(same);
            return true;
        }
    }
}

uint64_t to_utf8(Text16 from, char* to) {
    constexpr uint32_t kHigh = 0xd800, kLow = 0xdc00, kEnd = 0xe000, kReplacement = 0xfffd;
    uint64_t bytes = 0;
    const auto put = [&](uint32_t byte) {
        if (to != nullptr)
            to[bytes] = static_cast<char>(byte);
        ++bytes;
    };
    const auto put_rest = [&](uint32_t c, unsigned left) {
        while (left-- != 0)
            put(0x80 | (c >> (6 * left) & 0x3f));
    };
    for (uint64_t i = 0; i != from.units; ++i) {
        uint32_t c = from.at(i);
        if (c >= kHigh && c < kEnd) {
            const uint32_t next = i + 1 != from.units ? from.at(i + 1) : 0;
            const bool pair = c < kLow && next >= kLow && next < kEnd;
            c = pair ? 0x10000 + ((c - kHigh) << 10) + (next - kLow) : kReplacement;
            i += pair;
        }
        if (c < 0x80) {
            put(c);
        } else if (c < 0x800) {
            put(0xc0 | c >> 6);
            put_rest(c, 1);
        } else if (c < 0x10000) {
            put(0xe0 | c >> 12);
            put_rest(c, 2);
        } else {
            put(0xf0 | c >> 18);
            put_rest(c, 3);
        }
    }
    return bytes;
}

} // namespace prologue::efi
