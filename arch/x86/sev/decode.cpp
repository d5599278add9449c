#include "decode.h"

namespace prologue {
namespace {

constexpr unsigned kLongest = 15;

// The instruction's bytes, one after the other, with its prefixes behind it.
class Decoder {
public:
    explicit Decoder(const uint8_t* bytes) : bytes_(bytes) {}

    Instruction run() {
        const uint8_t opcode = prefixes();
        out_.rep = repeat_ != 0;
        out_.segment = segment_;
        out_.address_bytes = short_address_ ? 4 : 8;
        out_.op = opcode == 0x0f ? two_bytes(next()) : one_byte(opcode);
        if (used_ > kLongest || locked_)
            out_.op = Op::none;
        out_.length = static_cast<uint8_t>(used_);
        return out_;
    }

private:
    // Behind the longest instruction there is, nothing is read.
    uint8_t next() {
        const unsigned at = used_++;
        return at < kLongest ? bytes_[at] : 0;
    }

    int64_t next_signed(unsigned bytes) {
        uint64_t value = 0;
        for (unsigned i = 0; i != bytes; ++i)
            value |= uint64_t{next()} << 8 * i;
        const unsigned unused = 64 - 8 * bytes;
        return static_cast<int64_t>(value << unused) >> unused;
    }

    // The opcode's first byte. A REX prefix counts only right before it.
    uint8_t prefixes() {
        for (;;) {
            const uint8_t byte = next();
            if ((byte & 0xf0) == 0x40) {
                rex_ = byte;
                has_rex_ = true;
                continue;
            }
            switch (byte) {
            case 0x26: // ES, CS, SS, DS: all flat in 64-bit mode
            case 0x2e:
            case 0x36:
            case 0x3e:
                break;
            case 0x64:
                segment_ = SegmentBase::fs;
                break;
            case 0x65:
                segment_ = SegmentBase::gs;
                break;
            case 0x66:
                short_operand_ = true;
                break;
            case 0x67:
                short_address_ = true;
                break;
            case 0xf0:
                locked_ = true;
                break;
            case 0xf2:
            case 0xf3:
                repeat_ = byte;
                break;
            default:
                return byte;
            }
            has_rex_ = false;
            rex_ = 0;
            if (used_ > kLongest)
                return 0;
        }
    }

    bool wide() const { return (rex_ & 8) != 0; }
    uint8_t operand_bytes() const { return wide() ? 8 : short_operand_ ? 2 : 4; }

    // Ports are 32 bits wide at most.
    uint8_t port_bytes(uint8_t opcode) const {
        return (opcode & 1) == 0 ? 1 : short_operand_ ? 2 : 4;
    }

    void set_register(uint8_t number, unsigned bytes) {
        out_.high_byte = bytes == 1 && !has_rex_ && number >= 4;
        out_.reg = out_.high_byte ? number - 4 : number;
    }

    // ModRM with what belongs to it; false where it names a register.
    bool memory_operand() {
        const uint8_t modrm = next();
        const unsigned mod = modrm >> 6, rm = modrm & 7;
        reg_ = static_cast<uint8_t>((modrm >> 3 & 7) | (rex_ & 4) << 1);
        if (mod == 3)
            return false;
        MemoryOperand& memory = out_.memory;
        bool no_base = false;
        memory.base = static_cast<uint8_t>(rm | (rex_ & 1) << 3);
        if (rm == 4) {
            const uint8_t sib = next();
            const auto index = static_cast<uint8_t>((sib >> 3 & 7) | (rex_ & 2) << 2);
            memory.base = static_cast<uint8_t>((sib & 7) | (rex_ & 1) << 3);
            memory.index = index == 4 ? kNoRegister : index;
            memory.shift = sib >> 6;
            no_base = (sib & 7) == 5 && mod == 0;
            if (no_base)
                memory.base = kNoRegister;
        } else if (rm == 5 && mod == 0) {
            no_base = true;
            memory.base = kRipRegister;
        }
        if (mod == 1)
            memory.displacement = next_signed(1);
        else if (mod == 2 || no_base)
            memory.displacement = next_signed(4);
        out_.has_memory = true;
        return true;
    }

    Op with_memory(Op op, unsigned bytes, unsigned register_bytes) {
        if (!memory_operand())
            return Op::none;
        out_.bytes = static_cast<uint8_t>(bytes);
        out_.register_bytes = static_cast<uint8_t>(register_bytes);
        set_register(reg_, register_bytes);
        return op;
    }

