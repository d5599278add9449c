// Multiboot 2's structures, as a loader that lies would leave them.
#include "loader_target.h"

namespace prologue::test {
namespace {

constexpr uint32_t kEnd = 0, kFramebuffer = 8;

// Gives the tag of a type another size.
void resize_tag(FakeMemory& memory, uint64_t info, uint32_t type, uint32_t to) {
    uint64_t at = info + 8;
    while (read_unaligned<uint32_t>(memory.at(at)) != type) {
        if (read_unaligned<uint32_t>(memory.at(at)) == kEnd)
            return;
        at += (uint64_t{read_unaligned<uint32_t>(memory.at(at + 4))} + 7) & ~uint64_t{7};
    }
    memory.put(at + 4, to);
}

void end_tag_of_no_bytes(FakeMemory& memory, uint64_t info) {
    resize_tag(memory, info, kEnd, 0);
}

// As the specification's table has it, and without colours.
void framebuffer_one_byte_short(FakeMemory& memory, uint64_t info) {
    resize_tag(memory, info, kFramebuffer, 37);
}

void framebuffer_without_colours(FakeMemory& memory, uint64_t info) {
    resize_tag(memory, info, kFramebuffer, 31);
}

} // namespace

constexpr FuzzedContract kContract = {
    prologue_parse_multiboot2,
    prologue_next_multiboot2_module,
    put_multiboot2,
    {end_tag_of_no_bytes, framebuffer_one_byte_short, framebuffer_without_colours},
};

} // namespace prologue::test
