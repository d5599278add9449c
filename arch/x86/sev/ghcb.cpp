#include "ghcb.h"

#include "msr_protocol.h"
#include "sev_state.h"

namespace prologue {
namespace {

constexpr uint32_t kDone = 0, kException = 1, kMalformed = 2;

// An event as SVM injects it (APM vol. 2, 15.20).
constexpr uint64_t kEventVectorMask = 0xff, kEventTypeMask = 0x700, kEventException = 0x300,
                   kEventValid = 0x80000000;

// Where they are in the page, by GhcbRegister.
constexpr uint16_t kRegisterOffsets[] = {kGhcbRax, kGhcbRbx, kGhcbRcx, kGhcbRdx};

template <class T>
volatile T& at(volatile uint8_t* page, unsigned offset) {
    return *reinterpret_cast<volatile T*>(page + offset);
}

constexpr unsigned bit_of(unsigned offset) {
    return offset / 8;
}

void mark_valid(volatile uint8_t* page, unsigned offset) {
    const unsigned bit = bit_of(offset);
    volatile uint8_t& byte = page[kGhcbValid + bit / 8];
    byte = static_cast<uint8_t>(byte | 1u << bit % 8);
}

void tell(volatile uint8_t* page, unsigned offset, uint64_t value) {
    at<uint64_t>(page, offset) = value;
    mark_valid(page, offset);
}

void wipe(volatile uint8_t* page, unsigned offset, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i += 8)
        at<uint64_t>(page, offset + i) = 0;
}

template <class T>
void read_as(uint8_t* to, volatile uint8_t* from) {
    const T value = at<T>(from, 0);
    __builtin_memcpy(to, &value, sizeof value);
}

void read_piece(uint8_t* to, volatile uint8_t* from, unsigned bytes) {
    switch (bytes) {
    case 8:
        return read_as<uint64_t>(to, from);
    case 4:
        return read_as<uint32_t>(to, from);
    case 2:
        return read_as<uint16_t>(to, from);
    default:
        return read_as<uint8_t>(to, from);
    }
}

// The bitmap of an answer.
class Valid {
public:
    explicit Valid(volatile uint8_t* page)
        : words_{at<uint64_t>(page, kGhcbValid), at<uint64_t>(page, kGhcbValid + 8)} {}
    bool has(unsigned offset) const {
        return (words_[bit_of(offset) / 64] >> bit_of(offset) % 64 & 1) != 0;
    }

private:
    uint64_t words_[2];
};

unsigned believable_vector(uint64_t event) {
    constexpr unsigned kUndefined = 6, kGeneralProtection = 13;
    const auto vector = static_cast<unsigned>(event & kEventVectorMask);
    if ((event & kEventValid) == 0 || (event & kEventTypeMask) != kEventException ||
        (vector != kUndefined && vector != kGeneralProtection))
        sev_terminate(PROLOGUE_SEV_GHCB_EVENT);
    return vector;
}

void fill_in(volatile uint8_t* page, const GhcbRequest& request, uint64_t ghcb_phys) {
    for (unsigned i = 0; i != kGhcbRegisters; ++i)
        if ((request.fields >> i & 1) != 0)
            tell(page, kRegisterOffsets[i], request.registers[i]);
    if ((request.fields & kFieldXcr0) != 0)
        tell(page, kGhcbXcr0, request.xcr0);
    if ((request.fields & kFieldCpl) != 0)
        mark_valid(page, kGhcbCpl); // 0: nobody else is served
    if ((request.fields & kFieldScratch) != 0)
        tell(page, kGhcbScratch, ghcb_phys + kGhcbBuffer);
    tell(page, kGhcbExitCode, request.code);
    tell(page, kGhcbExitInfo1, request.info1);
    tell(page, kGhcbExitInfo2, request.info2);
    at<uint16_t>(page, kGhcbVersion) = static_cast<uint16_t>(prologue_sev_state.version);
    at<uint32_t>(page, kGhcbUsage) = 0;
}

} // namespace

Ghcb::Ghcb() : cpu_(this_sev_cpu()) {
    if (cpu_.busy != 0)
        sev_terminate(PROLOGUE_SEV_VC_NESTED);
    cpu_.busy = 1;
}

Ghcb::~Ghcb() {
    wipe(ghcb_page(cpu_), kGhcbBuffer, buffer_used_);
    cpu_.busy = 0;
}

void Ghcb::write_buffer(const void* from, unsigned bytes, unsigned offset) {
    volatile uint8_t* const to = ghcb_page(cpu_) + kGhcbBuffer + offset;
    for (unsigned i = 0; i != bytes; ++i)
        to[i] = static_cast<const uint8_t*>(from)[i];
    if (offset + bytes > buffer_used_)
        buffer_used_ = offset + bytes;
}

// In the largest pieces that fit: the host may write while this reads, and half of one
// value and half of the next are neither.
void Ghcb::read_buffer(void* to, unsigned bytes, unsigned offset) {
    volatile uint8_t* const from = ghcb_page(cpu_) + kGhcbBuffer + offset;
    for (unsigned done = 0, piece; done != bytes; done += piece) {
        piece = sizeof(uint64_t);
        while ((offset + done) % piece != 0 || bytes - done < piece)
            piece /= 2;
        read_piece(static_cast<uint8_t*>(to) + done, from + done, piece);
    }
    if (offset + bytes > buffer_used_)
        buffer_used_ = offset + bytes;
}

GhcbAnswer Ghcb::call(uint64_t code, uint64_t info1, uint64_t info2, unsigned fields, uint64_t rax,
                      unsigned wanted) {
    return call(
        {.code = code, .info1 = info1, .info2 = info2, .fields = fields, .registers = {rax}},
        wanted);
}

GhcbAnswer Ghcb::call(const GhcbRequest& request, unsigned wanted) {
    volatile uint8_t* const page = ghcb_page(cpu_);
    wipe(page, 0, kGhcbSaveEnd); // the host may have written there since
    fill_in(page, request, cpu_.ghcb_phys);
    exit_by_ghcb(cpu_);

    // Each field is read once.
    const Valid valid(page);
    const auto info1 = static_cast<uint32_t>(at<uint64_t>(page, kGhcbExitInfo1));
    GhcbAnswer answer = {.info2 = at<uint64_t>(page, kGhcbExitInfo2)};
    for (unsigned i = 0; i != kGhcbRegisters; ++i)
        if ((wanted >> i & 1) != 0)
            answer.registers[i] = at<uint64_t>(page, kRegisterOffsets[i]);
    wipe(page, 0, kGhcbSaveEnd);

    if (!valid.has(kGhcbExitInfo1) || !valid.has(kGhcbExitInfo2))
        sev_terminate(PROLOGUE_SEV_GHCB_MISSING);
    switch (info1) {
    case kDone:
        break;
    case kException:
        answer.vector = believable_vector(answer.info2);
        return answer;
    case kMalformed:
        if (request.may_be_refused) {
            answer.refused = true;
            return answer;
        }
        [[fallthrough]];
    default:
        sev_terminate(PROLOGUE_SEV_GHCB_RESULT);
    }
    for (unsigned i = 0; i != kGhcbRegisters; ++i)
        if ((wanted >> i & 1) != 0 && !valid.has(kRegisterOffsets[i]))
            sev_terminate(PROLOGUE_SEV_GHCB_MISSING);
    return answer;
}

} // namespace prologue
