// How a boot ends in 64-bit mode: by an error of its own, or by an exception.
#pragma GCC visibility push(hidden)
#include "bits.h"
#include "cpu.h"
#include "image.h"
#include "prologue/wishes.h"
#include "report.h"
#include "sev_end.h"
#include "sev_state.h"
#include "vc.h"

extern "C" {
extern const char __ehdr_start[];
extern const char prologue_no_idt[];
[[noreturn]] void prologue_exception(const prologue::Frame64& frame);
[[noreturn]] void prologue_sev_unknown_end(unsigned code);
[[noreturn]] void prologue_kernel_returned();
[[noreturn]] void prologue_refuse_long_mode();
}

namespace prologue {
namespace {

constexpr char kSentences[] = PROLOGUE_ERRORS_OF_32(PROLOGUE_ERROR_ELSEWHERE)
    PROLOGUE_SHARED_ERRORS(PROLOGUE_ERROR_SENTENCE) PROLOGUE_BOOT_ERRORS(PROLOGUE_ERROR_SENTENCE);

unsigned exceptions_seen;
unsigned unknown_end;

// A report shows registers and stack, and a console is the host's: as SEV-ES, only a
// build that asks for it prints one. Nor does an SEV guest's fatal line have its numbers: a
// loader's pointer may lead to anything, and they are what was read there.
#ifdef PROLOGUE_REPORT_TO_HOST
constexpr bool kReportToHost = true;
#else
constexpr bool kReportToHost = false;
#endif

[[noreturn]] void end(unsigned code) {
    if (prologue_sev_state.es())
        end_sev_guest(code);
    end_boot(prologue_wish_qemu_exit);
}

ReportedImage reported_image() {
    const auto start = reinterpret_cast<uintptr_t>(__ehdr_start);
    const Image image(0, start);
    return {start, image.span().bytes(), start + image.virtual_offset()};
}

} // namespace

const char* vector_names() {
    return prologue_vector_names;
}

void fail_in(const char* what, Error error, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    const uint64_t numbers[] = {a, b, c, d};
    const bool are_shown = prologue_sev_state.status == 0 || kReportToHost;
    Console console;
    print_error(console, sentence(kSentences, error), what, are_shown ? numbers : nullptr);
    end(PROLOGUE_SEV_FATAL);
}

void fail(Error error, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    fail_in("", error, a, b, c, d);
}

} // namespace prologue

void prologue_exception(const prologue::Frame64& frame) {
    using namespace prologue;
    // Of a #VC whose stack is gone: any look at memory would lead here again, without end. So it is
    // EFER that tells what this is, where the boot leaves SVME clear but as SEV-ES.
    if (frame.vector == VECTOR_DOUBLE_FAULT && !kReportToHost &&
        (read_msr(MSR_EFER) & EFER_SVME) != 0)
        end_sev_guest(PROLOGUE_SEV_EXCEPTION(VECTOR_DOUBLE_FAULT));
    if (prologue_sev_state.unknown != 0)
        prologue_sev_unknown_end(PROLOGUE_SEV_VC_EARLY);
    if (prologue_sev_state.es() && !kReportToHost)
        end_sev_guest(PROLOGUE_SEV_EXCEPTION(frame.vector));
    ++exceptions_seen;
    if (exceptions_seen == 2) {
        Console().put('\n'); // the report was in the middle of a line
        fail(Error::nested_fault, frame.vector, frame.error, frame.rip);
    }
    if (exceptions_seen > 2)
        end(PROLOGUE_SEV_EXCEPTION(frame.vector));
    const ExceptionReport exception = {
        .bits = 64,
        .vector = frame.vector,
        .error = frame.error,
        .ip = frame.rip,
        .cs = frame.cs,
        .flags = frame.rflags,
        .sp = frame.rsp,
        .registers = {frame.rax, frame.rcx, frame.rdx, frame.rbx, frame.rsp, frame.rbp, frame.rsi,
                      frame.rdi, frame.r8, frame.r9, frame.r10, frame.r11, frame.r12, frame.r13,
                      frame.r14, frame.r15},
        .cr0 = read_cr0(),
        .cr2 = read_cr2(),
        .cr3 = read_cr3(),
        .cr4 = read_cr4(),
        .efer = read_msr(MSR_EFER),
        .of_private_memory = prologue_sev_state.status != 0 && !kReportToHost,
    };
    Console console;
    print_exception(console, exception, reported_image());
    end(PROLOGUE_SEV_EXCEPTION(frame.vector));
}

// Of who does not know yet whether it is an SEV guest. Whoever faults at the request to end,
// and so comes here again, or goes on behind it, is no SEV-ES guest, or has a host that makes
// it look so: a line with nothing but the reason, and no gate for what else may come.
void prologue_sev_unknown_end(unsigned code) {
    using namespace prologue;
    if (unknown_end == 0) {
        unknown_end = code;
        exchange_ghcb_msr_now(GHCB_TERMINATION(uint64_t{code}));
    }
    asm volatile("lidt %0" : : "m"(*prologue_no_idt));
    fail_in("before SEV_STATUS is known: reason of docs/sev.md", Error::entry, unknown_end);
}

void prologue_kernel_returned() {
    prologue::fail(prologue::Error::kernel_returned);
}

void prologue_refuse_long_mode() {
    prologue::fail(prologue::Error::no_long_mode_contract);
}
