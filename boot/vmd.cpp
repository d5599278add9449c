// OpenBSD's boot arguments, as vmd and OpenBSD's own boot loader leave them:
// words on the stack, and a list of records to which the last word points.
// Sources: OpenBSD sys/arch/amd64/include/biosvar.h, usr.sbin/vmd/loadfile_elf.c.
#include "contract_magic.h"
#include "entry_state.h"
#include "errors.h"
#include "loader_info.h"

namespace prologue {
namespace {

// What the stack pointer points at.
struct Stack {
    uint32_t return_address; // 0
    uint32_t howto;
    uint32_t device;
    uint32_t api_version;
    uint32_t kernel_end;
    uint32_t extended_kib, base_kib;
    uint32_t list_bytes; // may leave out the record that ends the list
    uint32_t list;
} __attribute__((packed));
static_assert(sizeof(Stack) == 0x24);
constexpr uint32_t kApiVersion = 0x0e;
constexpr uint32_t kMostListBytes = 64 * 1024;

struct Record {
    uint32_t type;
    uint32_t bytes; // with this header
    uint32_t next;  // nobody reads it: records stand one behind the other
};
static_assert(sizeof(Record) == 12);

enum RecordType : uint32_t {
    kMemoryMap = 0,
    kConsole = 5,
    kMac = 7,
    kEnd = 0xffffffff,
};

struct OldConsole {
    uint32_t device, speed, address, frequency;
};

constexpr uint32_t kMacBytes = 6;

[[noreturn]] void refuse(const char* what, uint64_t a, uint64_t b) {
    fail_in(what, Error::vmd_info, a, b);
}

// The ranges before the one of type 0, which ends the map where the record does not.
RawMap memory_map(const uint8_t* entries, uint32_t bytes) {
    uint64_t used = 0;
    while (bytes - used >= sizeof(RawRange) &&
           reinterpret_cast<const RawRange*>(entries + used)->e820_type != 0)
        used += sizeof(RawRange);
    return {entries, used, sizeof(RawRange), 0};
}

// The newer console is what the handoff has.
void parse_console(const uint8_t* payload, uint32_t bytes, prologue_console& console) {
    if (bytes >= sizeof console) {
        console = read_unaligned<prologue_console>(payload);
        return;
    }
    const auto old = read_unaligned<OldConsole>(payload);
    console = {.device = old.device,
               .speed = old.speed,
               .address = old.address,
               .frequency = old.frequency};
}

// How much a record must hold behind its header to be of use.
constexpr uint32_t least_payload(uint32_t type) {
    return type == kConsole ? sizeof(OldConsole) : type == kMac ? kMacBytes : 0;
}

void parse_record(uint32_t type, const uint8_t* payload, uint32_t bytes, LoaderInfo& loader) {
    switch (type) {
    case kMemoryMap:
        loader.memory = memory_map(payload, bytes);
        break;
    case kConsole:
        parse_console(payload, bytes, loader.boot.console);
        break;
    case kMac:
        __builtin_memcpy(loader.boot.mac, payload, kMacBytes);
        loader.boot.mac_bytes = kMacBytes;
        break;
    }
}

void walk_list(PhysMemory& memory, uint64_t start, uint64_t bytes, LoaderInfo& loader) {
    const uint8_t* const list = memory.at("vmd boot arguments", start, bytes);
    for (uint64_t at = 0; bytes - at >= sizeof(Record);) {
        const auto record = read_unaligned<Record>(list + at);
        if (record.type == kEnd)
            return;
        if (record.bytes < sizeof(Record) || record.bytes > bytes - at)
            refuse("a boot argument is too short, or longer than the list", start + at,
                   record.bytes);
        const uint32_t payload = record.bytes - sizeof(Record);
        if (payload < least_payload(record.type))
            loader.left_out |= PROLOGUE_LEFT_OUT_ARGUMENT;
        else
            parse_record(record.type, list + at + sizeof(Record), payload, loader);
        at += record.bytes;
    }
}

} // namespace

void prologue_parse_vmd(PhysMemory& memory, uint64_t info, LoaderInfo& loader) {
    const auto stack = *memory.at<Stack>("vmd stack", info);
    if (stack.list_bytes > kMostListBytes)
        refuse("the boot arguments are too long", stack.list, stack.list_bytes);
    loader.loader = PROLOGUE_LOADER_VMD;
    loader.boot.howto = stack.howto;
    loader.boot.device = stack.device;
    loader.kernel_end = stack.kernel_end;
    loader.occupies(info, sizeof stack);
    loader.occupies(stack.list, stack.list_bytes);
    walk_list(memory, stack.list, stack.list_bytes, loader);
    if (loader.memory.bytes == 0)
        refuse("the boot arguments have no memory map", stack.list, stack.list_bytes);
}

// By the stack: it is where the loader says nothing else.
uint32_t prologue_recognise_vmd(PhysMemory& memory, const EntryState& state, uint64_t& info) {
    if (state.mode == MODE_LONG64 || !memory.sees(state.sp, sizeof(Stack)))
        return 0;
    const auto& stack = *memory.seen<const Stack>(state.sp);
    if (stack.return_address != 0 || stack.api_version != kApiVersion || stack.list == 0 ||
        stack.list_bytes < sizeof(Record))
        return 0;
    info = state.sp;
    return VMD_MAGIC;
}

bool prologue_next_vmd_module(PhysMemory&, ModuleCursor&, LoaderModule&) {
    return false;
}

} // namespace prologue
