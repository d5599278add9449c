#include "words.h"

namespace prologue {
namespace {

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

} // namespace

bool has_word(Text cmdline, const char* word) {
    for (uint64_t at = 0; at != cmdline.bytes;) {
        const char* expected = word; // null once the word is another
        while (at != cmdline.bytes && is_space(cmdline.start[at]))
            ++at;
        for (; at != cmdline.bytes && !is_space(cmdline.start[at]); ++at)
            expected = expected && *expected == cmdline.start[at] ? expected + 1 : nullptr;
        if (expected && expected != word && *expected == 0)
            return true;
    }
    return false;
}

} // namespace prologue
