// #VC in a guest whose host answers at random: any bytes at RIP, any error code, any page.
#include "decode.h"
#include "fuzzing.h"
#include "scripted_host.h"

#include <algorithm>
#include <sys/mman.h>

namespace prologue::test {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr unsigned kRegisters = 15;
constexpr uint64_t kDevice = 0xfffff000c0000000;
constexpr uint64_t kSegmentBase = 0x1000;
constexpr uint64_t kDirectionFlag = 0x400;

// Pages with nothing before and nothing behind them: a byte too many is a fault. They lie
// where 32-bit addresses reach.
struct Pages {
    uint8_t *begin, *end;
    explicit Pages(size_t pages) {
        const size_t bytes = pages * kPageBytes;
        auto* const all = static_cast<uint8_t*>(mmap(nullptr, bytes + 2 * kPageBytes, PROT_NONE,
                                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1,
                                                     0));
        begin = all + kPageBytes;
        end = begin + bytes;
        mprotect(begin, bytes, PROT_READ | PROT_WRITE);
    }
};

// What the input's first bytes say.
struct Head {
    uint8_t code[15];
    uint8_t error;
    uint8_t count_low, count_high;
    uint8_t offset;
    uint8_t choices;

    unsigned count() const { return (count_low | count_high << 8) % 2100; }
    bool page_stands() const { return (choices & 1) == 0; }
    bool downwards() const { return (choices & 2) != 0; }
};

// Answers out of the input, over and over.
struct Answers {
    const uint8_t* begin;
    size_t size, at = 0;
    void fill(uint8_t* to, size_t bytes) {
        while (bytes != 0 && size != 0) {
            const size_t part = std::min(bytes, size - at);
            std::memcpy(to, begin + at, part);
            to += part, bytes -= part;
            at = (at + part) % size;
        }
    }
};

// INS and OUTS: memory that just holds the string, and what went through the host's page.
class String {
public:
    String(const Head& head, const Instruction& instruction) : instruction_(instruction) {
        static Pages memory(3);
        if (instruction.op != Op::ins && instruction.op != Op::outs)
            return;
        count_ = instruction.rep ? head.count() : 1;
        const size_t bytes = this->bytes();
        begin_ = head.downwards() ? memory.begin : memory.end - bytes;
        first_ = head.downwards() ? begin_ + bytes - (bytes != 0 ? instruction.bytes : 0) : begin_;
        step_ = head.downwards() ? -int64_t{instruction.bytes} : int64_t{instruction.bytes};
        for (uint8_t* at = memory.begin; at != memory.end; ++at)
            *at = static_cast<uint8_t>((at - memory.begin) * 7);
    }

    void point(Frame64& frame, unsigned count_garbage) {
        uint64_t& pointer = in() ? frame.rdi : frame.rsi;
        pointer = address(0);
        frame.rcx = count_;
        if (instruction_.address_bytes == 4) // the upper halves do not count
            frame.rcx |= uint64_t{count_garbage} << 32, pointer |= uint64_t{count_garbage} << 32;
    }

    void seen(const ScriptedHost& host) {
        const uint64_t count = host.page_requests.back().get(kGhcbExitInfo2);
        const uint8_t* const buffer = host.page_requests.back().bytes.data() + kGhcbBuffer;
        append(in() ? host.page + kGhcbBuffer : buffer, count);
    }

    void check(const Frame64& frame) const {
        must(went_.size() == bytes(), "as many as were asked for");
        for (unsigned n = 0; n != count_; ++n)
            must(std::memcmp(first_ + n * step_, &went_[n * instruction_.bytes],
                             instruction_.bytes) == 0,
                 "what went through the page is what memory has");
        must((in() ? frame.rdi : frame.rsi) == address(count_) || count_ == 0,
             "the pointer is behind the string");
        must(!instruction_.rep || count_ == 0 || frame.rcx == 0, "the count is used up");
    }

private:
    bool in() const { return instruction_.op == Op::ins; }
    size_t bytes() const { return size_t{count_} * instruction_.bytes; }
    uint64_t address(unsigned element) const {
        const uint64_t flat = reinterpret_cast<uint64_t>(first_) +
                              static_cast<uint64_t>(step_ * int64_t{element});
        return in() || instruction_.segment == SegmentBase::flat ? flat : flat - kSegmentBase;
    }
    void append(const uint8_t* buffer, uint64_t count) {
        must(count <= kGhcbBufferBytes / instruction_.bytes, "the buffer holds it");
        went_.insert(went_.end(), buffer, buffer + count * instruction_.bytes);
    }

