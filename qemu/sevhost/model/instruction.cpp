#include "instruction.h"

namespace sevhost {
namespace {

constexpr uint8_t kRexW = 8;
constexpr uint8_t kRexR = 4;
constexpr uint8_t kRexX = 2;
constexpr uint8_t kRexB = 1;
constexpr uint8_t kModRegister = 3;
constexpr unsigned kCr8 = 8;

// Registers by number, as ModRM and SIB name them.
constexpr int8_t kBx = 3, kSp = 4, kBp = 5, kSi = 6, kDi = 7;

enum class Map : uint8_t { one_byte, two_byte, escape38, escape3a };

struct Prefixes {
    bool lock = false;
    bool operand = false;
    bool address = false;
    uint8_t repeat = 0; // 0xf2 or 0xf3
    uint8_t rex = 0;
    bool has_segment = false;
    Segment segment = kSegDs;
};

// The bytes, and no step behind their end.
class Reader {
public:
    Reader(const uint8_t* bytes, unsigned count) : bytes_(bytes), count_(count) {}

    bool failed() const { return failed_; }
    unsigned position() const { return at_; }
    uint8_t peek() const { return at_ < count_ ? bytes_[at_] : 0; }
    bool at_end() const { return at_ == count_; }
    uint8_t byte() {
        if (at_ == count_) {
            failed_ = true;
            return 0;
        }
        return bytes_[at_++];
    }
    // Little-endian and signed, of 1, 2, 4 or 8 bytes.
    int64_t number(unsigned bytes) {
        uint64_t value = 0;
        for (unsigned i = 0; i != bytes; ++i)
            value |= uint64_t{byte()} << 8 * i;
        const unsigned unused = 64 - 8 * bytes;
        return unused == 64 ? 0 : static_cast<int64_t>(value << unused) >> unused;
    }

private:
    const uint8_t* bytes_;
    unsigned count_;
    unsigned at_ = 0;
    bool failed_ = false;
};

bool take_prefix(uint8_t byte, Prefixes& prefixes) {
    auto segment = [&](Segment which) {
        prefixes.has_segment = true;
        prefixes.segment = which;
        return true;
    };
    switch (byte) {
    case 0x26:
        return segment(kSegEs);
    case 0x2e:
        return segment(kSegCs);
    case 0x36:
        return segment(kSegSs);
    case 0x3e:
        return segment(kSegDs);
    case 0x64:
        return segment(kSegFs);
    case 0x65:
        return segment(kSegGs);
    case 0x66:
        return prefixes.operand = true;
    case 0x67:
        return prefixes.address = true;
    case 0xf0:
        return prefixes.lock = true;
    case 0xf2:
    case 0xf3:
        prefixes.repeat = byte;
        return true;
    }
    return false;
}

Prefixes read_prefixes(Reader& reader, CodeBits bits) {
    Prefixes prefixes;
    while (!reader.at_end() && take_prefix(reader.peek(), prefixes))
        reader.byte();
    if (bits == CodeBits::code64 && (reader.peek() & 0xf0) == 0x40 && !reader.at_end())
        prefixes.rex = reader.byte();
    return prefixes;
}

unsigned address_bytes(CodeBits bits, const Prefixes& prefixes) {
    if (bits == CodeBits::code64)
        return prefixes.address ? 4 : 8;
    return (bits == CodeBits::code16) != prefixes.address ? 2 : 4;
}

// Of an immediate that follows the operand's size: never 8.
unsigned operand_bytes(CodeBits bits, const Prefixes& prefixes) {
    if (prefixes.rex & kRexW)
        return 4;
    return (bits == CodeBits::code16) != prefixes.operand ? 2 : 4;
}

// Which opcodes have a ModRM byte (APM vol. 3, appendix A).
bool has_modrm(Map map, uint8_t opcode) {
    if (map == Map::escape38 || map == Map::escape3a)
        return true;
    if (map == Map::two_byte)
        return !((opcode >= 0x04 && opcode <= 0x0c) || opcode == 0x0e ||
                 (opcode >= 0x30 && opcode <= 0x37) || opcode == 0x77 ||
                 (opcode >= 0x80 && opcode <= 0x8f) || (opcode >= 0xa0 && opcode <= 0xa2) ||
                 (opcode >= 0xa8 && opcode <= 0xaa) || (opcode >= 0xc8 && opcode <= 0xcf));
    if (opcode < 0x40)
        return (opcode & 7) < 4;
    return opcode == 0x62 || opcode == 0x63 || opcode == 0x69 || opcode == 0x6b ||
           (opcode >= 0x80 && opcode <= 0x8f) || opcode == 0xc0 || opcode == 0xc1 ||
           (opcode >= 0xc4 && opcode <= 0xc7) || (opcode >= 0xd0 && opcode <= 0xd3) ||
           (opcode >= 0xd8 && opcode <= 0xdf) || opcode == 0xf6 || opcode == 0xf7 ||
           opcode == 0xfe || opcode == 0xff;
}

// VEX and EVEX: they are not decoded. Outside of 64-bit code their first bytes are LES, LDS and
// BOUND, where no register follows.
bool is_vex(Map map, uint8_t opcode, uint8_t next, CodeBits bits) {
    return map == Map::one_byte && (opcode == 0x62 || opcode == 0xc4 || opcode == 0xc5) &&
           (bits == CodeBits::code64 || next >> 6 == kModRegister);
}

// Bytes of the immediate behind a ModRM operand.
unsigned immediate_bytes(Map map, uint8_t opcode, uint8_t modrm, unsigned operand) {
    const unsigned reg = modrm >> 3 & 7;
    if (map == Map::escape3a)
        return 1;
    if (map == Map::two_byte)
        return (opcode >= 0x70 && opcode <= 0x73) || opcode == 0xa4 || opcode == 0xac ||
                       opcode == 0xba || opcode == 0xc2 || (opcode >= 0xc4 && opcode <= 0xc6)
                   ? 1
                   : 0;
    if (map != Map::one_byte)
        return 0;
    switch (opcode) {
    case 0x6b:
    case 0x80:
    case 0x82:
    case 0x83:
    case 0xc0:
    case 0xc1:
    case 0xc6:
        return 1;
    case 0x69:
    case 0x81:
    case 0xc7:
        return operand;
    case 0xf6:
        return reg < 2 ? 1 : 0;
    case 0xf7:
        return reg < 2 ? operand : 0;
    }
    return 0;
}

// Bytes of the immediates of one-byte opcodes that have no ModRM.
unsigned plain_immediate_bytes(uint8_t opcode, unsigned operand, CodeBits bits, uint8_t rex) {
    const unsigned branch = bits == CodeBits::code64 ? 4 : operand;
    if (opcode < 0x40)
        return (opcode & 7) == 4 ? 1 : (opcode & 7) == 5 ? operand : 0;
    if ((opcode >= 0x70 && opcode <= 0x7f) || (opcode >= 0xb0 && opcode <= 0xb7) ||
        (opcode >= 0xe0 && opcode <= 0xe7) || opcode == 0x6a || opcode == 0xa8 || opcode == 0xcd ||
        opcode == 0xd4 || opcode == 0xd5 || opcode == 0xeb)
        return 1;
    if (opcode >= 0xb8 && opcode <= 0xbf)
        return rex & kRexW ? 8 : operand;
    if (opcode == 0x68 || opcode == 0xa9)
        return operand;
    if (opcode == 0xe8 || opcode == 0xe9)
        return branch;
    if (opcode == 0x9a || opcode == 0xea)
        return operand + 2;
    if (opcode == 0xc2 || opcode == 0xca)
        return 2;
    return opcode == 0xc8 ? 3 : 0;
}

// Addressing of 16-bit code (SDM vol. 2, table 2-1).
MemoryOperand modrm16(Reader& reader, uint8_t modrm) {
    static constexpr int8_t kBase[] = {kBx, kBx, kBp, kBp, kSi, kDi, kBp, kBx};
    static constexpr int8_t kIndex[] = {kSi,         kDi,         kSi,         kDi,
                                        kNoRegister, kNoRegister, kNoRegister, kNoRegister};
    const unsigned mod = modrm >> 6, rm = modrm & 7;
    MemoryOperand operand;
    operand.base = kBase[rm];
    operand.index = kIndex[rm];
    if (mod == 0 && rm == 6) {
        operand.base = kNoRegister;
        operand.displacement = reader.number(2);
    } else if (mod != 0) {
        operand.displacement = reader.number(mod == 1 ? 1 : 2);
    }
    if (operand.base == kBp)
        operand.segment = kSegSs;
    return operand;
}

MemoryOperand modrm32(Reader& reader, uint8_t modrm, uint8_t rex, CodeBits bits) {
    const unsigned mod = modrm >> 6;
    unsigned base = modrm & 7;
    MemoryOperand operand;
    const bool has_sib = base == 4;
    if (has_sib) {
        const uint8_t sib = reader.byte();
        const unsigned index = (sib >> 3 & 7u) | (rex & kRexX ? 8u : 0u);
        operand.scale = sib >> 6;
        if (index != static_cast<unsigned>(kSp))
            operand.index = static_cast<int8_t>(index);
        base = sib & 7;
    }
    const bool no_base = mod == 0 && base == 5;
    if (no_base) {
        operand.base = !has_sib && bits == CodeBits::code64 ? kRipRegister : kNoRegister;
        operand.displacement = reader.number(4);
        return operand;
    }
    operand.base = static_cast<int8_t>(base | (rex & kRexB ? 8u : 0u));
    if (mod != 0)
        operand.displacement = reader.number(mod == 1 ? 1 : 4);
    if (operand.base == kSp || operand.base == kBp)
        operand.segment = kSegSs;
    return operand;
}

MemoryOperand read_memory(Reader& reader, uint8_t modrm, CodeBits bits, const Prefixes& prefixes) {
    const unsigned bytes = address_bytes(bits, prefixes);
    MemoryOperand operand = bytes == 2 ? modrm16(reader, modrm)
                                       : modrm32(reader, modrm, prefixes.rex, bits);
    operand.present = true;
    operand.address_bytes = static_cast<uint8_t>(bytes);
    if (prefixes.has_segment)
        operand.segment = prefixes.segment;
    return operand;
}

// 0F 01 with registers (APM vol. 3, table A-2, group 7).
Op group7(uint8_t modrm, uint8_t repeat) {
    constexpr uint8_t kRepne = 0xf2, kRep = 0xf3, kLmswReg = 6;
    switch (modrm) {
    case 0xd1:
        return Op::xsetbv;
    case 0xf9:
        return Op::rdtscp;
    case 0xd9:
        return repeat != 0 ? Op::vmgexit : Op::vmmcall;
    case 0xfd:
        return Op::rdpru;
    case 0xfe:
        return repeat == kRep ? Op::rmpadjust : Op::unknown;
    case 0xff:
        return repeat == kRepne ? Op::pvalidate : Op::unknown;
    }
    return (modrm >> 3 & 7) == kLmswReg ? Op::lmsw : Op::unknown;
}

Op two_byte(uint8_t opcode, uint8_t modrm, uint8_t repeat) {
    switch (opcode) {
    case 0x01:
        return group7(modrm, repeat);
    case 0x06:
        return Op::clts;
    case 0x08:
        return Op::invd;
    case 0x20:
        return Op::mov_from_cr;
    case 0x22:
        return Op::mov_to_cr;
    case 0x30:
        return Op::wrmsr;
    case 0x31:
        return Op::rdtsc;
    case 0x32:
        return Op::rdmsr;
    case 0xa2:
        return Op::cpuid;
    }
    return Op::unknown;
}

// Instructions that go where SI or DI point.
void note_string(uint8_t opcode, Instruction& found) {
    const bool ins = opcode == 0x6c || opcode == 0x6d;
    const bool outs = opcode == 0x6e || opcode == 0x6f;
    const bool both = opcode >= 0xa4 && opcode <= 0xa7; // MOVS, CMPS
    const bool stos = opcode == 0xaa || opcode == 0xab;
    const bool lods = opcode == 0xac || opcode == 0xad;
    const bool scas = opcode == 0xae || opcode == 0xaf;
    found.at_rsi = outs || both || lods;
    found.at_rdi = ins || both || stos || scas;
}

void read_plain(Reader& reader, uint8_t opcode, CodeBits bits, const Prefixes& prefixes,
                Instruction& found) {
    if (opcode == 0xf4)
        found.op = Op::hlt;
    note_string(opcode, found);
    const unsigned bytes = address_bytes(bits, prefixes);
    if (found.at_rsi || found.at_rdi) {
        found.memory.address_bytes = static_cast<uint8_t>(bytes);
        found.memory.segment = prefixes.segment;
    }
    if (opcode >= 0xa0 && opcode <= 0xa3) { // MOV between the accumulator and an address
        found.memory.present = true;
        found.memory.address_bytes = static_cast<uint8_t>(bytes);
        found.memory.segment = prefixes.segment;
        found.memory.displacement = reader.number(bytes);
        return;
    }
    reader.number(plain_immediate_bytes(opcode, operand_bytes(bits, prefixes), bits, prefixes.rex));
}

void read_modrm(Reader& reader, Map map, uint8_t opcode, CodeBits bits, const Prefixes& prefixes,
                Instruction& found) {
    const uint8_t modrm = reader.byte();
    const bool control = map == Map::two_byte && (opcode & 0xfc) == 0x20; // MOV with CR or DR
    if (modrm >> 6 != kModRegister && !control)
        found.memory = read_memory(reader, modrm, bits, prefixes);
    found.gpr = (modrm & 7u) | (prefixes.rex & kRexB ? 8u : 0u);
    if (map == Map::two_byte) {
        const bool group7_memory = opcode == 0x01 && modrm >> 6 != kModRegister;
        found.op = group7_memory ? ((modrm >> 3 & 7) == 6 ? Op::lmsw : Op::unknown)
                                 : two_byte(opcode, modrm, prefixes.repeat);
    }
    // LOCK stands for bit 3 of the register's number, for CR8 outside long mode (vol. 3, MOV CRn).
    found.control_register = (modrm >> 3 & 7u) | (prefixes.rex & kRexR || prefixes.lock ? kCr8 : 0);
    reader.number(immediate_bytes(map, opcode, modrm, operand_bytes(bits, prefixes)));
}

uint8_t read_opcode(Reader& reader, Map& map) {
    map = Map::one_byte;
    const uint8_t opcode = reader.byte();
    if (opcode != 0x0f)
        return opcode;
    map = Map::two_byte;
    const uint8_t second = reader.byte();
    if (second != 0x38 && second != 0x3a)
        return second;
    map = second == 0x38 ? Map::escape38 : Map::escape3a;
    return reader.byte();
}

} // namespace

Instruction decode(const uint8_t* bytes, unsigned count, CodeBits bits) {
    Reader reader(bytes, count);
    const Prefixes prefixes = read_prefixes(reader, bits);
    Map map;
    const uint8_t opcode = read_opcode(reader, map);
    Instruction found;
    if (is_vex(map, opcode, reader.peek(), bits))
        return {};
    if (has_modrm(map, opcode))
        read_modrm(reader, map, opcode, bits, prefixes, found);
    else if (map == Map::two_byte)
        found.op = two_byte(opcode, 0, prefixes.repeat);
    else
        read_plain(reader, opcode, bits, prefixes, found);
    if (map == Map::two_byte && opcode >= 0x80 && opcode <= 0x8f) // Jcc
        reader.number(bits == CodeBits::code64 ? 4 : operand_bytes(bits, prefixes));
    if (reader.failed())
        return {};
    found.length = reader.position();
    return found;
}

} // namespace sevhost
