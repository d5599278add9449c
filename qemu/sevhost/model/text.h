// Strings of the command line: views, no copies.
#pragma once

#include <stdint.h>

namespace sevhost {

struct Text {
    const char* data = "";
    uint64_t size = 0;

    constexpr Text() = default;
    constexpr Text(const char* d, uint64_t n) : data(d), size(n) {}
    constexpr Text(const char* literal) : data(literal) {
        while (literal[size] != 0)
            ++size;
    }
    constexpr bool operator==(Text other) const {
        if (size != other.size)
            return false;
        for (uint64_t i = 0; i != size; ++i)
            if (data[i] != other.data[i])
                return false;
        return true;
    }
    constexpr Text from(uint64_t start) const {
        return start < size ? Text(data + start, size - start) : Text();
    }
    constexpr Text first(uint64_t count) const { return {data, count < size ? count : size}; }
    constexpr uint64_t find(char c) const {
        uint64_t i = 0;
        while (i != size && data[i] != c)
            ++i;
        return i;
    }
};

// The next word of `rest`, which begins behind it afterwards; empty at the end.
constexpr Text next_word(Text& rest) {
    auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    while (rest.size != 0 && is_space(rest.data[0]))
        rest = rest.from(1);
    uint64_t end = 0;
    while (end != rest.size && !is_space(rest.data[end]))
        ++end;
    const Text word = rest.first(end);
    rest = rest.from(end);
    return word;
}

// Decimal, or hexadecimal behind 0x; a K, M or G multiplies. False where it is no number.
constexpr bool parse_number(Text text, uint64_t& value) {
    unsigned base = 10;
    if (text.size > 2 && text.data[0] == '0' && (text.data[1] | 0x20) == 'x') {
        base = 16;
        text = text.from(2);
    }
    unsigned shift = 0;
    if (text.size > 1) {
        const char unit = static_cast<char>(text.data[text.size - 1] & ~0x20);
        shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
        if (shift != 0)
            text.size -= 1;
    }
    if (text.size == 0)
        return false;
    value = 0;
    for (uint64_t i = 0; i != text.size; ++i) {
        const char c = text.data[i];
        unsigned digit = base;
        if (c >= '0' && c <= '9')
            digit = static_cast<unsigned>(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = static_cast<unsigned>((c | 0x20) - 'a' + 10);
        if (digit >= base || value > (~uint64_t{0} - digit) / base)
            return false;
        value = value * base + digit;
    }
    if (shift != 0 && value >> (64 - shift) != 0)
        return false;
    value <<= shift;
    return true;
}

static_assert([] {
    uint64_t v = 0;
    return parse_number("512M", v) && v == 512u << 20 && parse_number("0x1fF", v) && v == 0x1ff &&
           !parse_number("12x", v) && !parse_number("", v);
}());

} // namespace sevhost
