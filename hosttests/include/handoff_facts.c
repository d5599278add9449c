/* The public headers in C11, without an extension of any compiler. */
#include "handoff_facts.h"

const struct handoff_fact handoff_facts_in_c[] = {HANDOFF_FIELDS(HANDOFF_FACT)};
const size_t handoff_facts_in_c_count = sizeof handoff_facts_in_c / sizeof *handoff_facts_in_c;

/* That kernel_main can be defined in C, and what it must not do. */
void kernel_main(const prologue_handoff *handoff) {
    (void)handoff;
    for (;;) {
    }
}
