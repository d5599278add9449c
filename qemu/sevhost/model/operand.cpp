#include "operand.h"

namespace sevhost {
namespace {

constexpr uint64_t kMostOperandBytes = 64;

const VmcbSegment& segment_of(const Processor& p, Segment segment) {
    const VmcbSave& save = p.save();
    const VmcbSegment* const segments[] = {&save.es, &save.cs, &save.ss,
                                           &save.ds, &save.fs, &save.gs};
    return *segments[segment];
}

uint64_t linear_at(const Processor& p, Segment segment, uint64_t offset) {
    const bool flat = p.in_64_bit_code();
    if (flat && segment != kSegFs && segment != kSegGs)
        return offset;
    const uint64_t linear = segment_of(p, segment).base + offset;
    return flat ? linear : linear & 0xffffffff;
}

constexpr uint64_t mask_of(unsigned bytes) {
    return bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * bytes) - 1;
}

uint64_t register_of(const Processor& p, int8_t number, unsigned length) {
    if (number == kNoRegister)
        return 0;
    return number == kRipRegister ? p.save().rip + length : p.gprs[number];
}

uint64_t code_address(const Processor& p) {
    return linear_at(p, kSegCs, p.save().rip);
}

bool same_page(GuestPhys a, GuestPhys b) {
    return a / kPageBytes == b / kPageBytes;
}

bool reaches(const Processor& p, uint64_t linear, GuestPhys gpa) {
    const Translation t = look_up(p, linear);
    for (unsigned i = 0; i != t.steps; ++i)
        if (same_page(t.step[i].at, gpa))
            return true;
    return t.mapped && same_page(t.gpa, gpa);
}

// At `linear`, or in the page behind it, into which a long operand goes.
bool reaches_from(const Processor& p, uint64_t start, GuestPhys gpa, uint64_t& linear) {
    linear = start;
    if (reaches(p, linear, gpa))
        return true;
    const uint64_t next = (start + kMostOperandBytes) & ~(kPageBytes - 1);
    linear = next;
    return next > start && reaches(p, next, gpa);
}

} // namespace

CodeBits code_bits(const Processor& processor) {
    if (processor.in_64_bit_code())
        return CodeBits::code64;
    return processor.save().cs.attributes & kSegmentBig ? CodeBits::code32 : CodeBits::code16;
}

Instruction instruction_at(const Processor& processor) {
    const Code code = fetch_instruction(processor);
    return decode(code.bytes, code.count, code_bits(processor));
}

uint64_t linear_of(const Processor& p, const Instruction& instruction) {
    const MemoryOperand& m = instruction.memory;
    const uint64_t offset = register_of(p, m.base, instruction.length) +
                            (register_of(p, m.index, instruction.length) << m.scale) +
                            static_cast<uint64_t>(m.displacement);
    return linear_at(p, m.segment, offset & mask_of(m.address_bytes));
}

bool find_access(const Processor& p, GuestPhys gpa, bool fetch, uint64_t& linear) {
    if (reaches_from(p, code_address(p), gpa, linear) && fetch)
        return true;
    const Instruction found = instruction_at(p);
    const uint64_t mask = mask_of(found.memory.address_bytes);
    if (found.memory.present && reaches_from(p, linear_of(p, found), gpa, linear))
        return true;
    if (found.at_rsi &&
        reaches_from(p, linear_at(p, found.memory.segment, p.gprs[rsi] & mask), gpa, linear))
        return true;
    if (found.at_rdi && reaches_from(p, linear_at(p, kSegEs, p.gprs[rdi] & mask), gpa, linear))
        return true;
    const uint64_t pushed = p.in_64_bit_code() ? 8 : 4;
    const uint64_t stack = linear_at(p, kSegSs, p.gprs[rsp]);
    if (reaches_from(p, stack - pushed, gpa, linear) || reaches_from(p, stack, gpa, linear))
        return true;
    linear = code_address(p);
    return reaches(p, linear, gpa);
}

} // namespace sevhost
