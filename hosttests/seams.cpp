#include "seams.h"

#include "report.h"
#include "xen.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ostream>
#include <stdexcept>

namespace prologue::test {
namespace {

constexpr char kSentences[] = PROLOGUE_ENTRY_ERRORS(PROLOGUE_ERROR_SENTENCE)
    PROLOGUE_BOOT_ERRORS(PROLOGUE_ERROR_SENTENCE) PROLOGUE_EFI_ERRORS(PROLOGUE_ERROR_SENTENCE)
        PROLOGUE_MOVED_ERRORS(PROLOGUE_ERROR_SENTENCE);

// A number or a name that the sentence has no place for would never be read.
std::string spell(Error error, const std::string& what, const std::array<uint64_t, 4>& numbers) {
    std::string out; // no stream: the fuzzers fail very often
    size_t used = 0;
    bool named = false;
    for (const char* at = raw_sentence(error); *at != 0; ++at) {
        if (*at != '%') {
            out += *at;
        } else if (*++at == 's') {
            out += what;
            named = true;
        } else {
            char digits[20];
            out.append(digits, std::to_chars(digits, std::end(digits), numbers.at(used++),
                                             *at == 'u' ? 10 : 16)
                                   .ptr);
        }
    }
    const bool lost = std::any_of(numbers.begin() + used, numbers.end(), [](auto n) { return n; });
    if (lost || named != !what.empty())
        throw std::logic_error("the numbers do not fit: " + out);
    return out;
}

} // namespace

const char* raw_sentence(Error error) {
    return sentence(kSentences, error);
}

Failure failure(Error error, std::initializer_list<uint64_t> numbers, std::string what) {
    Failure result = {error, std::move(what), {}, {}};
    std::copy(numbers.begin(), numbers.end(), result.numbers.begin());
    result.sentence = spell(error, result.what, result.numbers);
    return result;
}

std::ostream& operator<<(std::ostream& out, const Failure& failure) {
    return out << failure.sentence;
}

FakeMemory::FakeMemory(uint64_t bytes, uint64_t start, uint8_t filled_with)
    : start_(start),
      bytes_(bytes),
      buffer_(static_cast<uint8_t*>(std::aligned_alloc(kPage, bytes))) {
    if (bytes % kPage != 0 || start % kPage != 0 || !buffer_)
        throw std::invalid_argument("memory comes in pages");
    std::memset(buffer_.get(), filled_with, bytes);
    seen.window = reinterpret_cast<uintptr_t>(buffer_.get()) - start;
    seen.mapped = start + bytes;
}

void FakeMemory::put_bytes(uint64_t address, const void* bytes, uint64_t count) {
    if (address < start_ || count > bytes_ || address - start_ > bytes_ - count)
        throw std::out_of_range("the test's own address");
    if (count != 0)
        std::memcpy(at(address), bytes, count);
}

void FakeMemory::put_text(uint64_t address, std::string_view text) {
    put_bytes(address, text.data(), text.size());
    put(address + text.size(), '\0');
}

} // namespace prologue::test

namespace prologue {

void fail_in(const char* what, Error error, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    throw test::failure(error, {a, b, c, d}, what);
}

void fail(Error error, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    fail_in("", error, a, b, c, d);
}

const char* vector_names() {
    return prologue_vector_names;
}

bool is_xen() {
    return test::fake_xen.is_there;
}

int64_t ask_xen_for_memory_map(RawRange* ranges, uint32_t& entries) {
    const std::vector<RawRange>& all = test::fake_xen.map;
    entries = std::min<uint64_t>(entries, all.size());
    std::copy_n(all.begin(), entries, ranges);
    return test::fake_xen.status;
}

bool PhysMemory::reach(uint64_t start, uint64_t bytes) {
    return sees(start, bytes);
}

void PhysMemory::extend(const char* what, uint64_t start, uint64_t bytes) {
    fail_in(what, Error::out_of_reach, bytes, start);
}

} // namespace prologue
