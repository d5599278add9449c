#include "decode.h"

namespace prologue {
namespace {

constexpr unsigned kLongest = 15;

// Where an instruction's operands are.
enum class Form : uint8_t {
    alone, // nowhere, or always in the same registers
    debug_register,
    doubleword, // ModRM, with 32 bits in memory and a register as wide as operands are
    // From here on the opcode's lowest bit says how wide they are.
    narrow, // the same with 8 or 16 bits in memory
    memory, // ModRM
    memory_immediate,
    direct,  // AL to RAX, and memory at an address in the instruction
    pointer, // AL to RAX, and memory at RDI
    port,    // in DX
    port_immediate,
};

constexpr uint8_t kTwoBytes = 0x0f, kGroup7 = 0x01; // the latter in the former's opcodes

// Two bytes are what leads to the opcode's last byte, and that.
constexpr struct {
    uint16_t opcode;
    Op op;
    Form form;
} kOpcodes[] = {
    {0x0063, Op::load_sign, Form::doubleword},
    {0x006c, Op::ins, Form::port},
    {0x006e, Op::outs, Form::port},
    {0x0088, Op::store, Form::memory},
    {0x008a, Op::load, Form::memory},
    {0x00a0, Op::load, Form::direct},
    {0x00a2, Op::store, Form::direct},
    {0x00aa, Op::stos, Form::pointer},
    {0x00c6, Op::store_immediate, Form::memory_immediate},
    {0x00e4, Op::in, Form::port_immediate},
    {0x00e6, Op::out, Form::port_immediate},
    {0x00ec, Op::in, Form::port},
    {0x00ee, Op::out, Form::port},
    {0x01c8, Op::monitor, Form::alone},
    {0x01c9, Op::mwait, Form::alone},
    {0x01d9, Op::vmmcall, Form::alone},
    {0x01f9, Op::rdtscp, Form::alone},
    {0x0f08, Op::invd, Form::alone},
    {0x0f09, Op::wbinvd, Form::alone},
    {0x0f21, Op::read_dr7, Form::debug_register},
    {0x0f23, Op::write_dr7, Form::debug_register},
    {0x0f30, Op::wrmsr, Form::alone},
    {0x0f31, Op::rdtsc, Form::alone},
    {0x0f32, Op::rdmsr, Form::alone},
    {0x0f33, Op::rdpmc, Form::alone},
    {0x0fa2, Op::cpuid, Form::alone},
    {0x0fb6, Op::load_zero, Form::narrow},
    {0x0fbe, Op::load_sign, Form::narrow},
};

// The instruction's bytes, one after the other, with its prefixes behind it.
class Decoder {
public:
    explicit Decoder(const uint8_t* bytes) : bytes_(bytes) {}

    Instruction run() {
        const unsigned opcode = whole_opcode();
        out_.rep = repeat_ != 0;
        out_.segment = segment_;
        out_.address_bytes = short_address_ ? 4 : 8;
        for (const auto& known : kOpcodes) {
            const unsigned width = known.form >= Form::narrow ? opcode & 1 : 0;
            if (known.opcode == opcode - width && operands(known.form, width))
                out_.op = known.op;
        }
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

    // VMGEXIT is a VMMCALL with a prefix, and none of group 7's is served with one.
    unsigned whole_opcode() {
        unsigned opcode = prefixes();
        if (opcode == kTwoBytes)
            opcode = kTwoBytes << 8 | next();
        if (opcode == (kTwoBytes << 8 | kGroup7) && repeat_ == 0)
            opcode = kGroup7 << 8 | next();
        return opcode;
    }

    uint8_t operand_bytes(bool is_wide) const { return is_wide ? 8 : short_operand_ ? 2 : 4; }

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

    // False where this form of the opcode is none of those that are served.
    bool operands(Form form, unsigned width) {
        if (form == Form::alone)
            return true;
        if (form == Form::debug_register)
            return debug_register();
        // Ports are 32 bits wide at most.
        const bool is_wide = (rex_ & 8) != 0 && form < Form::port;
        const uint8_t whole = operand_bytes(is_wide);
        out_.bytes = out_.register_bytes = width != 0 ? whole : 1;
        switch (form) {
        case Form::doubleword:
            out_.bytes = 4;
            out_.register_bytes = whole;
            break;
        case Form::narrow:
            out_.bytes = static_cast<uint8_t>(1 + width);
            out_.register_bytes = whole;
            break;
        case Form::memory:
            break;
        case Form::memory_immediate:
            if (!memory_operand() || (reg_ & 7) != 0)
                return false;
            out_.immediate = static_cast<uint64_t>(next_signed(out_.bytes < 4 ? out_.bytes : 4));
            return true;
        case Form::direct:
            out_.memory.displacement = next_signed(out_.address_bytes);
            out_.has_memory = true;
            out_.reg = 0;
            return true;
        case Form::port:
            out_.port_in_dx = true;
            return true;
        case Form::port_immediate:
            out_.port = next();
            return true;
        default: // RDI points there
            return true;
        }
        const bool in_memory = memory_operand();
        set_register(reg_, out_.register_bytes);
        return in_memory;
    }

    // MOV from and to debug registers takes the second byte for a register whatever
    // its upper bits are.
    bool debug_register() {
        const uint8_t modrm = next();
        out_.reg = static_cast<uint8_t>((modrm & 7) | (rex_ & 1) << 3);
        return (modrm >> 3 & 7) == 7 && (rex_ & 4) == 0;
    }

    const uint8_t* bytes_;
    unsigned used_ = 0;
    uint8_t rex_ = 0, repeat_ = 0, reg_ = 0;
    bool has_rex_ = false, short_operand_ = false, short_address_ = false, locked_ = false;
    SegmentBase segment_ = SegmentBase::flat;
    Instruction out_;
};

} // namespace

Instruction decode(const uint8_t* bytes) {
    return Decoder(bytes).run();
}

} // namespace prologue
