#include "outcome.h"

#include "machine.h"
#include "prologue/wishes.h"

namespace sevhost {

static_assert(static_cast<int>(Outcome::success) == PROLOGUE_EXIT_SUCCESS);
static_assert(static_cast<int>(Outcome::host_fatal) == PROLOGUE_EXIT_FATAL);

void leave(Outcome outcome) {
    out8(PROLOGUE_EXIT_PORT, static_cast<uint8_t>(outcome));
    for (;;)
        asm volatile("cli; hlt");
}

} // namespace sevhost
