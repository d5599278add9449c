#include "elf_file.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <gelf.h>
#include <libelf.h>

namespace check {
namespace {

constexpr uint64_t kHighest = std::numeric_limits<uint64_t>::max();

uint64_t sum(uint64_t a, uint64_t b) {
    return a > kHighest - b ? kHighest : a + b;
}

bool lies_in(uint64_t value, uint64_t start, uint64_t bytes) {
    return value >= start && value - start < bytes;
}

constexpr uint64_t round_up_to_4(uint64_t value) {
    return (value + 3) & ~uint64_t{3};
}

constexpr uint64_t kNoteHead = 12; // bytes of name, of descriptor, type
constexpr size_t kMostSegmentsRead = 1024;

bool is_ours(std::string_view name) {
    return name.starts_with("prologue_") || name.starts_with("__start_prologue_") ||
           name.starts_with("__stop_prologue_");
}

} // namespace

uint64_t Segment::file_end() const {
    return sum(offset, file_bytes);
}
uint64_t Segment::virt_end() const {
    return sum(virt, bytes);
}
uint64_t Segment::phys_end() const {
    return sum(phys, bytes);
}

struct ElfFile::Handle {
    Elf* elf;

    explicit Handle(std::vector<uint8_t>& contents)
        : elf(elf_memory(reinterpret_cast<char*>(contents.data()), contents.size())) {}
    ~Handle() { elf_end(elf); }
};

ElfFile::ElfFile(std::vector<uint8_t> contents) : contents_(std::move(contents)) {
    elf_version(EV_CURRENT);
    handle_ = std::make_unique<Handle>(contents_);
    if (handle_->elf == nullptr || elf_kind(handle_->elf) != ELF_K_ELF)
        throw Unreadable("not an ELF file");
    read_header();
    read_segments();
    read_sections();
    read_notes();
}

ElfFile::ElfFile(ElfFile&&) = default;
ElfFile::~ElfFile() = default;

void ElfFile::read_header() {
    GElf_Ehdr header;
    if (gelf_getehdr(handle_->elf, &header) == nullptr)
        throw Unreadable("not an ELF file that has a header");
    elf_class = header.e_ident[EI_CLASS];
    encoding = header.e_ident[EI_DATA];
    type = header.e_type;
    machine = header.e_machine;
    entry = header.e_entry;
    program_headers = header.e_phoff;
    program_header_bytes = header.e_phentsize;
    program_header_count = header.e_phnum;
    const uint64_t table = uint64_t{header.e_shentsize} * header.e_shnum;
    section_headers_outside = header.e_shoff != 0 && !at(header.e_shoff, table);
}

void ElfFile::read_segments() {
    size_t count = 0;
    if (elf_getphdrnum(handle_->elf, &count) != 0)
        return;
    for (size_t i = 0; i != std::min(count, kMostSegmentsRead); ++i) {
        GElf_Phdr header;
        if (gelf_getphdr(handle_->elf, static_cast<int>(i), &header) == nullptr)
            return;
        segments.push_back({static_cast<unsigned>(i), header.p_type, header.p_offset,
                            header.p_vaddr, header.p_paddr, header.p_filesz, header.p_memsz,
                            header.p_align, (header.p_flags & PF_R) != 0,
                            (header.p_flags & PF_W) != 0, (header.p_flags & PF_X) != 0});
        if (header.p_type == PT_LOAD)
            loads.push_back(segments.back());
    }
}

void ElfFile::read_sections() {
    size_t names = 0;
    elf_getshdrstrndx(handle_->elf, &names);
    Elf_Scn* section = nullptr;
    while ((section = elf_nextscn(handle_->elf, section)) != nullptr) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == nullptr)
            continue;
        const char* name = elf_strptr(handle_->elf, names, header.sh_name);
        sections.push_back(
            {name != nullptr ? name : "", header.sh_type, header.sh_addr, header.sh_offset,
             header.sh_size, (header.sh_flags & SHF_ALLOC) != 0, (header.sh_flags & SHF_WRITE) != 0,
             (header.sh_flags & SHF_EXECINSTR) != 0, (header.sh_flags & SHF_TLS) != 0});
        if (header.sh_type == SHT_SYMTAB)
            read_symbols(section, header.sh_link);
    }
}

void ElfFile::read_symbols(void* section, uint64_t string_table) {
    Elf_Data* data = elf_getdata(static_cast<Elf_Scn*>(section), nullptr);
    GElf_Sym symbol;
    for (int i = 0; gelf_getsym(data, i, &symbol) != nullptr; ++i) {
        const char* name = elf_strptr(handle_->elf, string_table, symbol.st_name);
        if (name != nullptr && is_ours(name) && symbol.st_shndx != SHN_UNDEF)
            symbols.emplace(name, symbol.st_value);
    }
}

