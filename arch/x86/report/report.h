// The last words of a boot: one `prologue: fatal:` line, and for an exception
// all that helps to find its cause. Compiled for the 32-bit and the 64-bit
// stage; it uses no SSE, which may not be on yet.
#pragma once
#pragma GCC visibility push(hidden)

#include "console.h"
#include "errors.h"

namespace prologue {

struct ExceptionReport {
    unsigned bits; // 32 or 64: the mode that the exception came from
    uint64_t vector, error;
    uint64_t ip; // linear
    uint64_t cs, flags, sp;
    uint64_t registers[16]; // AX CX DX BX SP BP SI DI, then R8 to R15: the encoding's order
    uint64_t cr0, cr2, cr3, cr4, efer;
    bool of_private_memory; // an SEV guest's: what lies at ip and sp is not for who reads this
};

// Where addresses in a report come from.
struct ReportedImage {
    uint64_t start; // address of the ELF header where the code runs
    uint64_t bytes;
    uint64_t linked; // address of the ELF header as linked
};

// The sentence with its numbers: %x, %u, and %s for `what`. Where there are none for those
// who read it, each is a question mark.
void print_error(Console& console, const char* sentence, const char* what, const uint64_t* numbers);

// What may itself fault, the bytes at the fault and the stack, comes last, unless it is private.
void print_exception(Console& console, const ExceptionReport& report, const ReportedImage& image);

// The names of all vectors in order, each ended by a NUL. They stand in the image
// once; each environment brings its way to them.
const char* vector_names();
extern "C" const char prologue_vector_names[];

// Ends the VM where the kernel wished for QEMU's exit device, and halts.
[[noreturn]] void end_boot(uint32_t wish_qemu_exit);

} // namespace prologue

#pragma GCC visibility pop
