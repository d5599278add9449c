#include "vc.h"

#include "bits.h"
#include "decode.h"
#include "ghcb.h"
#include "msr_protocol.h"
#include "sev_state.h"
#include "vc_cpuid.h"
#include "vc_memory.h"
#include "vmsa_msrs.h"

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

void set_cpuid(Frame64& frame, const CpuidRegisters& r) {
    frame.rax = r.eax;
    frame.rbx = r.ebx;
    frame.rcx = r.ecx;
    frame.rdx = r.edx;
}

// What a host has said of CPUID, but for what is known here.
void correct_cpuid(Frame64& frame, uint32_t leaf, uint32_t subleaf) {
    CpuidRegisters r = {static_cast<uint32_t>(frame.rax), static_cast<uint32_t>(frame.rbx),
                        static_cast<uint32_t>(frame.rcx), static_cast<uint32_t>(frame.rdx)};
    put_what_is_known(leaf, subleaf, r);
    set_cpuid(frame, r);
}

// Requests in which registers go to the host, and come back, as the instruction has them.
struct Event {
    uint16_t code;
    Op op;
    uint8_t told, wanted; // GhcbField
    bool wide;            // with the registers' upper halves
    uint8_t info1;
};

constexpr unsigned kInEdxEax = kFieldRax | kFieldRdx;
constexpr unsigned kAll = kFieldRax | kFieldRbx | kFieldRcx | kFieldRdx;
constexpr uint8_t kMsrWrite = 1;

constexpr Event kEvents[] = {
    {VC_CPUID, Op::cpuid, kFieldRax | kFieldRcx, kAll, false, 0},
    {VC_MSR, Op::rdmsr, kFieldRcx, kInEdxEax, false, 0},
    {VC_MSR, Op::wrmsr, kFieldRax | kFieldRcx | kFieldRdx, 0, false, kMsrWrite},
    {VC_RDTSC, Op::rdtsc, 0, kInEdxEax, false, 0},
    {VC_RDTSCP, Op::rdtscp, 0, kInEdxEax, false, 0}, // ECX is known here
    {VC_RDPMC, Op::rdpmc, kFieldRcx, kInEdxEax, false, 0},
    {VC_INVD, Op::invd, 0, 0, false, 0},
    {VC_WBINVD, Op::wbinvd, 0, 0, false, 0},
    {VC_VMMCALL, Op::vmmcall, kFieldRax | kFieldCpl, kFieldRax, true, 0},
    {VC_MONITOR, Op::monitor, kFieldRax | kFieldRcx | kFieldRdx, 0, true, 0},
    {VC_MWAIT, Op::mwait, kFieldRax | kFieldRcx, 0, true, 0},
};

// The event of that code whose instruction stands there: where the code is known and
// another instruction stands there, it was made up.
const Event* find_event(const Call& call) {
    bool known = false;
    for (const Event& event : kEvents) {
        if (event.code != call.frame.error)
            continue;
        if (event.op == call.instruction.op)
            return &event;
        known = true;
    }
    if (known)
        sev_terminate(PROLOGUE_SEV_VC_INJECTED);
    return nullptr;
}

unsigned serve_event(Call& call, const Event& event) {
    Frame64& frame = call.frame;
    const uint64_t mask = event.wide ? ~uint64_t{0} : kLow32;
    GhcbRequest request = {.code = event.code,
                           .info1 = event.info1,
                           .fields = event.told,
                           .registers = {frame.rax & mask, 0, frame.rcx & mask, frame.rdx & mask}};
    const auto leaf = static_cast<uint32_t>(frame.rax), subleaf = static_cast<uint32_t>(frame.rcx);
    if (event.op == Op::cpuid) {
        CpuidRegisters r;
        if (answer_cpuid(leaf, subleaf, r)) {
            set_cpuid(frame, r);
            return 0;
        }
        if (request.registers[kRax] == kXsaveLeaf) {
            request.fields |= kFieldXcr0;
            request.xcr0 = vc_xcr0();
        }
    }
    const GhcbAnswer answer = Ghcb().call(request, event.wanted);
    if (answer.vector != 0)
        return answer.vector;
    if ((event.wanted & kFieldRax) != 0)
        frame.rax = answer.registers[kRax] & mask;
    if ((event.wanted & kFieldRbx) != 0)
        frame.rbx = answer.registers[kRbx] & mask;
    if ((event.wanted & kFieldRcx) != 0)
        frame.rcx = answer.registers[kRcx] & mask;
    if ((event.wanted & kFieldRdx) != 0)
        frame.rdx = answer.registers[kRdx] & mask;
    if (event.op == Op::rdtscp)
        frame.rcx = vc_tsc_aux() & kLow32;
    if (event.op == Op::cpuid)
        correct_cpuid(frame, leaf, subleaf);
    return 0;
}