    Op immediate_store(unsigned bytes) {
        if (!memory_operand() || (reg_ & 7) != 0)
            return Op::none;
        out_.bytes = static_cast<uint8_t>(bytes);
        out_.immediate = static_cast<uint64_t>(next_signed(bytes < 4 ? bytes : 4));
        return Op::store_immediate;
    }

    // AL to RAX, and memory at an address in the instruction.
    Op direct(Op op, unsigned bytes) {
        out_.memory.displacement = next_signed(out_.address_bytes);
        out_.has_memory = true;
        out_.bytes = out_.register_bytes = static_cast<uint8_t>(bytes);
        out_.reg = 0;
        return op;
    }

    Op port(Op op, uint8_t opcode, bool in_dx) {
        out_.bytes = port_bytes(opcode);
        out_.port_in_dx = in_dx;
        if (!in_dx && (op == Op::in || op == Op::out))
            out_.port = next();
        return op;
    }

    Op one_byte(uint8_t opcode) {
        const uint8_t bytes = (opcode & 1) == 0 ? 1 : operand_bytes();
        switch (opcode) {
        case 0x63:
            return with_memory(Op::load_sign, 4, operand_bytes());
        case 0x6c:
        case 0x6d:
            return port(Op::ins, opcode, true);
        case 0x6e:
        case 0x6f:
            return port(Op::outs, opcode, true);
        case 0x88:
        case 0x89:
            return with_memory(Op::store, bytes, bytes);
        case 0x8a:
        case 0x8b:
            return with_memory(Op::load, bytes, bytes);
        case 0xa0:
        case 0xa1:
            return direct(Op::load, bytes);
        case 0xa2:
        case 0xa3:
            return direct(Op::store, bytes);
        case 0xaa:
        case 0xab:
            out_.bytes = bytes;
            return Op::stos;
        case 0xc6:
        case 0xc7:
            return immediate_store(bytes);
        case 0xe4:
        case 0xe5:
            return port(Op::in, opcode, false);
        case 0xe6:
        case 0xe7:
            return port(Op::out, opcode, false);
        case 0xec:
        case 0xed:
            return port(Op::in, opcode, true);
        case 0xee:
        case 0xef:
            return port(Op::out, opcode, true);
        }
        return Op::none;
    }

    static Op group_7(uint8_t modrm) {
        switch (modrm) {
        case 0xc8:
            return Op::monitor;
        case 0xc9:
            return Op::mwait;
        case 0xd9:
            return Op::vmmcall;
        case 0xf9:
            return Op::rdtscp;
        }
        return Op::none;
    }

    // MOV from and to debug registers takes the second byte for a register whatever
    // its upper bits are.
    Op debug_register(Op op) {
        const uint8_t modrm = next();
        out_.reg = static_cast<uint8_t>((modrm & 7) | (rex_ & 1) << 3);
        const bool is_dr7 = (modrm >> 3 & 7) == 7 && (rex_ & 4) == 0;
        return is_dr7 ? op : Op::none;
    }

    Op two_bytes(uint8_t opcode) {
        switch (opcode) {
        case 0x01:
            return repeat_ == 0 ? group_7(next()) : Op::none; // VMGEXIT is no VMMCALL
        case 0x08:
            return Op::invd;
        case 0x09:
            return Op::wbinvd;
        case 0x21:
            return debug_register(Op::read_dr7);
        case 0x23:
            return debug_register(Op::write_dr7);
        case 0x30:
            return Op::wrmsr;
        case 0x31:
            return Op::rdtsc;
        case 0x32:
            return Op::rdmsr;
        case 0x33:
            return Op::rdpmc;
        case 0xa2:
            return Op::cpuid;
        case 0xb6:
        case 0xb7:
            return with_memory(Op::load_zero, opcode & 1 ? 2 : 1, operand_bytes());
        case 0xbe:
        case 0xbf:
            return with_memory(Op::load_sign, opcode & 1 ? 2 : 1, operand_bytes());
        }
        return Op::none;
    }

    const uint8_t* bytes_;
    unsigned used_ = 0;
    uint8_t rex_ = 0, repeat_ = 0, reg_ = 0;
    bool has_rex_ = false, short_operand_ = false, short_address_ = false, locked_ = false;
    SegmentBase segment_ = SegmentBase::flat;
    Instruction out_;
};

}  // namespace

Instruction decode(const uint8_t* bytes) {
    return Decoder(bytes).run();
}

}  // namespace prologue
