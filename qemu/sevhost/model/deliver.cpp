#include "deliver.h"

#include <string.h>

#include "page_walk.h"

namespace sevhost {
namespace {

// Types of a gate (4.8.3); in long mode those of 32 bits are of 64.
constexpr uint64_t kGateInterrupt32 = 0xe;
constexpr uint64_t kGateTrap32 = 0xf;
constexpr uint64_t kGateTypeMask = 0x1f; // with bit S, which a gate has clear
constexpr unsigned kGateTypeShift = 40;
constexpr unsigned kGatePresentShift = 47;
constexpr unsigned kGateIstShift = 32;

constexpr uint16_t kSelectorTable = 1 << 2; // LDT
constexpr uint16_t kSelectorRpl = 3;

// A descriptor's second word (4.7, 4.8)
constexpr uint32_t kDescriptorWritable = 1 << 9;
constexpr uint32_t kDescriptorConforming = 1 << 10;
constexpr uint32_t kDescriptorCode = 1 << 11;
constexpr uint32_t kDescriptorSystem = 1 << 12; // set for code and data
constexpr uint32_t kDescriptorPresent = 1 << 15;
constexpr uint32_t kDescriptorLong = 1 << 21;
constexpr uint32_t kDescriptorBig = 1 << 22;
constexpr uint32_t kDescriptorPages = 1 << 23;
constexpr unsigned kDescriptorDplShift = 13;

constexpr uint64_t kTss64Rsp0 = 4;
constexpr uint64_t kTss64Ist1 = 36;
constexpr uint64_t kTss32Esp0 = 4;
constexpr uint64_t kTss32Stride = 8;

constexpr uint64_t kRealModeVectorBytes = 4;
constexpr uint16_t kExpandDown = 1 << 2; // of a data segment's attributes

struct Failure {
    const char* what = nullptr;
    uint64_t number = 0;
    bool page_fault = false;
    uint32_t code = 0;

