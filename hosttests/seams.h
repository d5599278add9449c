// The environment that boot/ and arch/ expect, for host builds: an error is
// thrown, and physical memory is a buffer.
#pragma once

#include "errors.h"
#include "loader_info.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prologue::test {

// What fail() and fail_in() throw.
struct Failure {
    Error error;
    std::string what;
    std::array<uint64_t, 4> numbers;
    std::string sentence; // as the target would print it

    // All but the sentence, which follows from the rest.
    bool operator==(const Failure& other) const {
        return error == other.error && what == other.what && numbers == other.numbers;
    }
};
std::ostream& operator<<(std::ostream& out, const Failure& failure);

// The failure that is expected.
Failure failure(Error error, std::initializer_list<uint64_t> numbers, std::string what = "");

// How `run` fails; nothing where it does not.
template <class Run>
std::optional<Failure> failure_of(Run run) {
    try {
        run();
    } catch (const Failure& failure) {
        return failure;
    }
    return std::nullopt;
}

// The sentence of an error, with its %x, %u and %s.
const char* raw_sentence(Error error);
inline constexpr uint32_t kErrors = 0
#define PROLOGUE_COUNT(name, sentence) +1
    PROLOGUE_ENTRY_ERRORS(PROLOGUE_COUNT) PROLOGUE_BOOT_ERRORS(PROLOGUE_COUNT)
        PROLOGUE_EFI_ERRORS(PROLOGUE_COUNT) PROLOGUE_MOVED_ERRORS(PROLOGUE_COUNT)
#undef PROLOGUE_COUNT
    ;

// The Xen that is asked, where a test has one. It cuts its map off where there is no room.
struct FakeXen {
    bool is_there = false;
    int64_t status = 0;
    std::vector<RawRange> map;
};
inline FakeXen fake_xen;

// Physical memory from `start` on, in a buffer with ASan's red zones around it.
// What lies beyond its end cannot be reached; what lies before it is never
// asked for in tests that give a start.
class FakeMemory {
public:
    explicit FakeMemory(uint64_t bytes, uint64_t start = 0, uint8_t filled_with = 0);

    uint64_t start() const { return start_; }
    uint64_t end() const { return start_ + bytes_; }
    uint64_t window() const { return seen.window; }
    uint8_t* at(uint64_t address) { return buffer_.get() + (address - start_); }
    const uint8_t* at(uint64_t address) const { return buffer_.get() + (address - start_); }

    template <class T>
    void put(uint64_t address, const T& value) {
        put_bytes(address, &value, sizeof value);
    }
    void put_bytes(uint64_t address, const void* bytes, uint64_t count);
    void put_text(uint64_t address, std::string_view text); // and a NUL

    template <class T>
    T get(uint64_t address) const {
        T value;
        std::memcpy(&value, at(address), sizeof value);
        return value;
    }

    PhysMemory seen; // as the code under test has it

private:
    struct Free {
        void operator()(uint8_t* buffer) const { std::free(buffer); }
    };
    uint64_t start_;
    uint64_t bytes_;
    std::unique_ptr<uint8_t, Free> buffer_; // page-aligned, as the target's window is
};

} // namespace prologue::test
