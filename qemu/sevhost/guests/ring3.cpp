#include "ring3.h"

alignas(16) uint8_t inner_stack[kInnerStackBytes];
Word ring0_stack_pointer, outer_stack_pointer;

#ifdef __x86_64__
void let_ring3_use(Word address) {
    entry_of(address) |= kEntryUser;
    flush(address);
}
#else
void let_ring3_use(Word) {} // without paging there are no rights
#endif

void prepare_ring3() {
    let_ring3_use(address_of(inner_stack));
#ifdef __x86_64__
    tss.rsp[0] = address_of(inner_stack) + kInnerStackBytes;
#else
    tss.esp0 = address_of(inner_stack) + kInnerStackBytes;
    tss.ss0 = kSelectorData;
#endif
}
