// Sources: Linux Documentation/arch/x86/boot.rst, zero-page.rst; UEFI 2.10, section 4.6.
#include "information.h"

#include "boot_services.h"
#include "bytes.h"
#include "contract_magic.h"
#include "efi_map.h"
#include "linux_note.h"

namespace prologue::efi {
namespace {

constexpr uint32_t kBootServicesRun = BOOT_SERVICES_RUN;
constexpr uint64_t kMostCuts = 3; // of a descriptor in two, and what is between
constexpr uint64_t kMostTables = 4096;
constexpr uint64_t kHeaderRest = 0x66; // up to the end of protocol 2.15's header

constexpr uint32_t low(uint64_t value) {
    return static_cast<uint32_t>(value);
}
constexpr uint32_t high(uint64_t value) {
    return static_cast<uint32_t>(value >> 32);
}

// Of the configuration tables with that GUID the first that is where memory can be; 0 where there
// is none.
uint64_t find_table(const SystemTable& system, const Guid& guid) {
    if (system.tables == nullptr)
        return 0;
    for (uint64_t i = 0; i != system.table_count; ++i) {
        const uint64_t phys = system.tables[i].phys;
        if (phys != 0 && phys < kMostPhysical &&
            read_unaligned<Guid>(&system.tables[i].guid) == guid)
            return phys;
    }
    return 0;
}

uint64_t either(uint64_t first, uint64_t second) {
    return first != 0 ? first : second;
}

// Ranges one behind the other, with neighbours of one type made one.
class RangeWriter {
public:
    RangeWriter(RawRange* first, RawRange* more) : first_(first), more_(more) {}

    void add(uint64_t start, uint64_t bytes, uint32_t type) {
        if (bytes == 0)
            return;
        if (last_ != nullptr && last_->e820_type == type && last_->start < start &&
            last_->start + last_->bytes == start)
            last_->bytes += bytes;
        else
            *(last_ = place_for(count_++)) = {start, bytes, type};
    }

    uint64_t in_first() const { return count_ < kE820Entries ? count_ : kE820Entries; }
    uint64_t in_more() const { return count_ - in_first(); }

private:
    RawRange* place_for(uint64_t index) const {
        return index < kE820Entries ? first_ + index : more_ + (index - kE820Entries);
    }

