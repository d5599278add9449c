// The loader image, prologue.elf: a kernel whose work is to start another that was not
// linked with Prologue. That is the first module; the others and the command line are its.
#include "payload/elf64.h"
#include "payload/linux_image.h"
#include "payload/packed.h"
#include "payload/refusals.h"
#include "prologue/kernel.h"
#include "prologue/wishes.h"
#include "report.h"
#include "way.h"

PROLOGUE_WISH_RELOCATABLE;
PROLOGUE_WISH_HEADERS(pvh, multiboot2, linux, vmd, freebsd, igvm);

extern "C" [[gnu::visibility("hidden")]] const char prologue_segments_end[]; // as linked

namespace prologue {
namespace {

constexpr char kSentences[] =
#define PROLOGUE_REFUSAL_SENTENCE(name, sentence) sentence "\0"
    PROLOGUE_PAYLOAD_REFUSALS(PROLOGUE_REFUSAL_SENTENCE);
#undef PROLOGUE_REFUSAL_SENTENCE

[[noreturn]] void end(const char* what, Refusal refusal, const uint64_t* numbers) {
    const char* sentence = kSentences;
    for (auto left = static_cast<uint32_t>(refusal); left != 0; --left)
        while (*sentence++ != 0) {
        }
    Console console;
    print_error(console, sentence, what, numbers);
    end_boot(prologue_wish_qemu_exit);
}

[[noreturn]] void start_elf(Way& way, const prologue_module& file, ElfPayload elf) {
    way.check_contract(elf.contract);
    if (elf.is_mapped())
        start_mapped(way, file, elf);
    start_32(way, file, elf);
}

Contract wished_contract(const prologue_handoff& handoff) {
    Text name;
    name.start = prologue_option(&handoff, "contract", &name.bytes);
    return name.start ? contract_named(name) : Contract::none;
}

// Behind the image as it was linked there is what was packed, up to its end as it was loaded.
void add_packed(prologue_handoff& handoff) {
    static PackedRoom room;
    const auto* const head = reinterpret_cast<const uint8_t*>(prologue_segments_end);
    const uint64_t phys = reinterpret_cast<uint64_t>(head) - handoff.kernel_offset;
    add_packed(head, handoff.load_end - phys, phys, handoff, room);
}

} // namespace

void refuse(Refusal refusal, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    const uint64_t numbers[] = {a, b, c, d};
    end("", refusal, numbers);
}

void refuse_in(const char* what, Refusal refusal, uint64_t a, uint64_t b, uint64_t c) {
    const uint64_t numbers[] = {a, b, c};
    end(what, refusal, numbers);
}

} // namespace prologue

void kernel_main(const prologue_handoff* given) {
    using namespace prologue;
    static prologue_handoff handoff;
    handoff = *given;
    add_packed(handoff);
    if (handoff.module_count == 0)
        refuse(Refusal::no_module);
    prologue_module file = handoff.modules[0];
    static Way way(handoff); // most of the stack, otherwise
    const Contract wished = wished_contract(handoff);
    unpack_payload(way, file);
    const uint8_t* const bytes = way.seen(file.start);
    if (is_elf(bytes, file.bytes))
        start_elf(way, file, read_elf(bytes, file.bytes, wished));
    if (is_linux(bytes, file.bytes))
        start_linux(way, file, wished);
    if (has_multiboot_header(bytes, file.bytes))
        start_elf(way, file, read_flat(bytes, file.bytes, wished));
    const auto word = [&](uint64_t at) {
        return file.bytes >= at + 4 ? read_unaligned<uint32_t>(bytes + at) : 0;
    };
    refuse(Refusal::unknown_format, file.bytes, file.start, word(0), word(4));
}
