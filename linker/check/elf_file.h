// A kernel's ELF file, read through elfutils' libelf: what loaders and Prologue
// look at, in plain structures. Nothing in the file is believed: whatever lies
// outside of it is left out or says so, and nothing crashes.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "file_bytes.h"

namespace check {

struct Segment {
    unsigned index; // in the program headers
    uint32_t type;
    uint64_t offset, virt, phys, file_bytes, bytes, alignment;
    bool readable, writable, executable;

    // Sums of a stranger's numbers stay at the highest where they would wrap.
    uint64_t file_end() const;
    uint64_t virt_end() const;
    uint64_t phys_end() const;
};

struct Section {
    std::string name;
    uint32_t type;
    uint64_t virt, offset, bytes;
    bool in_memory, writable, executable, thread_local_;
};

struct Note {
    std::string owner; // without NULs at its end
    uint32_t type;
    uint64_t offset;      // of its head, in the file
    uint64_t desc_offset; // of what it says
    uint64_t desc_bytes;
    bool in_segment; // found by a walk through a PT_NOTE segment, as loaders do
    bool truncated;  // what it says goes on behind what it is in
};

class ElfFile {
public:
    // Throws Unreadable.
    explicit ElfFile(std::vector<uint8_t> contents);
    ElfFile(ElfFile&&);
    ~ElfFile();

    // ELF header.
    unsigned elf_class, encoding, type, machine;
    uint64_t entry;
    uint64_t program_headers; // file offset
    unsigned program_header_bytes;
    uint64_t program_header_count; // as the header says; `segments` has those that are there
    bool section_headers_outside;  // of the file

    std::vector<Segment> segments; // all kinds; of a table without end, its beginning
    std::vector<Segment> loads;    // the PT_LOADs, in the order of their headers
    std::vector<Section> sections;
    std::vector<Note> notes;                              // of any owner, in the file's order
    std::map<std::string, uint64_t, std::less<>> symbols; // Prologue's, if not stripped

    Bytes contents() const { return contents_; }

    // That much of the file; nothing if it is not all there.
    std::optional<Bytes> at(uint64_t offset, uint64_t count) const;
    std::optional<uint64_t> number(uint64_t offset, unsigned count) const; // little-endian
    uint32_t word(uint64_t offset) const; // 0 where the file has ended

    std::optional<uint64_t> symbol(std::string_view name) const;
    // By the loadable segments. An address in .bss has no place in the file.
    std::optional<uint64_t> physical(uint64_t virt) const;
    std::optional<uint64_t> physical_of_file(uint64_t offset) const;
    std::optional<uint64_t> offset_of(uint64_t virt) const;
    std::optional<Segment> holding_physical(uint64_t phys) const;
    std::optional<Segment> holding_virtual(uint64_t virt) const;

private:
    struct Handle;

    void read_header();
    void read_segments();
    void read_sections();
    void read_symbols(void* section, uint64_t string_table);
    void read_notes();
    void walk_notes(const Segment& segment);
    void find_lost_notes();
    void scan_for_notes(const Segment& segment, std::string_view owner);

    std::vector<uint8_t> contents_;
    std::set<uint64_t> note_offsets_;
    std::unique_ptr<Handle> handle_;
};

} // namespace check
