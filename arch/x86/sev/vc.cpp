#include "vc.h"

#include "bits.h"
#include "decode.h"
#include "ghcb.h"
#include "msr_protocol.h"
#include "sev_state.h"
#include "vc_cpuid.h"
#include "vc_memory.h"

namespace prologue {
namespace {

constexpr uint64_t kLow32 = 0xffffffff;
constexpr uint64_t kDirectionFlag = 0x400;

// IOIO's information (APM vol. 2, 15.10.2)
constexpr unsigned kIoIn = 1, kIoString = 4, kIoRep = 8, kIoBytesShift = 4, kIoAddressShift = 6,
                   kIoSegmentShift = 10, kIoPortShift = 16;
constexpr unsigned kIoSegmentEs = 0, kIoSegmentDs = 3, kIoSegmentFs = 4;

struct Call {
    Frame64& frame;
    const Instruction& instruction;
};

uint64_t low(uint64_t value, unsigned bytes) {
    return bytes == 8 ? value : value & ((uint64_t{1} << 8 * bytes) - 1);
}

// Writing 32 bits of a register clears its upper half, fewer leave the rest.
void set_low(uint64_t& to, uint64_t value, unsigned bytes) {
    if (bytes >= 4)
        to = low(value, bytes);
    else
        to = (to & ~low(~uint64_t{0}, bytes)) | low(value, bytes);
}

unsigned serve_cpuid(Call& call) {
    Frame64& frame = call.frame;
    CpuidRegisters r;
    if (!answer_cpuid(static_cast<uint32_t>(frame.rax), static_cast<uint32_t>(frame.rcx), r)) {
        GhcbRequest request = {.code = VC_CPUID, .fields = kFieldRax | kFieldRcx,
                               .rax = frame.rax & kLow32, .rcx = frame.rcx & kLow32};
        if (request.rax == kXsaveLeaf) {
            request.fields |= kFieldXcr0;
            request.xcr0 = vc_xcr0();
        }
        const GhcbAnswer answer =
            Ghcb().call(request, kFieldRax | kFieldRbx | kFieldRcx | kFieldRdx);
        if (answer.vector != 0)
            return answer.vector;
        r = {static_cast<uint32_t>(answer.rax), static_cast<uint32_t>(answer.rbx),
             static_cast<uint32_t>(answer.rcx), static_cast<uint32_t>(answer.rdx)};
    }
    frame.rax = r.eax;
    frame.rbx = r.ebx;
    frame.rcx = r.ecx;
    frame.rdx = r.edx;
    return 0;
}

// RDMSR, RDTSC, RDTSCP, RDPMC: 64 bits in EDX and EAX.
unsigned serve_read(Call& call, uint64_t code, bool tells_rcx, bool gets_rcx) {
    Frame64& frame = call.frame;
    const GhcbRequest request = {.code = code, .fields = tells_rcx ? kFieldRcx : 0u,
                                 .rcx = frame.rcx & kLow32};
    const GhcbAnswer answer =
        Ghcb().call(request, kFieldRax | kFieldRdx | (gets_rcx ? kFieldRcx : 0u));
    if (answer.vector != 0)
        return answer.vector;
    frame.rax = answer.rax & kLow32;
    frame.rdx = answer.rdx & kLow32;
    if (gets_rcx)
        frame.rcx = answer.rcx & kLow32;
    return 0;
}

// What is told registers, and gives nothing back.
unsigned serve_told(Call& call, uint64_t code, unsigned fields) {
    const Frame64& frame = call.frame;
    return Ghcb()
        .call({.code = code, .fields = fields, .rax = frame.rax, .rcx = frame.rcx,
               .rdx = frame.rdx})
        .vector;
}

unsigned serve_wrmsr(Call& call) {
    constexpr uint64_t kWrite = 1;
    const Frame64& frame = call.frame;
    return Ghcb()
        .call({.code = VC_MSR, .info1 = kWrite, .fields = kFieldRax | kFieldRcx | kFieldRdx,
               .rax = frame.rax & kLow32, .rcx = frame.rcx & kLow32, .rdx = frame.rdx & kLow32})
        .vector;
}

unsigned serve_vmmcall(Call& call) {
    const GhcbAnswer answer = Ghcb().call(
        {.code = VC_VMMCALL, .fields = kFieldRax | kFieldCpl, .rax = call.frame.rax}, kFieldRax);
    if (answer.vector == 0)
        call.frame.rax = answer.rax;
    return answer.vector;
}

// The host is told what DR7 is to be; what it is, is known here.
unsigned serve_dr7(Call& call) {
    uint64_t& value = register_of(call.frame, call.instruction.reg);
    if (call.instruction.op == Op::read_dr7) {
        value = prologue_sev_state.dr7;
        return 0;
    }
    constexpr unsigned kGeneralProtection = VECTOR_GENERAL_PROTECTION;
    constexpr uint64_t kAlwaysSet = 0x400, kAlwaysClear = 0xd800;
    if (value >> 32 != 0)
        return kGeneralProtection;
    const uint64_t wanted = (value | kAlwaysSet) & ~kAlwaysClear;
    const GhcbAnswer answer =
        Ghcb().call({.code = VC_DR7_WRITE, .fields = kFieldRax, .rax = wanted});
    if (answer.vector == 0)
        prologue_sev_state.dr7 = wanted;
    return answer.vector;
}

uint64_t port_information(const Call& call) {
    const Instruction& i = call.instruction;
    const uint64_t port = i.port_in_dx ? call.frame.rdx & 0xffff : i.port;
    return port << kIoPortShift | uint64_t{i.bytes} << kIoBytesShift |
           uint64_t{i.address_bytes} << kIoAddressShift |
           (i.op == Op::in || i.op == Op::ins ? kIoIn : 0u);
}

unsigned serve_port(Call& call) {
    const Instruction& i = call.instruction;
    Frame64& frame = call.frame;
    GhcbRequest request = {.code = VC_IOIO, .info1 = port_information(call)};
    if (i.op == Op::out) {
        request.fields = kFieldRax;
        request.rax = low(frame.rax, i.bytes);
        return Ghcb().call(request).vector;
    }
    // KVM keeps the upper part of RAX as it finds it in the page: it is told 0.
    request.fields = kFieldRax;
    const GhcbAnswer answer = Ghcb().call(request, kFieldRax);
    if (answer.vector == 0)
        set_low(frame.rax, answer.rax, i.bytes);
    return answer.vector;
}

// A string instruction's pointers and count move as the instruction would.
void advance(uint64_t& pointer, uint64_t distance, unsigned address_bytes) {
    set_low(pointer, pointer + distance, address_bytes);
}

uint64_t count_of(const Call& call) {
    return call.instruction.rep ? low(call.frame.rcx, call.instruction.address_bytes) : 1;
}

uint64_t step_of(const Call& call) {
    const uint64_t bytes = call.instruction.bytes;
    return (call.frame.rflags & kDirectionFlag) != 0 ? -bytes : bytes;
}

unsigned serve_port_string(Call& call) {
    const Instruction& i = call.instruction;
    Frame64& frame = call.frame;
    const bool in = i.op == Op::ins;
    uint64_t& pointer = in ? frame.rdi : frame.rsi;
    const uint64_t base = in ? 0 : segment_base(i.segment);
    const uint64_t step = step_of(call);
    const unsigned segment = in                            ? kIoSegmentEs
                             : i.segment == SegmentBase::flat ? kIoSegmentDs
                                                          : kIoSegmentFs +
                                                                (i.segment == SegmentBase::gs);
    const uint64_t information = port_information(call) | kIoString |
                                 uint64_t{segment} << kIoSegmentShift | (i.rep ? kIoRep : 0u);
    for (uint64_t left = count_of(call); left != 0;) {
        const uint64_t most = kGhcbBufferBytes / i.bytes;
        const uint64_t count = left < most ? left : most;
        Ghcb ghcb;
        if (!in)
            for (unsigned n = 0; n != count; ++n)
                ghcb.write_buffer(
                    seen(base + low(pointer + n * step, i.address_bytes)), i.bytes, n * i.bytes);
        const GhcbAnswer answer = ghcb.call(
            {.code = VC_IOIO, .info1 = information, .info2 = count, .fields = kFieldScratch});
        if (answer.vector != 0)
            return answer.vector;
        if (in)
            for (unsigned n = 0; n != count; ++n)
                ghcb.read_buffer(
                    seen(low(pointer + n * step, i.address_bytes)), i.bytes, n * i.bytes);
        advance(pointer, count * step, i.address_bytes);
        if (i.rep)
            advance(frame.rcx, -count, i.address_bytes);
        left -= count;
    }
    return 0;
}

// A device's memory, at the physical address that the page tables say. It must be
// shared there: what is private is no device's, whatever the host says.
uint64_t device_address(uint64_t virt, unsigned bytes) {
    const Mapping mapping = walk(virt);
    if (!mapping.present || mapping.is_private || virt % PAGE_BYTES + bytes > PAGE_BYTES)
        sev_terminate(PROLOGUE_SEV_VC_MMIO);
    return mapping.phys;
}

unsigned read_device(uint64_t virt, unsigned bytes, uint64_t& value) {
    Ghcb ghcb;
    const GhcbAnswer answer = ghcb.call({.code = kGhcbMmioRead, .info1 = device_address(virt, bytes),
                                         .info2 = bytes, .fields = kFieldScratch});
    value = 0;
    if (answer.vector == 0)
        ghcb.read_buffer(&value, bytes);
    return answer.vector;
}

unsigned write_device(uint64_t virt, unsigned bytes, uint64_t value) {
    Ghcb ghcb;
    ghcb.write_buffer(&value, bytes);
    return ghcb
        .call({.code = kGhcbMmioWrite, .info1 = device_address(virt, bytes), .info2 = bytes,
               .fields = kFieldScratch})
        .vector;
}

unsigned serve_load(Call& call, uint64_t virt) {
    const Instruction& i = call.instruction;
    uint64_t value;
    const unsigned vector = read_device(virt, i.bytes, value);
    if (vector != 0)
        return vector;
    if (i.op == Op::load_sign) {
        const unsigned unused = 64 - 8 * i.bytes;
        value = static_cast<uint64_t>(static_cast<int64_t>(value << unused) >> unused);
    }
    uint64_t& to = register_of(call.frame, i.reg);
    if (i.high_byte)
        to = (to & ~uint64_t{0xff00}) | value << 8;
    else
        set_low(to, value, i.register_bytes);
    return 0;
}

unsigned serve_stos(Call& call) {
    const Instruction& i = call.instruction;
    Frame64& frame = call.frame;
    for (uint64_t left = count_of(call); left != 0; --left) {
        const unsigned vector =
            write_device(low(frame.rdi, i.address_bytes), i.bytes, low(frame.rax, i.bytes));
        if (vector != 0)
            return vector;
        advance(frame.rdi, step_of(call), i.address_bytes);
        if (i.rep)
            advance(frame.rcx, ~uint64_t{0}, i.address_bytes);
    }
    return 0;
}

unsigned serve_device(Call& call) {
    const Instruction& i = call.instruction;
    if (i.op == Op::stos)
        return serve_stos(call);
    if (!i.has_memory)
        sev_terminate(PROLOGUE_SEV_VC_FORM);
    const uint64_t virt = address_of(call.frame, i);
    switch (i.op) {
    case Op::store: {
        const uint64_t from = register_of(call.frame, i.reg);
        return write_device(virt, i.bytes, low(i.high_byte ? from >> 8 : from, i.bytes));
    }
    case Op::store_immediate:
        return write_device(virt, i.bytes, low(i.immediate, i.bytes));
    case Op::load:
    case Op::load_zero:
    case Op::load_sign:
        return serve_load(call, virt);
    default:
        sev_terminate(PROLOGUE_SEV_VC_FORM);
    }
}

// The error code names an instruction; where another stands, it was made up.
void expect(const Call& call, Op op, Op other = Op::none) {
    if (call.instruction.op == Op::none ||
        (call.instruction.op != op && call.instruction.op != other))
        sev_terminate(PROLOGUE_SEV_VC_INJECTED);
}

unsigned serve(Call& call) {
    const Instruction& i = call.instruction;
    switch (call.frame.error) {
    case VC_CPUID:
        expect(call, Op::cpuid);
        return serve_cpuid(call);
    case VC_IOIO:
        if (i.op == Op::ins || i.op == Op::outs)
            return serve_port_string(call);
        expect(call, Op::in, Op::out);
        return serve_port(call);
    case VC_MSR:
        expect(call, Op::rdmsr, Op::wrmsr);
        return i.op == Op::rdmsr ? serve_read(call, VC_MSR, true, false) : serve_wrmsr(call);
    case VC_RDTSC:
        expect(call, Op::rdtsc);
        return serve_read(call, VC_RDTSC, false, false);
    case VC_RDTSCP:
        expect(call, Op::rdtscp);
        return serve_read(call, VC_RDTSCP, false, true);
    case VC_RDPMC:
        expect(call, Op::rdpmc);
        return serve_read(call, VC_RDPMC, true, false);
    case VC_INVD:
        expect(call, Op::invd);
        return serve_told(call, VC_INVD, 0);
    case VC_WBINVD:
        expect(call, Op::wbinvd);
        return serve_told(call, VC_WBINVD, 0);
    case VC_DR7_READ:
        expect(call, Op::read_dr7);
        return serve_dr7(call);
    case VC_DR7_WRITE:
        expect(call, Op::write_dr7);
        return serve_dr7(call);
    case VC_VMMCALL:
        expect(call, Op::vmmcall);
        return serve_vmmcall(call);
    case VC_MONITOR:
        expect(call, Op::monitor);
        return serve_told(call, VC_MONITOR, kFieldRax | kFieldRcx | kFieldRdx);
    case VC_MWAIT:
        expect(call, Op::mwait);
        return serve_told(call, VC_MWAIT, kFieldRax | kFieldRcx);
    case VC_NESTED_FAULT:
        return serve_device(call);
    case VC_NOT_VALIDATED:
        sev_terminate(PROLOGUE_SEV_VC_NOT_VALIDATED);
    default:
        sev_terminate(PROLOGUE_SEV_VC_CODE);
    }
}

// Before the page stands, the MSR protocol can tell what CPUID is, and nothing else.
void serve_early(Call& call) {
    Frame64& frame = call.frame;
    if (frame.error == VC_MSR && static_cast<uint32_t>(frame.rcx) == MSR_SEV_STATUS)
        sev_terminate(PROLOGUE_SEV_STATUS_READ);
    if (frame.error != VC_CPUID)
        sev_terminate(PROLOGUE_SEV_VC_EARLY);
    expect(call, Op::cpuid);
    const auto leaf = static_cast<uint32_t>(frame.rax);
    if (!can_ask_cpuid(leaf, static_cast<uint32_t>(frame.rcx)))
        sev_terminate(PROLOGUE_SEV_VC_SUBLEAF);
    frame.rax = ask_cpuid(leaf, kEax);
    frame.rbx = ask_cpuid(leaf, kEbx);
    frame.rcx = ask_cpuid(leaf, kEcx);
    frame.rdx = ask_cpuid(leaf, kEdx);
}

}  // namespace

unsigned handle_vc(Frame64& frame) {
    constexpr uint64_t kUserPrivilege = 3;
    if ((frame.cs & kUserPrivilege) != 0)
        sev_terminate(PROLOGUE_SEV_VC_USER);
    if (prologue_sev_state.busy != 0)
        sev_terminate(PROLOGUE_SEV_VC_NESTED);
    const Instruction instruction = decode(seen(frame.rip));
    Call call = {frame, instruction};
    unsigned vector = 0;
    if (prologue_sev_state.page_stands == 0)
        serve_early(call);
    else
        vector = serve(call);
    if (vector == 0)
        frame.rip += instruction.length;
    return vector;
}

}  // namespace prologue
