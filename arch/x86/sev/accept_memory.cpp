#include "accept_memory.h"

#include "accept.h"
#include "console.h"

namespace prologue {
namespace {

void accept_range(PhysMemory& memory, Span range, uint64_t& since_said) {
    while (range.bytes() != 0) {
        const uint64_t most = kAcceptedPerLine - since_said;
        const uint64_t bytes = range.bytes() < most ? range.bytes() : most;
        const Span piece = {range.start, range.start + bytes};
        memory.at("memory to accept", piece.start, piece.bytes());
        accept_pages(memory.window, piece);
        range.start = piece.end;
        since_said += piece.bytes();
        if (since_said == kAcceptedPerLine) {
            since_said = 0;
            Console console;
            console.put("prologue: accepted memory up to 0x");
            console.put_hex(piece.end);
            console.put('\n');
        }
    }
}

} // namespace

void accept_memory(MemoryMap& map, PhysMemory& memory, uint64_t mark) {
    uint64_t since_said = 0;
    for (const prologue_range& range : map)
        if (range.type == PROLOGUE_MEMORY_UNACCEPTED && range.start < mark)
            accept_range(memory, {range.start, range.end < mark ? range.end : mark}, since_said);
    map.retype(PROLOGUE_MEMORY_UNACCEPTED, PROLOGUE_MEMORY_USABLE, mark);
}

} // namespace prologue
