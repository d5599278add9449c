#include "deliver.h"

#include <string.h>

#include "diagnosis.h"
#include "guest_access.h"

namespace sevhost {
namespace {

constexpr uint64_t kGateTypeMask = 0xf;
constexpr uint64_t kGateInterrupt32 = 0xe; // of 64 bits in long mode
constexpr uint64_t kGateTrap32 = 0xf;
constexpr unsigned kGateTypeShift = 40;
constexpr unsigned kGatePresentShift = 47;
constexpr unsigned kGateIstShift = 32;

constexpr uint16_t kSelectorTable = 1 << 2; // LDT
constexpr uint16_t kSelectorRpl = 3;

// A descriptor's second word (4.7, 4.8)
constexpr uint32_t kDescriptorCode = 1 << 11;
constexpr uint32_t kDescriptorConforming = 1 << 10;
constexpr uint32_t kDescriptorSystem = 1 << 12; // set for code and data
constexpr uint32_t kDescriptorPresent = 1 << 15;
constexpr uint32_t kDescriptorLong = 1 << 21;
constexpr uint32_t kDescriptorBig = 1 << 22;
constexpr uint32_t kDescriptorPages = 1 << 23;

constexpr uint64_t kFlagTf = 1 << 8;
constexpr uint64_t kFlagNt = 1 << 14;
constexpr uint64_t kFlagRf = 1 << 16;
constexpr uint64_t kFlagVm = 1 << 17;

constexpr uint64_t kTss64Rsp0 = 4;
constexpr uint64_t kTss64Ist1 = 36;
constexpr uint64_t kTss32Esp0 = 4;
constexpr uint64_t kTss32Stride = 8;

// Why a delivery failed: the exception that the processor would raise instead.
struct Failure {
    const char* what = nullptr;
    uint64_t number = 0;