    const Instruction& instruction_;
    unsigned count_ = 0;
    uint8_t *begin_ = nullptr, *first_ = nullptr;
    int64_t step_ = 0;
    std::vector<uint8_t> went_;
};

bool is_string(const Instruction& i) {
    return i.op == Op::ins || i.op == Op::outs;
}

void try_vc(const uint8_t* data, size_t size) {
    static Pages code(1);
    Head head;
    if (size < sizeof head)
        return;
    std::memcpy(&head, data, sizeof head);
    const Instruction decoded = decode(head.code);
    must(decoded.length <= 16 || decoded.op == Op::none, "no instruction is that long");
    const size_t length = std::min<size_t>(decoded.length, sizeof head.code);
    std::memcpy(code.end - length, head.code, length);

    ScriptedHost host;
    Answers answers = {data + sizeof head, size - sizeof head};
    String string(head, decoded);
    host.on_page = [&] {
        answers.fill(host.page, sizeof host.page);
        if (is_string(decoded))
            string.seen(host);
    };
    host.on_msr = [&](uint64_t request) {
        uint64_t answer = request;
        answers.fill(reinterpret_cast<uint8_t*>(&answer), sizeof answer);
        return answer;
    };
    host.map(kDevice, 0xfec00000, false);
    host.fs_base = host.gs_base = is_string(decoded) ? kSegmentBase : 0;
    prologue_sev_state.page_stands = head.page_stands();
    Frame64 frame = {};
    uint64_t* const registers = &frame.r15;
    for (unsigned i = 0; i != kRegisters; ++i)
        registers[i] = kDevice + head.offset;
    frame.rcx = head.count() % 8; // a repeated store ends some day
    frame.rflags = head.downwards() ? kDirectionFlag : 0;
    if (is_string(decoded))
        string.point(frame, head.choices);
    frame.cs = 8;
    frame.error = head.error == 0xff ? VC_NESTED_FAULT : head.error;
    frame.rip = reinterpret_cast<uint64_t>(code.end - length);
    const uint64_t behind = reinterpret_cast<uint64_t>(code.end);
    const auto end = end_of([&] {
        const unsigned vector = handle_vc(frame);
        must(vector == 0 || vector == 6 || vector == 13, "only these are believable");
        must(vector != 0 || frame.rip == behind, "the instruction is left behind");
        must(decoded.op != Op::none, "what is no instruction is not served");
        if (is_string(decoded) && vector == 0)
            string.check(frame);
    });
    must(!end || *end < 0x40, "every end has a code of the list");
    if (!end)
        must(std::all_of(host.page, host.page + kGhcbSaveEnd, [](uint8_t b) { return b == 0; }),
             "the page is clean");
}

std::vector<Input> seeds() {
    std::vector<Input> all;
    const std::pair<Input, uint8_t> calls[] = {
        {{0x0f, 0xa2}, VC_CPUID},
        {{0x0f, 0x32}, VC_MSR},
        {{0xec}, VC_IOIO},
        {{0x8b, 0x07}, 0xff},
        {{0xf3, 0xab}, 0xff},
        {{0x0f, 0x23, 0xf8}, VC_DR7_WRITE},
        {{0x48, 0x0f, 0xbf, 0x44, 0x8f, 0x10}, 0xff},
        {{0x64, 0x6c}, VC_IOIO},
        {{0xf3, 0x6d}, VC_IOIO},
        {{0x66, 0xf3, 0x6d}, VC_IOIO},
        {{0x65, 0x6e}, VC_IOIO},
        {{0xf3, 0x67, 0x6f}, VC_IOIO},
        {{0x90}, VC_IOIO},
    };
    for (const auto& [bytes, error] : calls)
        for (uint8_t choices = 0; choices != 4; ++choices) {
            Input input = bytes;
            input.resize(15);
            input.insert(input.end(), {error, 3, choices, 0, choices});
            Input page(kPageBytes);
            for (unsigned i = 0; i != 16; ++i)
                page[kGhcbValid + i] = 0xff;
            input.insert(input.end(), page.begin(), page.end());
            all.push_back(input);
        }
    return all;
}

} // namespace
} // namespace prologue::test

BEGINS_WITH(prologue::test::seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    prologue::test::try_vc(data, size);
    return 0;
}