    explicit operator bool() const { return what != nullptr; }
};

Failure unreachable(const Reached& reached, const char* what) {
    return {what, reached.linear, reached.how == Reach::page_fault, reached.code};
}

struct Gate {
    uint64_t offset = 0;
    uint16_t selector = 0;
    unsigned ist = 0;
    bool interrupt = false; // clears IF
};

struct CodeSegment {
    VmcbSegment cache = {};
    unsigned dpl = 0;
    bool conforming = false;
};

bool canonical(const Processor& p, uint64_t address) {
    const unsigned unused = p.save().cr4 & kCr4La57 ? 7 : 16;
    const auto extended = static_cast<int64_t>(address << unused) >> unused;
    return static_cast<uint64_t>(extended) == address;
}

Failure read_gate(const Processor& p, unsigned vector, Gate& gate) {
    const VmcbSegment& idtr = p.save().idtr;
    const uint64_t bytes = p.long_mode() ? 16 : 8;
    const uint64_t offset = vector * bytes;
    if (offset + bytes - 1 > idtr.limit)
        return {"the IDT's limit leaves out the vector", idtr.limit};
    uint64_t words[2] = {};
    if (const Reached r = read_linear(p, idtr.base + offset, words, bytes); !r)
        return unreachable(r, "the gate cannot be read");
    const uint64_t type = words[0] >> kGateTypeShift & kGateTypeMask;
    if (type != kGateInterrupt32 && type != kGateTrap32)
        return {"the gate's type is neither interrupt nor trap of this mode", type};
    if (!(words[0] >> kGatePresentShift & 1))
        return {"the gate is not present", words[0]};
    gate.selector = static_cast<uint16_t>(words[0] >> 16);
    gate.offset = (words[0] & 0xffff) | (words[0] >> 32 & 0xffff0000);
    gate.interrupt = type == kGateInterrupt32;
    if (p.long_mode()) {
        gate.offset |= words[1] << 32;
        gate.ist = words[0] >> kGateIstShift & 7;
    }
    return {};
}

Failure read_descriptor(const Processor& p, uint16_t selector, uint64_t& descriptor) {
    const VmcbSave& save = p.save();
    const VmcbSegment& table = selector & kSelectorTable ? save.ldtr : save.gdtr;
    const uint64_t offset = selector & ~(kSelectorRpl | kSelectorTable);
    if (offset + sizeof descriptor - 1 > table.limit)
        return {"the selector lies behind its table's limit", selector};
    const Reached r = read_linear(p, table.base + offset, &descriptor, sizeof descriptor);
    return r ? Failure() : unreachable(r, "the descriptor cannot be read");
}

VmcbSegment cache_of(uint16_t selector, uint64_t descriptor) {
    const auto low = static_cast<uint32_t>(descriptor);
    const auto high = static_cast<uint32_t>(descriptor >> 32);
    VmcbSegment segment;
    segment.selector = selector;
    segment.attributes = static_cast<uint16_t>((high >> 8 & 0xff) | (high >> 12 & 0xf00));
    segment.limit = (low & 0xffff) | (high & 0xf0000);
    if (high & kDescriptorPages)
        segment.limit = segment.limit << 12 | 0xfff;
    segment.base = low >> 16 | (high & 0xff) << 16 | (high & 0xff000000);
    return segment;
}

Failure read_code_segment(const Processor& p, uint16_t selector, CodeSegment& code) {
    if ((selector & ~kSelectorRpl) == 0)
        return {"the gate's selector is null", selector};
    uint64_t descriptor = 0;
    if (const Failure failure = read_descriptor(p, selector, descriptor))
        return failure;
    const auto high = static_cast<uint32_t>(descriptor >> 32);
    constexpr uint32_t kCode = kDescriptorSystem | kDescriptorCode;
    if ((high & kCode) != kCode)
        return {"the gate's selector is none of code", selector};
    code.dpl = high >> kDescriptorDplShift & 3;
    if (code.dpl > p.save().cpl)
        return {"the handler's code segment has less privilege", code.dpl};
    if (p.long_mode() && (!(high & kDescriptorLong) || (high & kDescriptorBig)))
        return {"the handler's code segment is not a 64-bit one", selector};
    if (!(high & kDescriptorPresent))
        return {"the handler's code segment is not present", selector};
    code.conforming = (high & kDescriptorConforming) != 0;
    code.cache = cache_of(selector, descriptor);
    return {};
}

// Of the exceptions that come here, all but the double fault are faults.
uint64_t pushed_flags(const Processor& p, unsigned vector) {
    return p.save().rflags | (vector == kVectorDf ? 0 : kFlagRf);
}

void enter_handler(Processor& p, const Gate& gate, const CodeSegment& code, unsigned cpl) {
    VmcbSave& save = p.save();
    save.rflags &= ~(kFlagTf | kFlagNt | kFlagRf | kFlagVm | (gate.interrupt ? kFlagIf : 0));
    save.cs = code.cache;
    save.cs.selector = static_cast<uint16_t>((gate.selector & ~kSelectorRpl) | cpl);
    save.rip = gate.offset;
    save.cpl = static_cast<uint8_t>(cpl);
    p.vmcb->control.interrupt_shadow = 0;
}

// Which stack a 64-bit handler runs on (8.9.3).
Failure stack64(const Processor& p, const Gate& gate, unsigned cpl, uint64_t& stack) {
    const VmcbSave& save = p.save();
    stack = p.gprs[rsp];
    if (gate.ist != 0 || cpl != save.cpl) {
        const uint64_t offset = gate.ist != 0 ? kTss64Ist1 + 8 * (gate.ist - 1)
                                              : kTss64Rsp0 + 8 * cpl;
        if (offset + sizeof stack - 1 > save.tr.limit)
            return {"the TSS's limit leaves out the stack pointer", save.tr.limit};
        const Reached r = read_linear(p, save.tr.base + offset, &stack, sizeof stack);
        if (!r)
            return unreachable(r, "the TSS cannot be read");
    }
    if (!canonical(p, stack))
        return {"the stack pointer is not canonical", stack};
    return {};
}

// What is pushed: where there is no error code, all but the first word.
struct Event {
    unsigned vector;
    uint32_t error_code;
    bool with_code;
};

Failure deliver64(Processor& p, const Event& event, const Gate& gate, const CodeSegment& code) {
    VmcbSave& save = p.save();
    if (!canonical(p, gate.offset))
        return {"the handler's address is not canonical", gate.offset};
    const unsigned cpl = code.conforming ? save.cpl : code.dpl;
    uint64_t stack = 0;
    if (const Failure failure = stack64(p, gate, cpl, stack))
        return failure;
    const uint64_t frame[] = {event.error_code, save.rip,
                              save.cs.selector, pushed_flags(p, event.vector),
                              p.gprs[rsp],      save.ss.selector};
    const unsigned skipped = event.with_code ? 0 : 1;
    const uint64_t bytes = sizeof frame - skipped * sizeof frame[0];
    stack = (stack & ~uint64_t{15}) - bytes;
    if (const Reached r = write_linear(p, stack, frame + skipped, bytes, cpl == 3); !r)
        return unreachable(r, "the stack cannot be written");
    p.gprs[rsp] = stack;
    if (cpl != save.cpl) // a null SS with the new RPL
        save.ss = {static_cast<uint16_t>(cpl), static_cast<uint16_t>(cpl << kSegmentDplShift), 0,
                   0};
    enter_handler(p, gate, code, cpl);
    return {};
}

// The stack of a more privileged handler, from a 32-bit TSS (8.7.3).
Failure inner_stack32(const Processor& p, unsigned cpl, VmcbSegment& ss, uint64_t& esp) {
    const VmcbSave& save = p.save();
    const uint64_t offset = kTss32Esp0 + kTss32Stride * cpl;
    uint32_t pointer[2];
    if (offset + sizeof pointer - 1 > save.tr.limit)
        return {"the TSS's limit leaves out the stack pointer", save.tr.limit};
    if (const Reached r = read_linear(p, save.tr.base + offset, pointer, sizeof pointer); !r)
        return unreachable(r, "the TSS cannot be read");
    esp = pointer[0];
    const auto selector = static_cast<uint16_t>(pointer[1]);
    if ((selector & ~kSelectorRpl) == 0)
        return {"the TSS's stack segment is null", selector};
    uint64_t descriptor = 0;
    if (const Failure failure = read_descriptor(p, selector, descriptor))
        return failure;
    const auto high = static_cast<uint32_t>(descriptor >> 32);
    constexpr uint32_t kKind = kDescriptorSystem | kDescriptorCode | kDescriptorWritable;
    if ((high & kKind) != (kDescriptorSystem | kDescriptorWritable) ||
        (high >> kDescriptorDplShift & 3) != cpl || (selector & kSelectorRpl) != cpl)
        return {"the TSS's stack segment is no writable one of the handler's privilege", selector};
    if (!(high & kDescriptorPresent))
        return {"the TSS's stack segment is not present", selector};
    ss = cache_of(selector, descriptor);
    return {};
}

bool fits_segment(const VmcbSegment& ss, uint64_t bottom, uint64_t bytes) {
    const uint64_t top = bottom + bytes - 1;
    if (ss.attributes & kExpandDown)
        return bottom > ss.limit && top <= (ss.attributes & kSegmentBig ? 0xffffffff : 0xffff);
    return top <= ss.limit;
}

Failure deliver32(Processor& p, const Event& event, const Gate& gate, const CodeSegment& code) {
    VmcbSave& save = p.save();
    if (save.rflags & kFlagVm)
        return {"the guest is in virtual-8086 mode, which this host does not deliver from", 0};
    if (gate.offset > code.cache.limit)
        return {"the handler lies behind its segment's limit", gate.offset};
    const unsigned cpl = code.conforming ? save.cpl : code.dpl;
    VmcbSegment ss = save.ss;
    uint64_t esp = p.gprs[rsp];
    if (cpl != save.cpl)
        if (const Failure failure = inner_stack32(p, cpl, ss, esp))
            return failure;
    const uint32_t frame[] = {event.error_code,
                              static_cast<uint32_t>(save.rip),
                              save.cs.selector,
                              static_cast<uint32_t>(pushed_flags(p, event.vector)),
                              static_cast<uint32_t>(p.gprs[rsp]),
                              save.ss.selector};
    const unsigned skipped = event.with_code ? 0 : 1;
    const uint64_t bytes = ((cpl != save.cpl ? 6 : 4) - skipped) * sizeof frame[0];
    const uint64_t mask = ss.attributes & kSegmentBig ? 0xffffffff : 0xffff;
    const uint64_t bottom = (esp - bytes) & mask;
    if (!fits_segment(ss, bottom, bytes))
        return {"the stack's segment ends before the frame", bottom};
    if (const Reached r = write_linear(p, (ss.base + bottom) & 0xffffffff, frame + skipped, bytes,
                                       cpl == 3);
        !r)
        return unreachable(r, "the stack cannot be written");
    p.gprs[rsp] = (esp & ~mask) | bottom;
    save.ss = ss;
    enter_handler(p, gate, code, cpl);
    return {};
}

// Real mode's vectors are far pointers, and no error code is pushed (8.6.1).
Failure deliver_real(Processor& p, unsigned vector) {
    VmcbSave& save = p.save();
    const uint64_t offset = vector * kRealModeVectorBytes;
    if (offset + kRealModeVectorBytes - 1 > save.idtr.limit)
        return {"the table of interrupt vectors ends before it", save.idtr.limit};
    uint16_t pointer[2];
    if (const Reached r = read_linear(p, save.idtr.base + offset, pointer, sizeof pointer); !r)
        return unreachable(r, "the vector cannot be read");
    const uint16_t frame[] = {static_cast<uint16_t>(save.rip), save.cs.selector,
                              static_cast<uint16_t>(save.rflags)};
    const uint64_t bottom = (p.gprs[rsp] - sizeof frame) & 0xffff;
    if (const Reached r = write_linear(p, save.ss.base + bottom, frame, sizeof frame); !r)
        return unreachable(r, "the stack cannot be written");
    p.gprs[rsp] = (p.gprs[rsp] & ~uint64_t{0xffff}) | bottom;
    save.rflags &= ~(kFlagIf | kFlagTf | kFlagRf);
    save.cs.selector = pointer[1];
    save.cs.base = uint64_t{pointer[1]} << 4;
    save.rip = pointer[0];
    p.vmcb->control.interrupt_shadow = 0;
    return {};
}

Failure try_deliver(Processor& p, const Event& event) {
    const unsigned vector = event.vector;
    if (!(p.save().cr0 & kCr0Pe))
        return deliver_real(p, vector);
    Gate gate;
    CodeSegment code;
    if (const Failure failure = read_gate(p, vector, gate))
        return failure;
    if (const Failure failure = read_code_segment(p, gate.selector, code))
        return failure;
    return p.long_mode() ? deliver64(p, event, gate, code) : deliver32(p, event, gate, code);
}

} // namespace

Delivery deliver_exception(Processor& processor, unsigned vector, uint32_t error_code,
                           bool with_code) {
    Delivery delivery;
    while (delivery.count != kMaxDeliveryAttempts) {
        const Failure failure = try_deliver(processor, {vector, error_code, with_code});
        with_code = true; // of what comes of a failure
        delivery.attempt[delivery.count++] = {vector,         error_code,         failure.what,
                                              failure.number, failure.page_fault, failure.code};
        if (!failure)
            return delivery;
        if (vector == kVectorDf)
            break;
        if (failure.page_fault && vector != kVectorPf) {
            processor.save().cr2 = failure.number;
            vector = kVectorPf;
            error_code = failure.code;
        } else {
            vector = kVectorDf;
            error_code = 0;
        }
    }
    delivery.shutdown = true;
    return delivery;
}

} // namespace sevhost