    RawRange* first_;
    RawRange* more_;
    RawRange* last_ = nullptr;
    uint64_t count_ = 0;
};

} // namespace

Information::Information(Firmware& firmware, Text16 options) : map_(firmware) {
    const uint64_t cmdline_bytes = to_utf8(options, nullptr);
    if (cmdline_bytes > CMDLINE_MOST)
        refuse("the command line is too long: bytes, at most", cmdline_bytes, CMDLINE_MOST);
    const uint64_t pieces = kBootParamsBytes,
                   more = pieces + sizeof *stub_piece_ + sizeof *blob_piece_ + sizeof *seed_piece_;
    const uint64_t cmdline = more + sizeof *more_memory_ +
                             (map_.most() + kMostCuts) * sizeof(RawRange);
    const uint64_t bytes = page_up(cmdline + cmdline_bytes + 1);
    span_.start = firmware.allocate(kNoLowMemory, bytes, 4 * kGiB);
    span_.end = span_.start + bytes;
    clear_bytes(reinterpret_cast<void*>(span_.start), bytes);
    params_ = reinterpret_cast<BootParams*>(span_.start);
    stub_piece_ = reinterpret_cast<StubPiece*>(span_.start + pieces);
    blob_piece_ = reinterpret_cast<ConfidentialComputingPiece*>(stub_piece_ + 1);
    seed_piece_ = reinterpret_cast<SeedPiece*>(blob_piece_ + 1);
    more_memory_ = reinterpret_cast<SetupData*>(span_.start + more);

    params_->header_rest = kHeaderRest;
    params_->magic = LINUX_MAGIC;
    params_->version = LINUX_PROTOCOL;
    params_->cmdline = low(span_.start + cmdline);
    to_utf8(options, reinterpret_cast<char*>(span_.start + cmdline));
    stub_piece_->magic = kStubMagic;
    chain(stub_piece_->data, kStubPiece, sizeof *stub_piece_);
}

// Puts a piece of setup_data at the list's end; `bytes` with its head.
void Information::chain(SetupData& piece, uint32_t type, uint64_t bytes) {
    piece.next = 0;
    piece.type = type;
    piece.bytes = static_cast<uint32_t>(bytes - sizeof(SetupData));
    const auto at = reinterpret_cast<uintptr_t>(&piece);
    if (last_ != nullptr)
        last_->next = at;
    else
        params_->setup_data = at;
    if (last_ != &piece)
        last_ = &piece;
}

void Information::put_initrd(Span initrd) {
    params_->ramdisk_start = low(initrd.start);
    params_->ramdisk_start_high = high(initrd.start);
    params_->ramdisk_bytes = low(initrd.bytes());
    params_->ramdisk_bytes_high = high(initrd.bytes());
}

void Information::put_tables(const SystemTable& system) {
    if (system.table_count > kMostTables)
        refuse("there are too many configuration tables: tables, at most", system.table_count,
               kMostTables);
    params_->rsdp = either(find_table(system, kAcpi2Table), find_table(system, kAcpi1Table));
    stub_piece_->smbios_phys = either(find_table(system, kSmbios3Table),
                                      find_table(system, kSmbiosTable));
    const auto system_table = reinterpret_cast<uintptr_t>(&system);
    params_->efi = {.signature = {'E', 'L', '6', '4'},
                    .system_table = low(system_table),
                    .system_table_high = high(system_table)};
    const uint64_t blob = find_table(system, kConfidentialComputingBlob);
    if (blob == 0 || high(blob) != 0) // setup_data has 32 bits for it
        return;
    params_->cc_blob = low(blob);
    blob_piece_->blob_phys = low(blob);
    chain(blob_piece_->data, kConfidentialComputing, sizeof *blob_piece_);
}

void Information::put_seed(const Firmware& firmware) {
    void* found = nullptr;
    if (firmware.services().locate_protocol(&kRandomProtocol, nullptr, &found) != kSuccess)
        return;
    auto* const generator = static_cast<RandomGenerator*>(found);
    if (generator->get_random(generator, nullptr, sizeof seed_piece_->seed, seed_piece_->seed) ==
        kSuccess)
        chain(seed_piece_->data, kSeed, sizeof *seed_piece_);
}

void Information::leave_running(Firmware& firmware) {
    stub_piece_->image_handle = reinterpret_cast<uintptr_t>(firmware.image());
    copy_bytes(reinterpret_cast<char*>(params_) + BOOT_PARAMS_SCRATCH, &kBootServicesRun,
               sizeof kBootServicesRun);
    Span own;
    own.start = firmware.allocate(kNoLowMemory, kOwnBytes, 4 * kGiB);
    own.end = own.start + kOwnBytes;
    put_map(kInFirmwaresUse, own);
}

uint64_t Information::put_map(uint32_t free, Span own) {
    uint64_t key;
    map_.read(key);
    RangeWriter ranges(params_->e820, reinterpret_cast<RawRange*>(more_memory_ + 1));
    for (const Descriptor& from : map_) {
        const Span span = {from.start, from.start + bytes_of(from)};
        const Span cut = own.shared(span);
        const uint64_t before = cut.bytes() != 0 ? cut.start - span.start : span.bytes();
        const uint32_t type = e820_type_of_efi(from.type, from.attributes, free);
        ranges.add(span.start, before, type);
        ranges.add(cut.start, cut.bytes(), kE820Usable);
        ranges.add(cut.end, span.bytes() - before - cut.bytes(), type);
    }
    params_->e820_count = static_cast<uint8_t>(ranges.in_first());
    const uint64_t more_bytes = ranges.in_more() * sizeof(RawRange);
    more_memory_->bytes = static_cast<uint32_t>(more_bytes);
    if (more_bytes != 0 && last_ != more_memory_)
        chain(*more_memory_, kE820Extension, sizeof(SetupData) + more_bytes);
    EfiInfo& efi = params_->efi;
    efi.descriptor_bytes = static_cast<uint32_t>(map_.stride());
    efi.descriptor_version = map_.version();
    efi.memory_map = low(map_.start());
    efi.memory_map_high = high(map_.start());
    efi.memory_map_bytes = static_cast<uint32_t>(map_.bytes());
    return key;
}

} // namespace prologue::efi
