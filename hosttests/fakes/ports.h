// Port I/O that is written down: comes before arch/x86/cpu/ports.h in the host's
// include path.
#pragma once

#include <cstdint>
#include <vector>

namespace prologue {

struct FakePorts {
    struct Write {
        uint16_t port;
        uint8_t value;
        bool operator==(const Write&) const = default;
    };
    std::vector<Write> writes;
    uint8_t reads_as = 0xff; // as where no device answers
    uint64_t reads = 0;
};
inline FakePorts fake_ports;

inline void out8(uint16_t port, uint8_t value) {
    fake_ports.writes.push_back({port, value});
}

inline uint8_t in8(uint16_t) {
    ++fake_ports.reads;
    return fake_ports.reads_as;
}

} // namespace prologue
