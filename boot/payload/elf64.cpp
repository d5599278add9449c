#include "elf64.h"

#include "elf.h"
#include "phys_memory.h"
#include "refusals.h"

namespace prologue {
namespace {

constexpr uint32_t kElfMagic = 0x464c457f;
constexpr uint32_t kInterpreter = 3; // ProgramHeader.type
constexpr uint32_t kPayloadNote = 0x70; // prologue/payload.h
constexpr char kOwner[] = "Prologue";

struct NoteHeader {
    uint32_t name_bytes, bytes, type;
};

// A file whose every read is checked.
struct File {
    const uint8_t* bytes;
    uint64_t size;

    void check(const char* what, uint64_t offset, uint64_t count) const {
        if (offset > size || count > size - offset)
            refuse_in(what, Refusal::elf_cut, offset + count, size);
    }
    template <class T>
    T at(const char* what, uint64_t offset) const {
        check(what, offset, sizeof(T));
        return read_unaligned<T>(bytes + offset);
    }
};

void expect(const char* field, uint64_t is, uint64_t due) {
    if (is != due)
        refuse_in(field, Refusal::elf_header, is, due);
}

ElfHeader read_header(const File& file) {
    const auto header = file.at<ElfHeader>("the header", 0);
    expect("EI_MAG", read_unaligned<uint32_t>(header.ident), kElfMagic);
    expect("EI_CLASS", header.ident[4], 2);
    expect("EI_DATA", header.ident[5], 1);
    expect("EI_VERSION", header.ident[6], 1);
    expect("e_type", header.type, 2); // ET_EXEC
    expect("e_machine", header.machine, 62);
    expect("e_version", header.version, 1);
    expect("e_ehsize", header.header_bytes, sizeof(ElfHeader));
    expect("e_phentsize", header.program_header_bytes, sizeof(ProgramHeader));
    if (header.program_header_count == 0 || header.program_header_count > kMostHeaders)
        refuse_in("e_phnum", Refusal::elf_header, header.program_header_count, kMostHeaders);
    file.check("the table of program headers", header.program_headers,
               header.program_header_count * sizeof(ProgramHeader));
    return header;
}

constexpr uint64_t align4(uint64_t bytes) {
    return (bytes + 3) & ~uint64_t{3};
}

// Is there the note in a PT_NOTE? Each note's fields have 32 bits: their sums cannot wrap.
bool has_payload_note(const File& file, const ProgramHeader& notes) {
    file.check("a note segment", notes.file_offset, notes.file_bytes);
    const uint64_t end = notes.file_offset + notes.file_bytes;
    for (uint64_t at = notes.file_offset; end - at >= sizeof(NoteHeader);) {
        const auto note = file.at<NoteHeader>("a note", at);
        const uint64_t name = at + sizeof note;
        const uint64_t next = name + align4(note.name_bytes) + align4(note.bytes);
        if (next > end)
            refuse_in("a note", Refusal::elf_cut, next, end);
        if (note.type == kPayloadNote && note.name_bytes == sizeof kOwner &&
            __builtin_memcmp(file.bytes + name, kOwner, sizeof kOwner) == 0) {
            if (note.bytes != 4)
                refuse_in("the payload note's n_descsz", Refusal::elf_header, note.bytes, 4);
            expect("the payload note's version",
                   read_unaligned<uint32_t>(file.bytes + name + align4(note.name_bytes)), 1);
            return true;
        }
        at = next;
    }
    return false;
}

void check_segment(const File& file, const ProgramHeader& header, unsigned index) {
    if (header.file_offset > file.size || header.file_bytes > file.size - header.file_offset)
        refuse_in("does not lie in the file", Refusal::elf_segment, index, header.file_offset,
                  header.file_bytes);
    if (header.file_bytes > header.bytes)
        refuse_in("has more bytes in the file than in memory", Refusal::elf_segment, index,
                  header.file_bytes, header.bytes);
    if (header.phys >= kMostPhysical || header.bytes > kMostPhysical - header.phys)
        refuse_in("lies beyond all physical memory", Refusal::elf_segment, index, header.phys,
                  header.bytes);
    if (header.virt + header.bytes > kLastPageStart || header.virt + header.bytes < header.virt)
        refuse_in("wraps", Refusal::elf_segment, index, header.virt, header.bytes);
    if (header.virt % kPage != header.phys % kPage)
        refuse_in("has other places in its virtual and its physical page", Refusal::elf_segment,
                  index, header.virt, header.phys);
    if ((header.flags & kElfWritable) != 0 && (header.flags & kElfExecutable) != 0)
        refuse_in("is writable and executable", Refusal::elf_segment, index, header.virt,
                  header.bytes);
}

// Beside the one before it.
void check_order(const PayloadSegment& segment, const PayloadSegment& before) {
    if (page_down(segment.virt) < page_up(before.virt + before.bytes))
        refuse_in("begins before the one before it has ended, or in its last page",
                  Refusal::elf_segment, segment.index, segment.virt, before.virt + before.bytes);
    if (segment.virt - segment.phys != before.virt - before.phys)
        refuse_in("is not at the first segment's distance", Refusal::elf_segment, segment.index,
                  segment.virt, segment.phys);
}

void add_segment(ElfPayload& payload, const File& file, const ProgramHeader& header,
                 unsigned index) {
    check_segment(file, header, index);
    if (payload.count == kMostSegments)
        refuse_in("is one too many", Refusal::elf_segment, index, kMostSegments, 0);
    PayloadSegment& segment = payload.segments[payload.count];
    segment = {header.file_offset, header.file_bytes, header.virt, header.phys, header.bytes,
               (header.flags & kElfWritable) != 0, (header.flags & kElfExecutable) != 0,
               static_cast<uint8_t>(index)};
    if (payload.count++ != 0)
        check_order(segment, (&segment)[-1]);
}

bool can_execute(const ElfPayload& payload) {
    for (const PayloadSegment& segment : payload)
        if (payload.entry - segment.virt < segment.bytes && segment.executable)
            return true;
    return false;
}

}  // namespace

Span ElfPayload::virtual_span() const {
    return {page_down(segments[0].virt), page_up(end()[-1].virt + end()[-1].bytes)};
}

bool is_elf(const uint8_t* file, uint64_t bytes) {
    return bytes >= sizeof kElfMagic && read_unaligned<uint32_t>(file) == kElfMagic;
}

ElfPayload read_elf64(const uint8_t* bytes, uint64_t size) {
    const File file = {bytes, size};
    const ElfHeader elf = read_header(file);
    ElfPayload payload;
    payload.entry = elf.entry;
    for (unsigned i = 0; i != elf.program_header_count; ++i) {
        const auto header = file.at<ProgramHeader>(
            "a program header", elf.program_headers + i * sizeof(ProgramHeader));
        if (header.type == kInterpreter)
            refuse_in("wants an interpreter", Refusal::elf_segment, i, header.file_offset,
                      header.file_bytes);
        if (header.type == kElfNote)
            payload.wants_handoff |= has_payload_note(file, header);
        if (header.type == kElfLoad && header.bytes != 0)
            add_segment(payload, file, header, i);
    }
    if (!can_execute(payload))
        refuse(Refusal::elf_entry, payload.entry);
    return payload;
}

}  // namespace prologue
