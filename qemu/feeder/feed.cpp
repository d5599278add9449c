// Plays a script: copies its records to where they belong and leaves for the guest under test.
// Whatever in a script cannot be done as written is refused aloud.

#include "leave.h"
#include "refuse.h"
#include "script.h"

extern "C" const char feeder_begin[];
extern "C" const char feeder_end[];

// The compiler turns struct copies into calls of this.
extern "C" void* memcpy(void* to, const void* from, size_t bytes) {
    void* result = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
    return result;
}

namespace feeder {
namespace {

constexpr uint32_t multiboot_magic = 0x2badb002;

// Multiboot 0.6.96, 3.3: the part up to the modules.
struct MultibootInfo {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
};

struct MultibootModule {
    uint32_t begin, end, string, reserved;
};

// Physical addresses; `end` is the first one outside.
struct Range {
    uint32_t begin, end;
};

bool overlap(Range a, Range b) {
    return a.begin < b.end && b.begin < a.end;
}

uint32_t address(const void* thing) {
    return reinterpret_cast<uint32_t>(thing);
}

template <typename T>
T* at(uint32_t place) {
    return reinterpret_cast<T*>(place);
}

// Reads a script front to back and never past its end.
class Reader {
public:
    explicit Reader(Range script) : next_(script.begin), end_(script.end) {}

    uint32_t take(uint32_t bytes) {
        if (bytes > end_ - next_)
            refuse("the script ends early; wanted, left", bytes, end_ - next_);
        const uint32_t taken = next_;
        const uint32_t padded = (bytes + 3) & ~3u;
        next_ = padded > end_ - next_ ? end_ : next_ + padded;
        return taken;
    }

    template <typename T>
    T take() {
        return *at<const T>(take(sizeof(T)));
    }

private:
    uint32_t next_;
    uint32_t end_;
};

Range script_module(uint32_t magic, const MultibootInfo& info) {
    if (magic != multiboot_magic)
        refuse("not entered by a Multiboot loader; EAX is", magic);
    if (info.mods_count == 0)
        refuse("no script; give one as the first -initrd");
    const auto& module = *at<const MultibootModule>(info.mods_addr);
    return {module.begin, module.end};
}

// The first payload byte that memory does not hold, or the end: there is no RAM, or it is a ROM.
uint32_t first_lost(Range to, uint32_t payload) {
    while (to.begin < to.end && *at<volatile uint8_t>(to.begin) == *at<const uint8_t>(payload)) {
        ++to.begin;
        ++payload;
    }
    return to.begin;
}

// Where the feeder itself lies.
Range self() {
    return {address(feeder_begin), address(feeder_end)};
}

void place(RecordHeader record, uint32_t payload, Range script) {
    const auto [dest, bytes] = record;
    const Range to{dest, dest + bytes};
    if (to.end < to.begin)
        refuse("a record passes 4 GiB; dest, bytes", dest, bytes);
    if (overlap(to, self()))
        refuse("a record overlaps the feeder; dest, bytes", dest, bytes);
    if (overlap(to, script))
        refuse("a record overlaps the script; dest, bytes", dest, bytes);
    memcpy(at<void>(dest), at<void>(payload), bytes);
    const uint32_t lost = first_lost(to, payload);
    if (lost != to.end)
        refuse("memory does not keep what is written at", lost);
}

[[noreturn]] void play(Range script) {
    Reader reader(script);
    const auto header = reader.take<ScriptHeader>();
    if (header.magic != script_magic)
        refuse("the script's magic is", header.magic);
    for (uint32_t i = 0; i < header.count; ++i) {
        const auto record = reader.take<RecordHeader>();
        place(record, reader.take(record.bytes), script);
    }
    leave(reader.take<CpuState>());
}

} // namespace

extern "C" [[noreturn]] void feed(uint32_t magic, const MultibootInfo& info) {
    play(script_module(magic, info));
}

} // namespace feeder
