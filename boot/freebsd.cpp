// FreeBSD's bootinfo and module metadata, as userboot (for bhyve) and FreeBSD's own
// loader leave them for a 32-bit entry: words on the stack, one of which points to
// bootinfo, which points to a list of records. Each file that was loaded begins with
// its name in that list; the first is the kernel.
// Sources: FreeBSD sys/i386/include/bootinfo.h, sys/sys/linker.h,
// stand/userboot/userboot/bootinfo32.c, stand/common/modinfo.c.
#include "contract_magic.h"
#include "entry_state.h"
#include "errors.h"
#include "loader_info.h"

namespace prologue {
namespace {

// What the stack pointer points at.
struct Stack {
    uint32_t return_address; // not 0
    uint32_t howto;
    uint32_t device;
    uint32_t zero[3];
    uint32_t bootinfo;
    uint32_t records;
    uint32_t kernel_end;
} __attribute__((packed));
static_assert(sizeof(Stack) == 0x24);
constexpr uint32_t kHasBootinfo = 0x80000000; // in howto

struct Bootinfo {
    uint32_t version;
    uint32_t kernel_name;
    uint32_t diskless;
    uint32_t disk_count, disks[8];
    uint32_t bytes;
    uint8_t has_memory_sizes, disk, reserved[2];
    uint32_t base_kib, extended_kib;
    uint32_t symbols, symbols_end;
    uint32_t kernel_end;
    uint32_t environment;
    uint32_t records;
} __attribute__((packed));
static_assert(sizeof(Bootinfo) == 84);
static_assert(offsetof(Bootinfo, bytes) == 0x30);
constexpr uint32_t kVersion = 1;

struct Record {
    uint32_t type, bytes; // without this header, and without padding
} __attribute__((packed));
constexpr uint64_t kRecordAlignment = 4;
constexpr uint64_t kMostRecordBytes = 16 * kMiB;

enum RecordType : uint32_t {
    kEnd = 0,
    kName = 1,
    kAddress = 3,
    kSize = 4,
    kArguments = 6,
    kMemoryMap = 0x9001,
};

[[noreturn]] void refuse(const char* what, uint64_t a, uint64_t b) {
    fail_in(what, Error::freebsd_info, a, b);
}

struct Payload {
    uint32_t type;
    uint64_t phys;
    const uint8_t* start;
    uint64_t bytes;

