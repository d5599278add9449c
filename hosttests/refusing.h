// The loader image's refusals on the host: each is thrown.
#pragma once

#include "payload/refusals.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <ostream>
#include <string>

namespace prologue::test {

struct Refused {
    Refusal refusal;
    std::array<uint64_t, 4> numbers;
    std::string what;

    bool operator==(const Refused&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Refused& refused);

// The refusal that is expected.
inline Refused refused(Refusal refusal, std::initializer_list<uint64_t> numbers,
                       std::string what = "") {
    Refused result = {refusal, {}, std::move(what)};
    std::copy(numbers.begin(), numbers.end(), result.numbers.begin());
    return result;
}

// How `run` is refused; nothing where it is not.
template <class Run>
std::optional<Refused> refusal_of(Run run) {
    try {
        run();
    } catch (const Refused& refused) {
        return refused;
    }
    return std::nullopt;
}

} // namespace prologue::test
