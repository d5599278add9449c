// The SEV host's decoder: a guest's bytes, whatever they are.
#include "fuzzing.h"
#include "instruction.h"

namespace sevhost {
namespace {

using prologue::test::Input;
using prologue::test::must;

constexpr unsigned kLongest = 15;

bool same(const MemoryOperand& a, const MemoryOperand& b) {
    return a.present == b.present && a.segment == b.segment && a.base == b.base &&
           a.index == b.index && a.scale == b.scale && a.address_bytes == b.address_bytes &&
           a.displacement == b.displacement;
}

bool same(const Instruction& a, const Instruction& b) {
    return a.op == b.op && a.length == b.length && a.control_register == b.control_register &&
           a.gpr == b.gpr && a.at_rsi == b.at_rsi && a.at_rdi == b.at_rdi &&
           same(a.memory, b.memory);
}

// From memory that ends with the bytes, so that a read behind them shows.
Instruction decode_exactly(const uint8_t* bytes, size_t count, CodeBits bits) {
    const Input exactly(bytes, bytes + count);
    return decode(exactly.data(), static_cast<unsigned>(count), bits);
}

void check_fields(const Instruction& found) {
    const MemoryOperand& m = found.memory;
    must(found.gpr < 16 && found.control_register < 16, "registers are of 16");
    must(m.base >= kNoRegister && m.base <= kRipRegister, "the base is a register");
    must(m.index >= kNoRegister && m.index < 16, "the index is a register");
    must(m.scale <= 3, "the scale is 1, 2, 4 or 8");
    must(m.address_bytes == 2 || m.address_bytes == 4 || m.address_bytes == 8,
         "addresses have 2, 4 or 8 bytes");
    must(m.segment <= kSegGs, "the segment is one of six");
}

void fuzz_instruction(const uint8_t* data, size_t size) {
    if (size == 0)
        return;
    const auto bits = static_cast<CodeBits>(data[0] % 3);
    const uint8_t* bytes = data + 1;
    const size_t count = size - 1 < kLongest ? size - 1 : kLongest;
    const Instruction found = decode_exactly(bytes, count, bits);
    must(found.length <= count, "the length is within the bytes");
    if (found.length == 0) {
        must(same(found, Instruction()), "what is not decoded says nothing");
        return;
    }
    check_fields(found);
    must(same(decode_exactly(bytes, found.length, bits), found),
         "the bytes behind an instruction change nothing");
    for (unsigned less = 0; less != found.length; ++less)
        must(decode_exactly(bytes, less, bits).length == 0, "each byte is needed");
}

std::vector<Input> seeds() {
    const std::initializer_list<Input> instructions = {
        {0x0f, 0xa2},
        {0xf3, 0x0f, 0x01, 0xd9},
        {0x43, 0x8b, 0x44, 0xa5, 0x12},
        {0x65, 0x48, 0xc7, 0x84, 0x24, 1, 2, 3, 4, 5, 6, 7, 8},
        {0x67, 0xa1, 1, 2, 3, 4},
        {0x0f, 0x22, 0xc0},
        {0xf2, 0x0f, 0x01, 0xff},
        {0x66, 0x0f, 0x3a, 0x0f, 0x05, 1, 2, 3, 4, 5},
    };
    std::vector<Input> seeds;
    for (uint8_t bits = 0; bits != 3; ++bits)
        for (const Input& instruction : instructions) {
            Input seed = {bits};
            seed.insert(seed.end(), instruction.begin(), instruction.end());
            seeds.push_back(seed);
        }
    return seeds;
}

} // namespace
} // namespace sevhost

BEGINS_WITH(sevhost::seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    sevhost::fuzz_instruction(data, size);
    return 0;
}