    // An address or a size: as wide as in the loader that wrote it.
    uint64_t number() const {
        if (bytes >= sizeof(uint64_t))
            return read_unaligned<uint64_t>(start);
        if (bytes < sizeof(uint32_t))
            refuse("a record is too short for a number", phys, bytes);
        return read_unaligned<uint32_t>(start);
    }
    // It should end in a NUL; the record's end will do.
    Text text() const {
        const auto* text = reinterpret_cast<const char*>(start);
        uint64_t length = 0;
        while (length != bytes && text[length] != 0)
            ++length;
        return {text, length};
    }
};

// The record at the cursor, which moves to the next one.
Payload next_record(PhysMemory& memory, ModuleCursor& cursor) {
    const uint64_t left = cursor.end - cursor.at;
    if (left < sizeof(Record))
        refuse("the list of records does not end before the kernel's end", cursor.at, cursor.end);
    const auto record = *memory.at<Record>("freebsd record", cursor.at);
    if (record.bytes > left - sizeof(Record))
        refuse("a record is longer than the list", cursor.at, record.bytes);
    const uint64_t start = cursor.at + sizeof(Record);
    const uint64_t padded = (record.bytes + kRecordAlignment - 1) & ~(kRecordAlignment - 1);
    cursor.at = padded < cursor.end - start ? start + padded : cursor.end;
    return {record.type, start, memory.at("freebsd record", start, record.bytes), record.bytes};
}

void parse_kernel_record(const Payload& record, LoaderInfo& loader) {
    switch (record.type) {
    case kArguments:
        loader.cmdline = record.text();
        break;
    case kMemoryMap:
        if (record.bytes % sizeof(RawRange) != 0)
            refuse("the memory map is not of whole ranges", record.phys, record.bytes);
        loader.memory = {record.start, record.bytes, sizeof(RawRange), 0};
        break;
    }
}

// Reads what is said of the kernel, counts the other files, and leaves a cursor on
// the first of them.
void walk_records(PhysMemory& memory, Span list, LoaderInfo& loader) {
    ModuleCursor cursor = {list.start, list.end};
    uint64_t files = 0;
    for (uint64_t at = cursor.at;; at = cursor.at) {
        const Payload record = next_record(memory, cursor);
        if (record.type == kEnd)
            break;
        if (record.type == kName && ++files == 2)
            loader.modules = {at, list.end};
        if (files == 1)
            parse_kernel_record(record, loader);
    }
    loader.occupies(list.start, cursor.at - list.start);
    if (files < 2)
        return;
    loader.module_count = files - 1;
    if (loader.module_count > kMostModules)
        fail_in("freebsd module list", Error::too_many_entries, loader.module_count, kMostModules);
}

// Out of reach, or without an end, it is none: a kernel has defaults.
void parse_environment(PhysMemory& memory, uint64_t start, LoaderInfo& loader) {
    if (start == 0)
        return;
    uint64_t bytes = 0;
    for (bool more = true; more;) {
        const Text variable = text_at(memory, nullptr, start + bytes);
        bytes += variable.bytes + 1;
        if (variable.start == nullptr || bytes > kLongestText) {
            loader.left_out |= PROLOGUE_LEFT_OUT_ARGUMENT;
            return;
        }
        more = variable.bytes != 0;
    }
    loader.boot.environment = memory.seen<const char>(start);
    loader.boot.environment_bytes = bytes - 1;
    loader.occupies(start, bytes);
}

// What this boot does not read, and a kernel may want to.
void mark_the_rest(PhysMemory& memory, const Bootinfo& bootinfo, LoaderInfo& loader) {
    const Text name = text_at(memory, nullptr, bootinfo.kernel_name);
    if (name.start != nullptr)
        loader.may_occupy(bootinfo.kernel_name, name.bytes + 1);
    if (bootinfo.symbols_end > bootinfo.symbols)
        loader.may_occupy(bootinfo.symbols, bootinfo.symbols_end - bootinfo.symbols);
    loader.may_occupy(bootinfo.diskless, 1); // its length is not told
}

} // namespace

void prologue_parse_freebsd(PhysMemory& memory, uint64_t info, LoaderInfo& loader) {
    const auto stack = *memory.at<Stack>("freebsd stack", info);
    const auto bootinfo = *memory.at<Bootinfo>("freebsd bootinfo", stack.bootinfo);
    const Span list = {bootinfo.records, bootinfo.kernel_end};
    if (list.start == 0 || list.start > list.end || list.bytes() > kMostRecordBytes)
        refuse("the list of records cannot be between these addresses", list.start, list.end);

    loader.loader = PROLOGUE_LOADER_FREEBSD;
    loader.boot.howto = stack.howto;
    loader.boot.device = stack.device;
    loader.kernel_end = list.end;
    loader.occupies(info, sizeof stack);
    loader.occupies(stack.bootinfo, sizeof bootinfo);
    mark_the_rest(memory, bootinfo, loader);
    walk_records(memory, list, loader);
    parse_environment(memory, bootinfo.environment, loader);
    if (loader.memory.bytes == 0)
        refuse("the kernel's records have no memory map", list.start, list.end);
}

// By the stack, and by the bootinfo that it points to.
uint32_t prologue_recognise_freebsd(PhysMemory& memory, const EntryState& state, uint64_t& info) {
    if (state.mode == MODE_LONG64 || !memory.sees(state.sp, sizeof(Stack)))
        return 0;
    const auto& stack = *memory.seen<const Stack>(state.sp);
    if (stack.return_address == 0 || (stack.howto & kHasBootinfo) == 0 ||
        (stack.zero[0] | stack.zero[1] | stack.zero[2]) != 0 ||
        !memory.sees(stack.bootinfo, sizeof(Bootinfo)))
        return 0;
    const auto& bootinfo = *memory.seen<const Bootinfo>(stack.bootinfo);
    if (bootinfo.version != kVersion || bootinfo.bytes < sizeof bootinfo)
        return 0;
    info = state.sp;
    return FREEBSD_MAGIC;
}

// A module's string is its name, the path that it was loaded from.
bool prologue_next_freebsd_module(PhysMemory& memory, ModuleCursor& cursor, LoaderModule& module) {
    if (cursor.at == cursor.end)
        return false;
    const Payload name = next_record(memory, cursor);
    if (name.type != kName)
        return false;
    uint64_t start = 0, bytes = 0;
    for (ModuleCursor ahead = cursor;; cursor = ahead) {
        const Payload record = next_record(memory, ahead);
        if (record.type == kEnd || record.type == kName)
            break;
        if (record.type == kAddress)
            start = record.number();
        else if (record.type == kSize)
            bytes = record.number();
    }
    module.bytes = module_span("freebsd", start, bytes);
    module.cmdline = name.text();
    return true;
}

} // namespace prologue