    explicit operator bool() const { return what != nullptr; }
};

struct Gate {
    uint64_t offset;
    uint16_t selector;
    unsigned ist;
    bool interrupt; // clears IF
};

struct CodeSegment {
    VmcbSegment cache;
    unsigned dpl;
    bool conforming;
    bool long_mode;
};

bool in_long_mode(const Guest& guest) {
    return (guest.vmcb->save.efer & kEferLma) != 0;
}

bool canonical(const Guest& guest, uint64_t address) {
    const unsigned unused = guest.vmcb->save.cr4 & kCr4La57 ? 7 : 16;
    const auto extended = static_cast<int64_t>(address << unused) >> unused;
    return static_cast<uint64_t>(extended) == address;
}

Failure read_gate(const Guest& guest, unsigned vector, Gate& gate) {
    const VmcbSegment& idtr = guest.vmcb->save.idtr;
    const uint64_t bytes = in_long_mode(guest) ? 16 : 8;
    const uint64_t offset = vector * bytes;
    if (offset + bytes - 1 > idtr.limit)
        return {"the IDT's limit leaves out the vector", idtr.limit};
    uint64_t words[2] = {};
    if (!read_linear(guest, idtr.base + offset, words, bytes))
        return {"the gate is not mapped", idtr.base + offset};
    const uint64_t type = words[0] >> kGateTypeShift & 0x1f;
    if (type != kGateInterrupt32 && type != kGateTrap32)
        return {"the gate's type is neither interrupt nor trap", type};
    if (!(words[0] >> kGatePresentShift & 1))
        return {"the gate is not present", words[0]};
    gate.selector = static_cast<uint16_t>(words[0] >> 16);
    gate.offset = (words[0] & 0xffff) | (words[0] >> 32 & 0xffff0000);
    gate.interrupt = (type & kGateTypeMask) == kGateInterrupt32;
    if (in_long_mode(guest)) {
        gate.offset |= words[1] << 32;
        gate.ist = words[0] >> kGateIstShift & 7;
    }
    return {};
}

Failure read_descriptor(const Guest& guest, uint16_t selector, uint64_t& descriptor) {
    const VmcbSave& save = guest.vmcb->save;
    const VmcbSegment& table = selector & kSelectorTable ? save.ldtr : save.gdtr;
    const uint64_t offset = selector & ~(kSelectorRpl | kSelectorTable);
    if (offset + 7 > table.limit)
        return {"the selector lies behind its table's limit", selector};
    if (!read_linear(guest, table.base + offset, &descriptor, sizeof descriptor))
        return {"the descriptor is not mapped", table.base + offset};
    return {};
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

Failure read_code_segment(const Guest& guest, uint16_t selector, CodeSegment& code) {
    if ((selector & ~kSelectorRpl) == 0)
        return {"the gate's selector is null", selector};
    uint64_t descriptor = 0;
    if (const Failure failure = read_descriptor(guest, selector, descriptor))
        return failure;
    const auto high = static_cast<uint32_t>(descriptor >> 32);
    constexpr uint32_t kCode = kDescriptorSystem | kDescriptorCode;
    if ((high & kCode) != kCode)
        return {"the gate's selector is none of code", selector};
    if (!(high & kDescriptorPresent))
        return {"the handler's code segment is not present", selector};
    code.dpl = high >> 13 & 3;
    code.conforming = (high & kDescriptorConforming) != 0;
    code.long_mode = (high & kDescriptorLong) != 0;
    if (code.dpl > guest.vmcb->save.cpl)
        return {"the handler's code segment has less privilege", code.dpl};
    if (in_long_mode(guest) && (!code.long_mode || (high & kDescriptorBig)))
        return {"the handler's code segment is not a 64-bit one", selector};
    code.cache = cache_of(selector, descriptor);
    return {};
}

void set_flags_of_handler(VmcbSave& save, bool interrupt_gate) {
    save.rflags &= ~(kFlagTf | kFlagNt | kFlagRf | kFlagVm);
    if (interrupt_gate)
        save.rflags &= ~kFlagIf;
}

void enter_handler(Guest& guest, const Gate& gate, CodeSegment& code, unsigned cpl) {
    VmcbSave& save = guest.vmcb->save;
    set_flags_of_handler(save, gate.interrupt);
    code.cache.selector = static_cast<uint16_t>((gate.selector & ~kSelectorRpl) | cpl);
    save.cs = code.cache;
    save.rip = gate.offset;
    save.cpl = static_cast<uint8_t>(cpl);
    guest.vmcb->control.interrupt_shadow = 0;
}

Failure deliver64(Guest& guest, const Gate& gate, CodeSegment& code, uint32_t error_code) {
    VmcbSave& save = guest.vmcb->save;
    if (!canonical(guest, gate.offset))
        return {"the handler's address is not canonical", gate.offset};
    const unsigned cpl = code.conforming ? save.cpl : code.dpl;
    uint64_t stack = guest.gprs[rsp];
    if (gate.ist != 0 || cpl != save.cpl) {
        const uint64_t offset =
            gate.ist != 0 ? kTss64Ist1 + 8 * (gate.ist - 1) : kTss64Rsp0 + 8 * cpl;
        if (offset + 7 > save.tr.limit)
            return {"the TSS's limit leaves out the stack pointer", save.tr.limit};
        if (!read_linear(guest, save.tr.base + offset, &stack, sizeof stack))
            return {"the TSS is not mapped", save.tr.base + offset};
    }
    if (!canonical(guest, stack))
        return {"the stack pointer is not canonical", stack};
    stack &= ~uint64_t{15};
    const uint64_t frame[] = {error_code,  save.rip,        save.cs.selector,
                              save.rflags, guest.gprs[rsp], save.ss.selector};
    stack -= sizeof frame;
    if (!write_linear(guest, stack, frame, sizeof frame))
        return {"the stack is not mapped for writing", stack};
    guest.gprs[rsp] = stack;
    if (cpl != save.cpl)
        save.ss = {static_cast<uint16_t>(cpl), static_cast<uint16_t>(cpl << kSegmentDplShift), 0, 0};
    enter_handler(guest, gate, code, cpl);
    return {};
}

Failure inner_stack32(const Guest& guest, unsigned cpl, VmcbSegment& ss, uint64_t& esp) {
    const VmcbSave& save = guest.vmcb->save;
    const uint64_t offset = kTss32Esp0 + kTss32Stride * cpl;
    uint32_t pointer[2];
    if (offset + sizeof pointer - 1 > save.tr.limit)
        return {"the TSS's limit leaves out the stack pointer", save.tr.limit};
    if (!read_linear(guest, save.tr.base + offset, pointer, sizeof pointer))
        return {"the TSS is not mapped", save.tr.base + offset};
    esp = pointer[0];
    const auto selector = static_cast<uint16_t>(pointer[1]);
    uint64_t descriptor = 0;
    if (const Failure failure = read_descriptor(guest, selector, descriptor))
        return failure;
    ss = cache_of(selector, descriptor);
    return {};
}

Failure deliver32(Guest& guest, const Gate& gate, CodeSegment& code, uint32_t error_code) {
    VmcbSave& save = guest.vmcb->save;
    if (gate.offset > code.cache.limit)
        return {"the handler lies behind its segment's limit", gate.offset};
    const unsigned cpl = code.conforming ? save.cpl : code.dpl;
    VmcbSegment ss = save.ss;
    uint64_t esp = guest.gprs[rsp];
    if (cpl != save.cpl)
        if (const Failure failure = inner_stack32(guest, cpl, ss, esp))
            return failure;
    const uint32_t frame[] = {error_code,
                              static_cast<uint32_t>(save.rip),
                              save.cs.selector,
                              static_cast<uint32_t>(save.rflags),
                              static_cast<uint32_t>(guest.gprs[rsp]),
                              save.ss.selector};
    const uint64_t bytes = cpl != save.cpl ? sizeof frame : 4 * sizeof frame[0];
    const uint64_t mask = ss.attributes & kSegmentBig ? 0xffffffff : 0xffff;
    const uint64_t bottom = (esp - bytes) & mask;
    if (!write_linear(guest, (ss.base + bottom) & 0xffffffff, frame, bytes))
        return {"the stack is not mapped for writing", ss.base + bottom};
    guest.gprs[rsp] = (esp & ~mask) | bottom;
    save.ss = ss;
    enter_handler(guest, gate, code, cpl);
    return {};
}

Failure try_deliver(Guest& guest, unsigned vector, uint32_t error_code) {
    if (!(guest.vmcb->save.cr0 & kCr0Pe))
        return {"the guest is in real mode, whose vectors carry no error code", 0};
    Gate gate = {};
    CodeSegment code = {};
    if (const Failure failure = read_gate(guest, vector, gate))
        return failure;
    if (const Failure failure = read_code_segment(guest, gate.selector, code))
        return failure;
    return in_long_mode(guest) ? deliver64(guest, gate, code, error_code)
                               : deliver32(guest, gate, code, error_code);
}

void say_failure(unsigned vector, uint32_t error_code, const Failure& failure) {
    say("sevhost: exception ", decimal(vector), " with error code ", hex(error_code),
        " cannot be delivered: ", failure.what, " (", hex(failure.number), ")\n");
}

} // namespace

void deliver_exception(Guest& guest, unsigned vector, uint32_t error_code) {
    const Failure first = try_deliver(guest, vector, error_code);
    if (!first)
        return;
    say_failure(vector, error_code, first);
    if (vector != kVectorDf) {
        const Failure second = try_deliver(guest, kVectorDf, 0);
        if (!second)
            return;
        say_failure(kVectorDf, 0, second);
    }
    finish(guest, Outcome::shutdown, "shutdown at ", hex(guest.vmcb->save.rip),
           ": a double fault could not be delivered (APM vol. 2, 8.2.9)");
}

} // namespace sevhost