void ElfFile::read_notes() {
    for (const Segment& segment : segments)
        if (segment.type == PT_NOTE)
            walk_notes(segment);
    find_lost_notes();
    std::sort(notes.begin(), notes.end(),
              [](const Note& a, const Note& b) { return a.offset < b.offset; });
}

// Notes are aligned to 4, whatever p_align says: so say the ABI of x86-64 and all
// that read them well.
void ElfFile::walk_notes(const Segment& segment) {
    Elf_Data* data = elf_getdata_rawchunk(handle_->elf, static_cast<int64_t>(segment.offset),
                                          segment.file_bytes, ELF_T_NHDR);
    if (data == nullptr)
        return;
    GElf_Nhdr head;
    size_t name = 0, desc = 0, at_offset = 0;
    while (at_offset < data->d_size) {
        const size_t next = gelf_getnote(data, at_offset, &head, &name, &desc);
        if (next == 0)
            return;
        const auto* text = static_cast<const char*>(data->d_buf) + name;
        if (note_offsets_.insert(segment.offset + at_offset).second)
            notes.push_back({std::string(text, strnlen(text, head.n_namesz)), head.n_type,
                             segment.offset + at_offset, segment.offset + desc, head.n_descsz, true,
                             false});
        at_offset = next;
    }
}

// Notes of Xen's and of ours that are in memory but that no walk has reached. An
// image may hold another kernel's file, notes and all: so where an owner's notes
// were found, only what lies among notes is another.
void ElfFile::find_lost_notes() {
    for (const std::string_view owner : {"Xen", "Prologue"}) {
        const bool none = std::none_of(notes.begin(), notes.end(),
                                       [&](const Note& note) { return note.owner == owner; });
        for (const Segment& segment : segments)
            if (segment.type == PT_NOTE || (none && segment.type == PT_LOAD))
                scan_for_notes(segment, owner);
    }
}

void ElfFile::scan_for_notes(const Segment& segment, std::string_view owner) {
    const uint64_t name_bytes = owner.size() + 1;
    const uint64_t before_desc = kNoteHead + round_up_to_4(name_bytes);
    const uint64_t end = std::min<uint64_t>(segment.file_end(), contents_.size());
    uint64_t head = round_up_to_4(std::min(segment.offset, end));
    for (; head + before_desc <= end; head += 4)
        if (word(head) == name_bytes &&
            std::memcmp(&contents_[head + kNoteHead], owner.data(), name_bytes) == 0 &&
            note_offsets_.insert(head).second)
            notes.push_back({std::string(owner), word(head + 8), head, head + before_desc,
                             word(head + 4), false, word(head + 4) > end - head - before_desc});
}

std::optional<Bytes> ElfFile::at(uint64_t offset, uint64_t count) const {
    return bytes_at(contents_, offset, count);
}

std::optional<uint64_t> ElfFile::number(uint64_t offset, unsigned count) const {
    return number_at(contents_, offset, count);
}

uint32_t ElfFile::word(uint64_t offset) const {
    return static_cast<uint32_t>(number(offset, 4).value_or(0));
}

std::optional<uint64_t> ElfFile::symbol(std::string_view name) const {
    const auto found = symbols.find(name);
    return found == symbols.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Segment> ElfFile::holding_virtual(uint64_t virt) const {
    for (const Segment& segment : loads)
        if (lies_in(virt, segment.virt, segment.bytes))
            return segment;
    return std::nullopt;
}

std::optional<Segment> ElfFile::holding_physical(uint64_t phys) const {
    for (const Segment& segment : loads)
        if (lies_in(phys, segment.phys, segment.bytes))
            return segment;
    return std::nullopt;
}

std::optional<uint64_t> ElfFile::physical(uint64_t virt) const {
    const std::optional<Segment> segment = holding_virtual(virt);
    return segment ? std::optional(virt - segment->virt + segment->phys) : std::nullopt;
}

std::optional<uint64_t> ElfFile::physical_of_file(uint64_t offset) const {
    for (const Segment& segment : loads)
        if (lies_in(offset, segment.offset, segment.file_bytes))
            return offset - segment.offset + segment.phys;
    return std::nullopt;
}

std::optional<uint64_t> ElfFile::offset_of(uint64_t virt) const {
    const std::optional<Segment> segment = holding_virtual(virt);
    if (!segment || virt - segment->virt >= segment->file_bytes)
        return std::nullopt;
    return virt - segment->virt + segment->offset;
}

} // namespace check
