// What tests of #VC have in common: a frame, code, and a host by script.
#pragma once

#include "decode.h"
#include "scripted_host.h"

#include <gtest/gtest.h>

namespace prologue::test {

using Bytes = std::vector<uint8_t>;

inline Instruction decoded(Bytes bytes) {
    bytes.resize(15);
    return decode(bytes.data());
}

struct VcTest : testing::Test {
    ScriptedHost host;
    Frame64 frame = {};
    Bytes code;

    VcTest() {
        frame.cs = 8;
        frame.rax = frame.rbx = frame.rcx = frame.rdx = frame.rdi = frame.rsi = 0x1122334455667788;
    }
    unsigned run(uint64_t error, Bytes bytes) {
        code = std::move(bytes);
        const size_t length = code.size();
        code.resize(32, 0x90);
        frame.error = error;
        frame.rip = reinterpret_cast<uint64_t>(code.data());
        const unsigned vector = handle_vc(frame);
        EXPECT_EQ(frame.rip - reinterpret_cast<uint64_t>(code.data()), vector == 0 ? length : 0);
        return vector;
    }
    std::optional<unsigned> end(uint64_t error, Bytes bytes) {
        return end_of([&] { run(error, std::move(bytes)); });
    }
    void answer(std::initializer_list<std::pair<unsigned, uint64_t>> fields) {
        const std::vector<std::pair<unsigned, uint64_t>> kept(fields);
        host.on_page = [this, kept] {
            host.done();
            for (const auto& [offset, value] : kept)
                host.set(offset, value);
        };
    }
    const PageRequest& asked() { return host.page_requests.at(0); }
};

} // namespace prologue::test
