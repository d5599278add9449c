// Reads the kernel's wishes out of its notes (prologue/wishes.h).
#include <algorithm>

#include "kernel.h"
#include "igvm_note.h"
#include "linux_note.h"

namespace check {
namespace {

const WishKind kKinds[] = {
    {PROLOGUE_NOTE_PAGING, "PAGING", {4}},
    {PROLOGUE_NOTE_STACK, "STACK", {8}},
    {PROLOGUE_NOTE_DIRECT_MAP, "DIRECT_MAP", {8}},
    {PROLOGUE_NOTE_IDENTITY_MAP, "IDENTITY_MAP", {8, 8}},
    {PROLOGUE_NOTE_WINDOW, "WINDOW", {8, 8, 8, 8}},
    {PROLOGUE_NOTE_RELOCATABLE, "RELOCATABLE", {4}},
    {PROLOGUE_NOTE_WRITABLE_TEXT, "WRITABLE_TEXT", {4}},
    {PROLOGUE_NOTE_QEMU_EXIT, "QEMU_EXIT", {4}},
    {PROLOGUE_NOTE_HEADERS, "HEADERS", {4}},
    {PROLOGUE_NOTE_SEV, "SEV", {4}},
    {PROLOGUE_NOTE_SNP_ACCEPT, "SNP_ACCEPT", {8}},
    {PROLOGUE_NOTE_BOOT_SERVICES, "BOOT_SERVICES", {4}},
    {PROLOGUE_NOTE_FREE_BEHIND_IMAGE, "FREE_BEHIND_IMAGE", {8}},
    {PROLOGUE_NOTE_RANDOM, "RANDOM", {8, 8}},
    {PROLOGUE_NOTE_FRAMEBUFFER, "FRAMEBUFFER", {4, 4, 4}},
};

class Reader {
public:
    explicit Reader(const ElfFile& file) : file_(file) {}

    Wishes read() {
        for (const Note& note : file_.notes)
            if (note.owner == PROLOGUE_NOTE_OWNER && note.type != LINUX_NOTE &&
                note.type != IGVM_NOTE)
                read_note(note);
        return std::move(wishes_);
    }

private:
    void read_note(const Note& note) {
        const WishKind* kind = wish_kind(note.type);
        if (kind == nullptr)
            return mistake(
                Rule::wish_unknown,
                sentence("the note at 0x%lx in the file has type 0x%x", note.offset, note.type));
        uint64_t wanted = 0;
        for (const unsigned bytes : kind->fields)
            wanted += bytes;
        if (note.truncated)
            return mistake(Rule::wish_truncated,
                           sentence("PROLOGUE_WISH_%s's note, at 0x%lx in the file, claims %lu "
                                    "bytes, more than are left",
                                    kind->name.data(), note.offset, note.desc_bytes));
        if (note.desc_bytes != wanted)
            return mistake(Rule::wish_size,
                           sentence("PROLOGUE_WISH_%s's note, at 0x%lx in the file, has %lu bytes, "
                                    "not %lu",
                                    kind->name.data(), note.offset, note.desc_bytes, wanted));
        if (note.type != PROLOGUE_NOTE_WINDOW &&
            std::find(seen_.begin(), seen_.end(), note.type) != seen_.end())
            return mistake(Rule::wish_duplicate,
                           sentence("PROLOGUE_WISH_%s stands again at 0x%lx in the file",
                                    kind->name.data(), note.offset));
        seen_.push_back(note.type);
        heed(note);
    }

    void heed(const Note& note) {
        const auto field = [&](unsigned index) {
            return file_.number(note.desc_offset + 8 * index, 8).value_or(0);
        };
        const uint32_t word = file_.word(note.desc_offset);
        switch (note.type) {
        case PROLOGUE_NOTE_PAGING:
            wishes_.paging = word;
            break;
        case PROLOGUE_NOTE_STACK:
            wishes_.stack = field(0);
            break;
        case PROLOGUE_NOTE_DIRECT_MAP:
            wishes_.direct_map = field(0);
            break;
        case PROLOGUE_NOTE_IDENTITY_MAP:
            wishes_.identity_map = {field(0), field(1)};
            break;
        case PROLOGUE_NOTE_WINDOW:
            wishes_.windows.push_back({field(0), field(1), field(2), field(3)});
            break;
        case PROLOGUE_NOTE_RELOCATABLE:
            wishes_.relocatable = word != 0;
            break;
        case PROLOGUE_NOTE_WRITABLE_TEXT:
            wishes_.writable_text = word != 0;
            break;
        case PROLOGUE_NOTE_QEMU_EXIT:
            wishes_.qemu_exit = word != 0;
            break;
        case PROLOGUE_NOTE_HEADERS:
            wishes_.headers = word;
            break;
        case PROLOGUE_NOTE_BOOT_SERVICES:
            wishes_.boot_services = word != 0;
            break;
        }
    }

    void mistake(Rule rule, std::string text) {
        wishes_.mistakes.emplace_back(rule, std::move(text));
    }

    const ElfFile& file_;
    Wishes wishes_;
    std::vector<uint32_t> seen_;
};

} // namespace

const WishKind* wish_kind(uint32_t type) {
    const auto found = std::find_if(std::begin(kKinds), std::end(kKinds),
                                    [&](const WishKind& kind) { return kind.type == type; });
    return found == std::end(kKinds) ? nullptr : found;
}

Wishes read_wishes(const ElfFile& file) {
    return Reader(file).read();
}

} // namespace check
