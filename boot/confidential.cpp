#include "confidential.h"

#include "boot_params.h"
#include "contract_magic.h"

namespace prologue {
namespace {

// UEFI's, of 64 bits: no firmware of 32 bits starts an SEV guest.
struct SystemTable {
    static constexpr uint64_t kSignature = 0x5453595320494249; // "IBI SYST"
    uint64_t signature;
    uint8_t unread[96];
    uint64_t table_count;
    uint64_t tables;
} __attribute__((packed));
static_assert(sizeof(SystemTable) == 120);

struct ConfigurationTable {
    uint64_t guid_low, guid_high;
    uint64_t table;
} __attribute__((packed));

// 067b1f5f-cf26-44c5-8554-93d777912d42
constexpr uint64_t kGuidLow = 0x44c5cf26067b1f5f, kGuidHigh = 0x422d9177d7935485;
constexpr uint32_t kEfi64Signature = 0x34364c45; // "EL64", in boot_params
constexpr uint64_t kMostTables = 1024;           // a list that never ends is no list
constexpr uint64_t kMostSetupData = 64;          // as linux.cpp has it

struct Multiboot2Header {
    uint32_t bytes, reserved;
} __attribute__((packed));
struct Multiboot2Tag {
    uint32_t type, bytes;
} __attribute__((packed));
struct Multiboot2Efi64 {
    Multiboot2Tag tag;
    uint64_t system_table;
} __attribute__((packed));
constexpr uint32_t kTagEnd = 0, kTagEfi64 = 12;
constexpr uint32_t kMostTagBytes = 16 * kMiB;

class Search {
public:
    explicit Search(PhysMemory& memory) : memory_(memory) {}
    ConfidentialPages found;

    void by_linux(uint64_t info);
    void by_multiboot2(uint64_t info);

private:
    // What should be there, and counts as wrong where it cannot be read.
    template <class T>
    const T* look(uint64_t phys) {
        const bool seen = memory_.reach(phys, sizeof(T));
        found.wrong = found.wrong || !seen;
        return seen ? memory_.seen<const T>(phys) : nullptr;
    }
    void by_setup_data(uint64_t at);
    void by_system_table(uint64_t phys);
    void by_tables(uint64_t phys, uint64_t count);
    void by_blob(uint64_t phys);
    static bool is_page(uint64_t phys, uint32_t bytes) {
        return phys != 0 && phys % kPage == 0 && bytes >= kPage && phys < kMostPhysical;
    }

    PhysMemory& memory_;
};

void Search::by_blob(uint64_t phys) {
    const auto* const at = look<ConfidentialBlob>(phys);
    if (at == nullptr)
        return;
    const auto blob = read_unaligned<ConfidentialBlob>(at);
    const bool has_secrets = blob.secrets != 0; // nobody needs them to boot
    found.told = true;
    found.wrong = blob.magic != ConfidentialBlob::kMagic ||
                  !is_page(blob.cpuid, blob.cpuid_bytes) ||
                  (has_secrets && !is_page(blob.secrets, blob.secrets_bytes));
    found.blob = {phys, phys + sizeof blob};
    found.cpuid = {blob.cpuid, blob.cpuid + kPage};
    if (has_secrets)
        found.secrets = {blob.secrets, blob.secrets + kPage};
}

void Search::by_tables(uint64_t phys, uint64_t count) {
    for (; count != 0; --count, phys += sizeof(ConfigurationTable)) {
        const auto* const entry = look<ConfigurationTable>(phys);
        if (entry == nullptr)
            return;
        if (entry->guid_low == kGuidLow && entry->guid_high == kGuidHigh)
            return by_blob(entry->table);
    }
}

void Search::by_system_table(uint64_t phys) {
    const auto* const table = look<SystemTable>(phys);
    if (table == nullptr)
        return;
    found.wrong = table->signature != SystemTable::kSignature || table->table_count > kMostTables ||
                  table->tables >= kMostPhysical;
    if (found.wrong)
        return;
    found.system_table = {phys, phys + sizeof *table};
    found.efi_tables = {table->tables,
                        table->tables + table->table_count * sizeof(ConfigurationTable)};
    by_tables(table->tables, table->table_count);
}

void Search::by_setup_data(uint64_t at) {
    struct Piece {
        SetupData data;
        uint32_t blob;
    } __attribute__((packed));
    constexpr uint32_t kTypeBlob = 7;
    for (uint64_t left = kMostSetupData; at != 0 && left != 0; --left) {
        const auto* const data = look<SetupData>(at);
        if (data == nullptr)
            return;
        if (data->type == kTypeBlob) {
            if (const auto* const piece = look<Piece>(at))
                by_blob(piece->blob);
            return;
        }
        at = data->next;
    }
}

void Search::by_linux(uint64_t info) {
    constexpr uint64_t kBlobAt = 0x13c;
    constexpr uint16_t kHasSetupData = 0x0209;
    const auto* const params = look<BootParams>(info);
    if (params == nullptr)
        return;
    found.information = {info, info + kPage};
    const bool cleared = params->sentinel == 0;
    const auto blob = read_unaligned<uint32_t>(reinterpret_cast<const uint8_t*>(params) + kBlobAt);
    if (cleared && blob != 0)
        return by_blob(blob);
    const uint16_t version = params->version; // 0: the loader of an ELF file has copied no header
    if (version >= kHasSetupData || (version == 0 && cleared))
        by_setup_data(params->setup_data);
    const EfiInfo& efi = params->efi;
    if (!found.told && !found.wrong && read_unaligned<uint32_t>(efi.signature) == kEfi64Signature)
        by_system_table(uint64_t{efi.system_table_high} << 32 | efi.system_table);
}

void Search::by_multiboot2(uint64_t info) {
    const auto* const header = look<Multiboot2Header>(info);
    if (header == nullptr)
        return;
    const uint64_t end = info + (header->bytes < kMostTagBytes ? header->bytes : kMostTagBytes);
    found.information = {info, end};
    uint64_t at = info + sizeof *header;
    while (at + sizeof(Multiboot2Tag) <= end) {
        const auto* const tag = look<Multiboot2Tag>(at);
        if (tag == nullptr || tag->type == kTagEnd || tag->bytes < sizeof *tag)
            return;
        if (tag->type == kTagEfi64 && tag->bytes >= sizeof(Multiboot2Efi64)) {
            if (const auto* const efi = look<Multiboot2Efi64>(at))
                by_system_table(efi->system_table);
            return;
        }
        at += (uint64_t{tag->bytes} + 7) & ~uint64_t{7};
    }
}

} // namespace

ConfidentialPages find_confidential_pages(PhysMemory& memory, uint32_t magic, uint64_t info) {
    Search search(memory);
    if (magic == LINUX_MAGIC)
        search.by_linux(info);
    if (magic == MULTIBOOT2_MAGIC)
        search.by_multiboot2(info);
    return search.found;
}

bool lie_apart(const ConfidentialPages& pages, const ImageWithPages& image) {
    const auto is_apart = [&](const Span& page, uint64_t own_place) {
        return !page.overlaps(pages.information) && !page.overlaps(pages.system_table) &&
               !page.overlaps(pages.efi_tables) && !page.overlaps(pages.blob) &&
               (page.start == own_place || !page.overlaps(image.span));
    };
    return is_apart(pages.cpuid, image.cpuid) && is_apart(pages.secrets, image.secrets) &&
           !pages.cpuid.overlaps(pages.secrets);
}

} // namespace prologue
