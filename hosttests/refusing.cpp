#include "refusing.h"

namespace prologue {

void refuse(Refusal refusal, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    throw test::Refused{refusal, {a, b, c, d}, ""};
}

void refuse_in(const char* what, Refusal refusal, uint64_t a, uint64_t b, uint64_t c) {
    throw test::Refused{refusal, {a, b, c, 0}, what};
}

namespace test {

std::ostream& operator<<(std::ostream& out, const Refused& refused) {
    constexpr const char* kSentences[] = {
#define PROLOGUE_REFUSAL_SENTENCE(name, sentence) sentence,
        PROLOGUE_PAYLOAD_REFUSALS(PROLOGUE_REFUSAL_SENTENCE)
#undef PROLOGUE_REFUSAL_SENTENCE
    };
    out << kSentences[static_cast<uint32_t>(refused.refusal)] << ' ' << refused.what << std::hex;
    for (const uint64_t number : refused.numbers)
        out << ' ' << number;
    return out;
}

} // namespace test
} // namespace prologue
