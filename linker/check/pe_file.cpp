#include "pe_file.h"

#include "stub_header.h"

namespace check {
namespace {

constexpr uint64_t kHeaderAt = 0x3c;
constexpr uint64_t kOptional = 24;                          // from the header on
constexpr uint64_t kDirectories = 112, kDirectoryBytes = 8; // from the optional header on
constexpr unsigned kCertificates = 4, kRelocations = 5;
constexpr uint64_t kSectionBytes = 40;
constexpr uint32_t kCode = 0x20, kExecute = 0x20000000, kRead = 0x40000000, kWrite = 0x80000000;

} // namespace

bool PeFile::is_one(Bytes contents) {
    return contents.size() >= 2 && contents[0] == 'M' && contents[1] == 'Z';
}

PeFile::PeFile(std::vector<uint8_t> contents) : contents_(std::move(contents)) {
    read_headers();
    read_sections();
    find_stub();
}

uint64_t PeFile::field(uint64_t offset, unsigned count, const char* of) {
    const std::optional<uint64_t> value = number_at(contents_, offset, count);
    if (!value && missing.empty())
        missing = of;
    return value.value_or(0);
}

void PeFile::read_headers() {
    const char* const what = "the PE header";
    header = field(kHeaderAt, 4, what);
    signature = field(header, 4, what);
    machine = field(header + 4, 2, what);
    section_count = field(header + 6, 2, what);
    optional_bytes = field(header + 20, 2, what);
    characteristics = field(header + 22, 2, what);
    const uint64_t optional = header + kOptional;
    magic = field(optional, 2, what);
    entry_address = field(optional + 16, 4, what);
    section_alignment = field(optional + 32, 4, what);
    file_alignment = field(optional + 36, 4, what);
    image_bytes = field(optional + 56, 4, what);
    headers_bytes = field(optional + 60, 4, what);
    subsystem = field(optional + 68, 2, what);
    dll_characteristics = field(optional + 70, 2, what);
    const uint64_t directories = field(optional + 108, 4, what);
    const auto directory = [&](unsigned index) -> PeDirectory {
        const uint64_t at = kDirectories + index * kDirectoryBytes;
        if (index >= directories || at + kDirectoryBytes > optional_bytes)
            return {};
        return {field(optional + at, 4, what), field(optional + at + 4, 4, what)};
    };
    certificates = directory(kCertificates);
    relocations = directory(kRelocations);
}

void PeFile::read_sections() {
    uint64_t at = header + kOptional + optional_bytes;
    table_end = at + section_count * kSectionBytes;
    if (!bytes_at(contents_, at, section_count * kSectionBytes)) {
        if (missing.empty())
            missing = "the section headers";
        return;
    }
    for (; at != table_end; at += kSectionBytes) {
        const auto number = [&](uint64_t offset) { return *number_at(contents_, at + offset, 4); };
        const uint64_t rights = number(36);
        PeSection section = {.address = number(12),
                             .bytes = number(8),
                             .offset = number(20),
                             .file_bytes = number(16),
                             .code = (rights & kCode) != 0,
                             .readable = (rights & kRead) != 0,
                             .writable = (rights & kWrite) != 0,
                             .executable = (rights & kExecute) != 0};
        for (uint64_t i = at; i != at + 8 && contents_[i] != 0; ++i)
            section.name += static_cast<char>(contents_[i]);
        sections.push_back(std::move(section));
    }
}

// At the beginning of a section that is executed.
void PeFile::find_stub() {
    using prologue::efi::StubHeader;
    for (const PeSection& section : sections) {
        const auto number = [&](size_t at, unsigned count) {
            return *number_at(contents_, section.offset + at, count);
        };
        if (!section.executable || !bytes_at(contents_, section.offset, sizeof(StubHeader)) ||
            number(offsetof(StubHeader, magic), 8) != STUB_MAGIC)
            continue;
        const auto to_kernel = static_cast<int32_t>(number(offsetof(StubHeader, kernel), 4));
        stub = {.kernel_address = section.address + static_cast<uint64_t>(int64_t{to_kernel}),
                .kernel_bytes = number(offsetof(StubHeader, kernel_bytes), 4),
                .load_start = number(offsetof(StubHeader, load_start), 8),
                .memory_bytes = number(offsetof(StubHeader, memory_bytes), 8),
                .kernel_entry = number(offsetof(StubHeader, kernel_entry), 4)};
        return;
    }
}

const PeSection* PeFile::holding(uint64_t address, uint64_t bytes) const {
    for (const PeSection& section : sections)
        if (address >= section.address && address - section.address <= section.file_bytes &&
            bytes <= section.file_bytes - (address - section.address))
            return &section;
    return nullptr;
}

std::optional<uint64_t> PeFile::entry(LoaderId loader) const {
    if (kLoaders[loader].contract != Contract::efi || !stub)
        return std::nullopt;
    return stub->load_start + stub->kernel_entry;
}

} // namespace check
