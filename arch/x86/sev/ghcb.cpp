#include "ghcb.h"

#include "msr_protocol.h"
#include "sev_state.h"

namespace prologue {
namespace {

constexpr uint32_t kDone = 0, kException = 1;

// An event as SVM injects it (APM vol. 2, 15.20).
constexpr uint64_t kEventVectorMask = 0xff, kEventTypeMask = 0x700, kEventException = 0x300,
                   kEventValid = 0x80000000;

constexpr struct {
    unsigned field, offset;
    uint64_t GhcbRequest::*told;
    uint64_t GhcbAnswer::*answered;
} kRegisters[] = {
    {kFieldRax, kGhcbRax, &GhcbRequest::rax, &GhcbAnswer::rax},
    {kFieldRbx, kGhcbRbx, &GhcbRequest::rbx, &GhcbAnswer::rbx},
    {kFieldRcx, kGhcbRcx, &GhcbRequest::rcx, &GhcbAnswer::rcx},
    {kFieldRdx, kGhcbRdx, &GhcbRequest::rdx, &GhcbAnswer::rdx},
};

template <class T>
volatile T& at(unsigned offset) {
    return *reinterpret_cast<volatile T*>(ghcb_page() + offset);
}

constexpr unsigned bit_of(unsigned offset) {
    return offset / 8;
}

void mark_valid(unsigned offset) {
    const unsigned bit = bit_of(offset);
    volatile uint8_t& byte = at<uint8_t>(kGhcbValid + bit / 8);
    byte = static_cast<uint8_t>(byte | 1u << bit % 8);
}

void tell(unsigned offset, uint64_t value) {
    at<uint64_t>(offset) = value;
    mark_valid(offset);
}

void wipe(unsigned offset, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i += 8)
        at<uint64_t>(offset + i) = 0;
}

template <class T>
void read_as(uint8_t* to, unsigned offset) {
    const T value = at<T>(kGhcbBuffer + offset);
    __builtin_memcpy(to, &value, sizeof value);
}

void read_piece(uint8_t* to, unsigned offset, unsigned bytes) {
    switch (bytes) {
    case 8:
        return read_as<uint64_t>(to, offset);
    case 4:
        return read_as<uint32_t>(to, offset);
    case 2:
        return read_as<uint16_t>(to, offset);
    default:
        return read_as<uint8_t>(to, offset);
    }
}

// The bitmap of the answer.
struct Valid {
    uint64_t words[2] = {at<uint64_t>(kGhcbValid), at<uint64_t>(kGhcbValid + 8)};
    bool has(unsigned offset) const {
        return (words[bit_of(offset) / 64] >> bit_of(offset) % 64 & 1) != 0;
    }
};

unsigned believable_vector(uint64_t event) {
    constexpr unsigned kUndefined = 6, kGeneralProtection = 13;
    const auto vector = static_cast<unsigned>(event & kEventVectorMask);
    if ((event & kEventValid) == 0 || (event & kEventTypeMask) != kEventException ||
        (vector != kUndefined && vector != kGeneralProtection))
        sev_terminate(PROLOGUE_SEV_GHCB_EVENT);
    return vector;
}

void fill_in(const GhcbRequest& request) {
    for (const auto& known : kRegisters)
        if ((request.fields & known.field) != 0)
            tell(known.offset, request.*known.told);
    if ((request.fields & kFieldXcr0) != 0)
        tell(kGhcbXcr0, request.xcr0);
    if ((request.fields & kFieldCpl) != 0)
        mark_valid(kGhcbCpl); // 0: nobody else is served
    if ((request.fields & kFieldScratch) != 0)
        tell(kGhcbScratch, prologue_sev_state.ghcb_phys + kGhcbBuffer);
    tell(kGhcbExitCode, request.code);
    tell(kGhcbExitInfo1, request.info1);
    tell(kGhcbExitInfo2, request.info2);
    at<uint16_t>(kGhcbVersion) = static_cast<uint16_t>(prologue_sev_state.version);
    at<uint32_t>(kGhcbUsage) = 0;
}

}  // namespace

Ghcb::Ghcb() {
    if (prologue_sev_state.busy != 0)
        sev_terminate(PROLOGUE_SEV_VC_NESTED);
    prologue_sev_state.busy = 1;
}

Ghcb::~Ghcb() {
    wipe(kGhcbBuffer, buffer_used_);
    prologue_sev_state.busy = 0;
}

void Ghcb::write_buffer(const void* from, unsigned bytes, unsigned offset) {
    for (unsigned i = 0; i != bytes; ++i)
        at<uint8_t>(kGhcbBuffer + offset + i) = static_cast<const uint8_t*>(from)[i];
    if (offset + bytes > buffer_used_)
        buffer_used_ = offset + bytes;
}

// In the largest pieces that fit: the host may write while this reads, and half of one
// value and half of the next are neither.
void Ghcb::read_buffer(void* to, unsigned bytes, unsigned offset) {
    for (unsigned done = 0, piece; done != bytes; done += piece) {
        piece = sizeof(uint64_t);
        while ((offset + done) % piece != 0 || bytes - done < piece)
            piece /= 2;
        read_piece(static_cast<uint8_t*>(to) + done, offset + done, piece);
    }
    if (offset + bytes > buffer_used_)
        buffer_used_ = offset + bytes;
}

GhcbAnswer Ghcb::call(uint64_t code, uint64_t info1, uint64_t info2, unsigned fields,
                      uint64_t rax, unsigned wanted) {
    return call({.code = code, .info1 = info1, .info2 = info2, .fields = fields, .rax = rax},
                wanted);
}

GhcbAnswer Ghcb::call(const GhcbRequest& request, unsigned wanted) {
    wipe(0, kGhcbSaveEnd); // the host may have written there since
    fill_in(request);
    exit_by_ghcb();

    // Each field is read once.
    const Valid valid;
    const uint64_t info1 = at<uint64_t>(kGhcbExitInfo1), info2 = at<uint64_t>(kGhcbExitInfo2);
    GhcbAnswer answer;
    for (const auto& known : kRegisters)
        answer.*known.answered = at<uint64_t>(known.offset);
    wipe(0, kGhcbSaveEnd);

    if (!valid.has(kGhcbExitInfo1) || !valid.has(kGhcbExitInfo2))
        sev_terminate(PROLOGUE_SEV_GHCB_MISSING);
    answer.info2 = info2;
    switch (static_cast<uint32_t>(info1)) {
    case kDone:
        break;
    case kException:
        answer.vector = believable_vector(info2);
        return answer;
    default:
        sev_terminate(PROLOGUE_SEV_GHCB_RESULT);
    }
    for (const auto& known : kRegisters)
        if ((wanted & known.field) != 0 && !valid.has(known.offset))
            sev_terminate(PROLOGUE_SEV_GHCB_MISSING);
    return answer;
}

}  // namespace prologue
