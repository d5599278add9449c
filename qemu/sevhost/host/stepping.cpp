#include "stepping.h"

#include "operand.h"
#include "page_walk.h"
#include "svm_exits.h"

namespace sevhost {
namespace {

constexpr uint32_t kInterceptDb = 1u << kVectorDb;
constexpr uint64_t kDr6AtReset = 0xffff0ff0;
constexpr uint8_t kPushf = 0x9c, kPopf = 0x9d, kIret = 0xcf;
constexpr uint8_t kTfInSecondByte = 1 << 0; // bit 8 of the flags

const Guest* stepped; // nullptr: none
bool pushes_flags;

struct FlagsInstruction {
    uint8_t opcode = 0;
    unsigned bytes = 0; // of each value that it pushes or pops
};

FlagsInstruction flags_instruction_at(const Guest& guest) {
    constexpr uint8_t kOperandPrefix = 0x66, kRexMask = 0xf0, kRex = 0x40, kRexW = 8;
    const Code code = fetch_instruction(guest);
    const CodeBits bits = code_bits(guest);
    bool wide = false, other = false;
    unsigned i = 0;
    for (; i != code.count; ++i) {
        if (code.bytes[i] == kOperandPrefix)
            other = true;
        else if (bits == CodeBits::code64 && (code.bytes[i] & kRexMask) == kRex)
            wide = code.bytes[i] & kRexW;
        else
            break;
    }
    FlagsInstruction found;
    if (i == code.count)
        return found;
    found.opcode = code.bytes[i];
    if (wide || (bits == CodeBits::code64 && found.opcode != kIret))
        found.bytes = 8;
    else
        found.bytes = (bits == CodeBits::code16) != other ? 2 : 4;
    return found;
}

uint64_t stack_base(const Guest& guest) {
    return guest.in_64_bit_code() ? 0 : guest.save().ss.base;
}

void change_flags_on_stack(Guest& guest, uint64_t offset, bool set) {
    const uint64_t at = stack_base(guest) + guest.gprs[rsp] + offset + 1;
    uint8_t byte = 0;
    if (!read_linear(guest, at, &byte, 1))
        return;
    byte = static_cast<uint8_t>(set ? byte | kTfInSecondByte : byte & ~kTfInSecondByte);
    write_linear(guest, at, &byte, 1);
}

} // namespace

void step(Guest& guest, bool on) {
    stepped = on ? &guest : nullptr;
    if (on)
        guest.vmcb->control.exceptions |= kInterceptDb;
    else
        guest.vmcb->control.exceptions &= ~kInterceptDb;
}

bool is_stepping(const Guest& guest) {
    return stepped == &guest;
}

void begin_step(Guest& guest) {
    if (!is_stepping(guest))
        return;
    pushes_flags = false;
    const FlagsInstruction found = flags_instruction_at(guest);
    pushes_flags = found.opcode == kPushf;
    if (found.opcode == kPopf)
        change_flags_on_stack(guest, 0, true);
    if (found.opcode == kIret)
        change_flags_on_stack(guest, 2 * found.bytes, true);
    guest.save().rflags |= kFlagTf;
}

bool end_step(Guest& guest) {
    if (!is_stepping(guest))
        return false;
    guest.save().rflags &= ~kFlagTf;
    if (guest.vmcb->control.exit_code != exit::kDb)
        return false;
    guest.save().dr6 = kDr6AtReset;
    if (pushes_flags)
        change_flags_on_stack(guest, 0, false);
    return true;
}

} // namespace sevhost
