// #VC in a guest whose host answers at random: any bytes at RIP, any error code, any page.
#include "decode.h"
#include "fuzzing.h"
#include "scripted_host.h"

#include <algorithm>
#include <sys/mman.h>

namespace prologue::test {
namespace {

constexpr unsigned kPageOfCode = 4096;
constexpr unsigned kRegisters = 15;

// Code at the end of a page with nothing behind it: a byte too many is a fault.
struct Code {
    uint8_t* end;
    Code() {
        auto* const pages = static_cast<uint8_t*>(mmap(nullptr, 2 * kPageOfCode,
                                                       PROT_READ | PROT_WRITE,
                                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mprotect(pages + kPageOfCode, kPageOfCode, PROT_NONE);
        end = pages + kPageOfCode;
    }
};

bool is_string(const Instruction& i) {
    return i.op == Op::ins || i.op == Op::outs;
}

void try_vc(const uint8_t* data, size_t size) {
    static Code code;
    constexpr size_t kHead = 18;
    if (size < kHead)
        return;
    uint8_t bytes[15];
    std::memcpy(bytes, data, sizeof bytes);
    const Instruction decoded = decode(bytes);
    must(decoded.length <= 16 || decoded.op == Op::none, "no instruction is that long");
    if (decoded.op == Op::none || is_string(decoded))
        return; // strings go to memory of the kernel's, at any address
    std::memcpy(code.end - decoded.length, bytes, decoded.length);

    ScriptedHost host;
    const uint8_t* rest = data + kHead;
    size_t left = size - kHead;
    host.on_page = [&] {
        const size_t count = std::min(left, sizeof host.page);
        std::memcpy(host.page, rest, count);
        rest += count;
        left -= count;
    };
    constexpr uint64_t kDevice = 0xfffff000c0000000;
    host.map(kDevice, 0xfec00000, false);
    Frame64 frame = {};
    uint64_t* const registers = &frame.r15;
    for (unsigned i = 0; i != kRegisters; ++i)
        registers[i] = kDevice + data[17];
    frame.rcx = data[16] % 8; // a repeated store ends some day
    frame.cs = 8;
    frame.error = data[15] == 0xff ? VC_NESTED_FAULT : data[15];
    frame.rip = reinterpret_cast<uint64_t>(code.end - decoded.length);
    const uint64_t behind = reinterpret_cast<uint64_t>(code.end);
    const auto end = end_of([&] {
        const unsigned vector = handle_vc(frame);
        must(vector == 0 || vector == 6 || vector == 13, "only these are believable");
        must(vector != 0 || frame.rip == behind, "the instruction is left behind");
    });
    must(!end || *end < 0x40, "every end has a code of the list");
    if (!end)
        must(std::all_of(host.page, host.page + kGhcbSaveEnd, [](uint8_t b) { return b == 0; }),
             "the page is clean");
}

std::vector<Input> seeds() {
    std::vector<Input> all;
    const std::pair<Input, uint8_t> calls[] = {
        {{0x0f, 0xa2}, VC_CPUID},  {{0x0f, 0x32}, VC_MSR}, {{0xec}, VC_IOIO},
        {{0x8b, 0x07}, 0xff},      {{0xf3, 0xab}, 0xff},   {{0x0f, 0x23, 0xf8}, VC_DR7_WRITE},
        {{0x48, 0x0f, 0xbf, 0x44, 0x8f, 0x10}, 0xff},
    };
    for (const auto& [bytes, error] : calls) {
        Input input = bytes;
        input.resize(15);
        input.insert(input.end(), {error, 3, 0});
        Input page(4096);
        for (unsigned i = 0; i != 16; ++i)
            page[kGhcbValid + i] = 0xff;
        input.insert(input.end(), page.begin(), page.end());
        all.push_back(input);
    }
    return all;
}

}  // namespace
}  // namespace prologue::test

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    prologue::test::write_seeds_if_asked(*argc, *argv, prologue::test::seeds);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    prologue::test::try_vc(data, size);
    return 0;
}
