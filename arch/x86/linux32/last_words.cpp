// How that ends where the kernel's place cannot be had.
#include "move_image.h"
#include "report.h"

#pragma GCC visibility push(hidden)
extern "C" const char stage32_start[]; // from stage32.ld
#pragma GCC visibility pop

namespace prologue {
namespace {

constexpr char kSentence[] = PROLOGUE_MOVED_ERRORS(PROLOGUE_ERROR_SENTENCE);

} // namespace

void fail_in(const char* what, Error, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    const uint64_t numbers[] = {a, b, c, d};
    Console console;
    print_error(console, kSentence, what, numbers);
    end_boot(reinterpret_cast<const MovedImage*>(stage32_start)->qemu_exit);
}

} // namespace prologue
