// Prints what conventional memory holds, page by page, as a hash.
#include "console.h"
#include "prologue/kernel.h"
#include "prologue/wishes.h"

PROLOGUE_WISH_PAGING(KERNEL_PAGING);
PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_RELOCATABLE;
PROLOGUE_WISH_HEADERS(pvh, multiboot2, linux);

namespace {

constexpr uint64_t kPage = 4096, kConventionalEnd = 0xa0000;

// FNV-1a.
uint64_t hash_of_page(const uint8_t* bytes) {
    uint64_t hash = 0xcbf29ce484222325;
    for (uint64_t i = 0; i != kPage; ++i)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

} // namespace

void kernel_main(const prologue_handoff* handoff) {
    using kernel::print, kernel::print_hex;
    print("paging: ");
    kernel::print_decimal(handoff->paging_levels);
    print("\n");
    for (uint64_t i = 0; i != handoff->memory_count; ++i) {
        const prologue_range& range = handoff->memory[i];
        if (range.type == PROLOGUE_MEMORY_RESERVED || range.type == PROLOGUE_MEMORY_BAD)
            continue;
        for (uint64_t at = range.start; at < range.end && at < kConventionalEnd; at += kPage) {
            if (at == 0)
                continue; // not mapped
            print("page: ");
            print_hex(at);
            print(" ");
            print_hex(hash_of_page(static_cast<const uint8_t*>(prologue_seen(handoff, at))));
            print("\n");
        }
    }
    kernel::finish(PROLOGUE_EXIT_SUCCESS);
}
