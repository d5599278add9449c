// What the small test guests share. A guest is a file of scenes; the command line names the one
// that is played. It stands in 32-bit or in 64-bit mode, compiled for each from the same source.
//
// A scene that holds ends the guest with reason 0. An expectation that does not ends it with
// reason 1, behind three marks: the line in the source, what was found, what was expected. Marks
// and termination need no GHCB page, no paging and no device.
#pragma once

#include <stdint.h>

using Word = uintptr_t; // a register
constexpr bool kLong = sizeof(Word) == 8;

// Values to go through, in a loop.
template <typename T>
using List = const T[];

// The reasons by which a guest ends, of this reason set.
constexpr unsigned kReasonSet = 15;
enum class Reason : unsigned { done = 0, unexpected = 1, exception = 2, no_such_scene = 3 };

[[noreturn]] void terminate(Reason reason);
[[noreturn]] void fail(unsigned line, uint64_t found, uint64_t expected);
void mark(Word value); // the host prints it
// A name of eight letters at most and a value: each a mark, or two in 32-bit mode.
void note(const char* name, uint64_t value);

#define EXPECT_EQUAL(found, expected)                                                              \
    do {                                                                                           \
        const uint64_t found_ = (found), expected_ = (expected);                                   \
        if (found_ != expected_)                                                                   \
            fail(__LINE__, found_, expected_);                                                     \
    } while (false)
#define EXPECT(condition) EXPECT_EQUAL(condition, true)

// Leaf 1's ECX, leaf 7's EBX and leaf 0xd's EAX, of whichever CPUID: without XSAVE there is no
// state that it saves.
struct CpuidWords {
    uint32_t basic, structured, xsave;
};
inline void expect_one_cpu(const CpuidWords& words) {
    constexpr uint32_t kXsave = 1u << 26, kOfAvx = 1u << 12 | 1u << 28 | 1u << 29; // FMA, AVX, F16C
    constexpr uint32_t kAvx2 = 1u << 5, kSse42 = 1u << 20;
    const bool has_xsave = words.basic & kXsave;
    EXPECT((words.basic & kSse42) != 0); // there is a CPU
    EXPECT_EQUAL(words.basic & kOfAvx, has_xsave ? kOfAvx : 0);
    EXPECT_EQUAL(words.structured & kAvx2, has_xsave ? kAvx2 : 0);
    EXPECT_EQUAL(words.xsave != 0, has_xsave);
}

// The scenes of a guest; its file defines them.
struct Scene {
    const char* name;
    void (*play)();
};
extern const Scene scenes[];
extern const unsigned scene_count;

// What the guest is, by SEV_STATUS, and where its C-bit is.
bool encrypted();
bool snp();
uint64_t c_bit_mask(); // 0 in a plain guest
uint64_t ghcb_msr_at_entry();
