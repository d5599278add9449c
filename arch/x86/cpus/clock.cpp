// Sources: SDM vol. 3, 18.7.3 and CPUID leaves 15 and 16; VMware's and KVM's leaf 40000010; Intel
// 8254 and the PC's port 61.
#include "clock.h"

#include "ports.h"

namespace prologue {
namespace {

constexpr uint32_t kTscLeaf = 0x15, kFrequencyLeaf = 0x16;
constexpr uint32_t kHypervisor = 0x40000000, kHypervisorTiming = 0x40000010;
constexpr uint64_t kPlausible = 100 * 1000; // 100 MHz: less is no clock, but a port that floats
// Of a CPU whose clock nobody tells: a wait is then too long, and never too short.
constexpr uint64_t kFastest = 8 * 1000 * 1000;

constexpr uint16_t kPitChannel2 = 0x42, kPitMode = 0x43, kGate = 0x61;
constexpr uint8_t kGateOpen = 1, kSpeaker = 2, kOutput = 0x20;
constexpr uint8_t kOneShot = 0xb0; // channel 2, both bytes, mode 0
constexpr uint16_t kTenMs = 11932; // of 1.193182 MHz
constexpr uint64_t kMostTicks = 10 * 2 * kFastest;

struct Leaf {
    uint32_t eax, ebx, ecx, edx;
    explicit Leaf(uint32_t leaf) {
        asm volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(leaf), "c"(0));
    }
};

uint64_t by_cpuid() {
    const uint32_t most = Leaf(0).eax;
    if (most >= kTscLeaf) {
        const Leaf tsc(kTscLeaf);
        if (tsc.eax != 0 && tsc.ebx != 0 && tsc.ecx != 0)
            return uint64_t{tsc.ecx} * tsc.ebx / tsc.eax / 1000;
    }
    if (most >= kFrequencyLeaf)
        if (const uint64_t mhz = Leaf(kFrequencyLeaf).eax & 0xffff; mhz != 0)
            return mhz * 1000;
    return 0;
}

// The timer's second channel counts 10 ms down once; its output is bit 5 of port 61. Where there
// is none the port does not change, or has changed at once.
uint64_t by_timer() {
    const uint8_t before = in8(kGate);
    out8(kGate, static_cast<uint8_t>((before & ~kSpeaker) | kGateOpen));
    out8(kPitMode, kOneShot);
    out8(kPitChannel2, kTenMs & 0xff);
    const uint64_t start = read_tsc(); // before it begins: who is held up here waits too long
    out8(kPitChannel2, kTenMs >> 8);
    uint64_t ticks = 0;
    while ((in8(kGate) & kOutput) == 0 && ticks < kMostTicks)
        ticks = read_tsc() - start;
    out8(kGate, before);
    return ticks < kMostTicks ? ticks / 10 : 0;
}

uint64_t by_hypervisor() {
    if ((Leaf(1).ecx >> 31 & 1) == 0 || Leaf(kHypervisor).eax < kHypervisorTiming)
        return 0;
    return Leaf(kHypervisorTiming).eax; // kHz
}

} // namespace

Clock::Clock() {
    uint64_t ticks = by_cpuid();
    if (ticks < kPlausible)
        ticks = by_hypervisor();
    if (ticks < kPlausible)
        ticks = by_timer();
    ticks_a_ms_ = ticks < kPlausible ? kFastest : ticks;
}

} // namespace prologue
