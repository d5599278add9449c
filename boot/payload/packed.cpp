#include "packed.h"

#include "phys_memory.h"
#include "refusals.h"

namespace prologue {
namespace {

struct Pack {
    const uint8_t* head;
    uint64_t bytes;

    const char* at(const char* what, uint64_t start, uint64_t count) const {
        if (start > bytes || count > bytes - start)
            refuse_in(what, Refusal::packed, start + count, bytes);
        return reinterpret_cast<const char*>(head) + start;
    }
    const char* text(const char* what, uint64_t start, uint64_t count) const {
        if (count >= bytes)
            refuse_in(what, Refusal::packed, start, count);
        const char* const text = at(what, start, count + 1);
        if (text[count] != 0)
            refuse_in(what, Refusal::packed, start, count);
        return text;
    }
};

void copy_text(char*& to, const char* from, uint64_t bytes) {
    __builtin_memcpy(to, from, bytes);
    to += bytes;
}

// The packed one, a space, and the loader's.
void join_cmdlines(const char* packed, uint64_t bytes, prologue_handoff& handoff,
                   PackedRoom& room) {
    if (bytes == 0)
        return;
    const uint64_t all = bytes + 1 + handoff.cmdline_bytes;
    if (all >= room.kMostCmdline)
        refuse_in("the command line", Refusal::packed, all, room.kMostCmdline);
    char* to = room.cmdline;
    copy_text(to, packed, bytes);
    if (handoff.cmdline_bytes != 0) {
        *to++ = ' ';
        copy_text(to, handoff.cmdline, handoff.cmdline_bytes);
    }
    *to = 0;
    handoff.cmdline = room.cmdline;
    handoff.cmdline_bytes = static_cast<uint64_t>(to - room.cmdline);
}

} // namespace

void add_packed(const uint8_t* bytes, uint64_t count, uint64_t phys, prologue_handoff& handoff,
                PackedRoom& room) {
    if (count < sizeof(PackedHead))
        return;
    const auto head = read_unaligned<PackedHead>(bytes);
    if (head.magic != kPackedMagic)
        return;
    if (head.version != kPackedVersion)
        refuse_in("its version", Refusal::packed, head.version, kPackedVersion);
    if (head.modules + handoff.module_count > room.kMostModules)
        refuse_in("modules, with the loader's", Refusal::packed,
                  head.modules + handoff.module_count, room.kMostModules);
    const Pack pack = {bytes, count};
    prologue_module* to = room.modules;
    for (uint32_t i = 0; i != head.modules; ++i) {
        const auto module = read_unaligned<PackedModule>(pack.at(
            "its list of modules", sizeof head + i * sizeof(PackedModule), sizeof(PackedModule)));
        (void)pack.at("a module", module.start, module.bytes);
        *to++ = {phys + module.start, module.bytes,
                 pack.text("a module's string", module.string, module.string_bytes),
                 module.string_bytes};
    }
    for (uint64_t i = 0; i != handoff.module_count; ++i)
        *to++ = handoff.modules[i];
    handoff.modules = room.modules;
    handoff.module_count += head.modules;
    join_cmdlines(pack.text("the command line", head.cmdline, head.cmdline_bytes),
                  head.cmdline_bytes, handoff, room);
}

} // namespace prologue
