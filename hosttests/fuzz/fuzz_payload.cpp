// Payloads' files of any bytes: refused by name, or sound.
#include "fuzzing.h"
#include "payload/multiboot_more.h"
#include "payload_files.h"
#include "refusing.h"

namespace prologue::test {
namespace {

std::vector<Input> seeds() {
    return {elf_file(),       pie_file(),   limine_file(),     elf32_file(false),
            elf32_file(true), linux_file(), multiboot2_file(), flat_file()};
}

// Sections are read from the file, and written where there is room, alone.
void take_sections(const uint8_t* data, size_t size) {
    const SectionTable sections = read_sections(data, size);
    if (sections.count == 0)
        return;
    std::vector<uint8_t> content(kSectionsHead + sections.bytes());
    std::vector<uint8_t> room(unloaded_bytes(sections, size));
    put_sections(sections, data, size, content.data(), room.data(), 0x100000);
}

} // namespace
} // namespace prologue::test

using namespace prologue;
using namespace prologue::test;

BEGINS_WITH(seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    take_sections(data, size);
    if (is_elf(data, size))
        (void)refusal_of([&] { expect_sound_elf(data, size); });
    else if (has_multiboot_header(data, size))
        (void)refusal_of([&] { check_elf(data, size, read_flat(data, size)); });
    if (is_linux(data, size))
        (void)refusal_of([&] { expect_sound_linux(data, size); });
    return 0;
}
