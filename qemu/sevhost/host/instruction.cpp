#include "instruction.h"

namespace sevhost {
namespace {

constexpr uint8_t kLock = 0xf0;
constexpr uint8_t kRepne = 0xf2;
constexpr uint8_t kRep = 0xf3;
constexpr uint8_t kRexR = 4;
constexpr uint8_t kRexB = 1;
constexpr uint8_t kModRegister = 3;
constexpr unsigned kCr8 = 8;

struct Prefixes {
    bool lock = false;
    uint8_t repeat = 0;
    uint8_t rex = 0;
};

bool is_prefix(uint8_t byte) {
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case kLock:
    case kRepne:
    case kRep:
        return true;
    }
    return false;
}

// The bytes of 0F 01 with a register form (APM vol. 3, table A-2, group 7).
Op group7(uint8_t modrm, uint8_t repeat) {
    switch (modrm) {
    case 0xd9:
        return repeat == kRep || repeat == kRepne ? Op::vmgexit : Op::vmmcall;
    case 0xfe:
        return repeat == kRep ? Op::rmpadjust : Op::unknown;
    case 0xff:
        return repeat == kRepne ? Op::pvalidate : Op::unknown;
    }
    constexpr uint8_t kLmswReg = 6;
    return modrm >> 6 == kModRegister && (modrm >> 3 & 7) == kLmswReg ? Op::lmsw : Op::unknown;
}

Op two_byte(uint8_t opcode) {
    switch (opcode) {
    case 0x06:
        return Op::clts;
    case 0x20:
        return Op::mov_from_cr;
    case 0x22:
        return Op::mov_to_cr;
    case 0x30:
        return Op::wrmsr;
    case 0x32:
        return Op::rdmsr;
    case 0xa2:
        return Op::cpuid;
    }
    return Op::unknown;
}

} // namespace

Instruction decode(const uint8_t* bytes, unsigned count, bool long_mode) {
    Prefixes prefixes;
    unsigned at = 0;
    while (at != count && is_prefix(bytes[at])) {
        prefixes.lock |= bytes[at] == kLock;
        if (bytes[at] == kRep || bytes[at] == kRepne)
            prefixes.repeat = bytes[at];
        ++at;
    }
    if (long_mode && at != count && (bytes[at] & 0xf0) == 0x40)
        prefixes.rex = bytes[at++];

    Instruction found;
    if (at != count && bytes[at] == 0xf4) {
        found.op = Op::hlt;
        found.length = at + 1;
        return found;
    }
    if (count - at < 2 || bytes[at] != 0x0f)
        return found;
    const uint8_t opcode = bytes[at + 1];
    if (opcode != 0x01) {
        found.op = two_byte(opcode);
        found.length = at + 2;
        if (found.op != Op::mov_to_cr && found.op != Op::mov_from_cr)
            return found;
    }
    if (count - at < 3)
        return {};
    const uint8_t modrm = bytes[at + 2];
    found.length = at + 3;
    found.gpr = (modrm & 7u) | (prefixes.rex & kRexB ? 8u : 0u);
    if (opcode == 0x01) {
        found.op = group7(modrm, prefixes.repeat);
        return found;
    }
    // LOCK stands for bit 3 of the register's number, for CR8 outside long mode (vol. 3, MOV CRn).
    found.control_register = (modrm >> 3 & 7u) | (prefixes.rex & kRexR || prefixes.lock ? kCr8 : 0);
    return found;
}

} // namespace sevhost