// The host is told what DR7 is to be; what it is, is known here.
unsigned serve_dr7(Call& call) {
    uint64_t& value = register_of(call.frame, call.instruction.reg);
    if (call.instruction.op == Op::read_dr7) {
        value = this_sev_cpu().dr7;
        return 0;
    }
    constexpr unsigned kGeneralProtection = VECTOR_GENERAL_PROTECTION;
    constexpr uint64_t kAlwaysSet = 0x400, kAlwaysClear = 0xd800;
    if (value >> 32 != 0)
        return kGeneralProtection;
    const uint64_t wanted = (value | kAlwaysSet) & ~kAlwaysClear;
    const GhcbAnswer answer = Ghcb().call(VC_DR7_WRITE, 0, 0, kFieldRax, wanted);
    if (answer.vector == 0)
        this_sev_cpu().dr7 = wanted;
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
    // KVM keeps of RAX what it does not read: for IN it is told 0.
    const bool in = i.op == Op::in;
    const GhcbAnswer answer = Ghcb().call(VC_IOIO, port_information(call), 0, kFieldRax,
                                          in ? 0 : low(frame.rax, i.bytes),
                                          in ? unsigned{kFieldRax} : 0u);
    if (in && answer.vector == 0)
        set_low(frame.rax, answer.registers[kRax], i.bytes);
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
    const unsigned segment = in ? kIoSegmentEs
                             : i.segment == SegmentBase::flat
                                 ? kIoSegmentDs
                                 : kIoSegmentFs + (i.segment == SegmentBase::gs);
    const uint64_t information = port_information(call) | kIoString |
                                 uint64_t{segment} << kIoSegmentShift | (i.rep ? kIoRep : 0u);
    for (uint64_t left = count_of(call); left != 0;) {
        const uint64_t most = kGhcbBufferBytes / i.bytes;
        const uint64_t count = left < most ? left : most;
        Ghcb ghcb;
        if (!in)
            for (unsigned n = 0; n != count; ++n)
                ghcb.write_buffer(seen(base + low(pointer + n * step, i.address_bytes)), i.bytes,
                                  n * i.bytes);
        const GhcbAnswer answer = ghcb.call(VC_IOIO, information, count, kFieldScratch);
        if (answer.vector != 0)
            return answer.vector;
        if (in)
            for (unsigned n = 0; n != count; ++n)
                ghcb.read_buffer(seen(low(pointer + n * step, i.address_bytes)), i.bytes,
                                 n * i.bytes);
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
    const GhcbAnswer answer = ghcb.call(kGhcbMmioRead, device_address(virt, bytes), bytes,
                                        kFieldScratch);
    value = 0;
    if (answer.vector == 0)
        ghcb.read_buffer(&value, bytes);
    return answer.vector;
}

unsigned write_device(uint64_t virt, unsigned bytes, uint64_t value) {
    Ghcb ghcb;
    ghcb.write_buffer(&value, bytes);
    return ghcb.call(kGhcbMmioWrite, device_address(virt, bytes), bytes, kFieldScratch).vector;
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
        const unsigned vector = write_device(low(frame.rdi, i.address_bytes), i.bytes,
                                             low(frame.rax, i.bytes));
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
void expect(bool stands) {
    if (!stands)
        sev_terminate(PROLOGUE_SEV_VC_INJECTED);
}

// A host that has a #VC made of what it need not answer for wants to be believed in it: SEV's
// own MSRs and those of the save area, and what features of the launch keep from it.
bool is_kept_from_host(const Frame64& frame) {
    const uint64_t status = prologue_sev_state.status;
    switch (frame.error) {
    case VC_MSR:
        return is_kept_in_vmsa(static_cast<uint32_t>(frame.rcx), status);
    case VC_RDTSC:
    case VC_RDTSCP:
        return (status & SEV_STATUS_SECURE_TSC) != 0;
    case VC_DR7_READ:
    case VC_DR7_WRITE:
        return (status & SEV_STATUS_DEBUG_SWAP) != 0;
    default:
        return false;
    }
}

// OpenBSD's vmm intercepts PAT (vmm_machdep.c, vcpu_reset_regs_svm) and shadows it, though it
// cannot write the guest's own: there the boot does without its write, and asks nobody. SNP
// is none of vmm's.
bool does_without(const Frame64& frame) {
    return frame.error == VC_MSR && !prologue_sev_state.snp() && vc_is_boots_pat_write(frame.rip);
}

unsigned serve(Call& call) {
    if (does_without(call.frame))
        return 0;
    if (is_kept_from_host(call.frame))
        sev_terminate(PROLOGUE_SEV_VC_KEPT);
    if (const Event* const event = find_event(call))
        return serve_event(call, *event);
    const Op op = call.instruction.op;
    switch (call.frame.error) {
    case VC_IOIO:
        if (op == Op::ins || op == Op::outs)
            return serve_port_string(call);
        expect(op == Op::in || op == Op::out);
        return serve_port(call);
    case VC_DR7_READ:
    case VC_DR7_WRITE:
        expect(op == (call.frame.error == VC_DR7_READ ? Op::read_dr7 : Op::write_dr7));
        return serve_dr7(call);
    case VC_NESTED_FAULT:
        return serve_device(call);
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
    expect(call.instruction.op == Op::cpuid);
    const auto leaf = static_cast<uint32_t>(frame.rax), subleaf = static_cast<uint32_t>(frame.rcx);
    if (!can_ask_cpuid(leaf, subleaf))
        sev_terminate(PROLOGUE_SEV_VC_SUBLEAF);
    set_cpuid(frame, {ask_cpuid(leaf, kEax), ask_cpuid(leaf, kEbx), ask_cpuid(leaf, kEcx),
                      ask_cpuid(leaf, kEdx)});
    correct_cpuid(frame, leaf, subleaf);
}

} // namespace

unsigned handle_vc(Frame64& frame) {
    constexpr uint64_t kUserPrivilege = 3;
    if ((frame.cs & kUserPrivilege) != 0 || !vc_is_64bit(frame.cs))
        sev_terminate(PROLOGUE_SEV_VC_USER);
    if (this_sev_cpu().busy != 0)
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

} // namespace prologue
