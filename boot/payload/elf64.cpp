#include "elf64.h"

#include "elf.h"
#include "payload/limine.h"
#include "phys_memory.h"
#include "refusals.h"
#include "slots.h"

namespace prologue {
namespace {

constexpr uint32_t kElfMagic = 0x464c457f;
constexpr uint32_t kInterpreter = 3;    // ProgramHeader.type
constexpr uint32_t kPayloadNote = 0x70; // prologue/payload.h
constexpr uint32_t kPvhNote = 18;       // XEN_ELFNOTE_PHYS32_ENTRY
constexpr char kOwner[] = "Prologue", kXen[] = "Xen";
constexpr uint8_t kClass32 = 1, kClass64 = 2;
constexpr uint16_t kI386 = 3, kX86_64 = 62;

struct ElfHeader32 {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, program_headers, section_headers, flags;
    uint16_t header_bytes, program_header_bytes, program_header_count;
    uint16_t section_header_bytes, section_header_count, section_names;
};
static_assert(sizeof(ElfHeader32) == 52);

struct ProgramHeader32 {
    uint32_t type, file_offset, virt, phys, file_bytes, bytes, flags, alignment;
};
static_assert(sizeof(ProgramHeader32) == 32);

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

// What is left is the same for both classes: a header of the larger one.
template <class Header, class Program>
ElfHeader read_rest(const File& file, uint16_t machine) {
    const auto header = file.at<Header>("the header", 0);
    if (header.type != kElfPie)
        expect("e_type", header.type, kElfStatic);
    expect("e_machine", header.machine, machine);
    expect("e_version", header.version, 1);
    expect("e_ehsize", header.header_bytes, sizeof(Header));
    expect("e_phentsize", header.program_header_bytes, sizeof(Program));
    if (header.program_header_count == 0 || header.program_header_count > kMostHeaders)
        refuse_in("e_phnum", Refusal::elf_header, header.program_header_count, kMostHeaders);
    file.check("the table of program headers", header.program_headers,
               header.program_header_count * sizeof(Program));
    ElfHeader elf = {};
    elf.ident[4] = header.ident[4];
    elf.type = header.type;
    elf.entry = header.entry;
    elf.program_headers = header.program_headers;
    elf.program_header_count = header.program_header_count;
    return elf;
}

ElfHeader read_header(const File& file) {
    struct Ident {
        uint32_t magic;
        uint8_t elf_class, data, version;
    };
    const auto ident = file.at<Ident>("the header", 0);
    expect("EI_MAG", ident.magic, kElfMagic);
    expect("EI_DATA", ident.data, 1);
    expect("EI_VERSION", ident.version, 1);
    if (ident.elf_class == kClass32)
        return read_rest<ElfHeader32, ProgramHeader32>(file, kI386);
    expect("EI_CLASS", ident.elf_class, kClass64);
    return read_rest<ElfHeader, ProgramHeader>(file, kX86_64);
}

ProgramHeader read_program_header(const File& file, const ElfHeader& elf, unsigned index) {
    if (elf.ident[4] == kClass64)
        return file.at<ProgramHeader>("a program header",
                                      elf.program_headers + index * sizeof(ProgramHeader));
    const auto header = file.at<ProgramHeader32>(
        "a program header", elf.program_headers + index * sizeof(ProgramHeader32));
    return {header.type, header.flags,      header.file_offset, header.virt,
            header.phys, header.file_bytes, header.bytes,       header.alignment};
}

constexpr uint64_t align4(uint64_t bytes) {
    return (bytes + 3) & ~uint64_t{3};
}

template <unsigned N>
bool is_owner(const File& file, const NoteHeader& note, uint64_t name, const char (&owner)[N]) {
    return note.name_bytes == N && __builtin_memcmp(file.bytes + name, owner, N) == 0;
}

// What it asks for by its notes.
struct Notes {
    bool handoff = false;
    uint32_t paging = PROLOGUE_PAGING_FOUR;
    uint64_t pvh = 0;
};

void read_note(const File& file, const NoteHeader& note, uint64_t name, Notes& notes) {
    const uint8_t* const descriptor = file.bytes + name + align4(note.name_bytes);
    if (note.type == kPayloadNote && is_owner(file, note, name, kOwner)) {
        expect("the payload note's n_descsz", note.bytes, 4);
        expect("the payload note's version", read_unaligned<uint32_t>(descriptor), 1);
        notes.handoff = true;
    }
    if (note.type == PROLOGUE_NOTE_PAGING && is_owner(file, note, name, kOwner)) {
        expect("the paging note's n_descsz", note.bytes, 4);
        notes.paging = read_unaligned<uint32_t>(descriptor);
        if (notes.paging != PROLOGUE_PAGING_BEST && notes.paging != PROLOGUE_PAGING_FIVE)
            expect("the paging note's levels", notes.paging, PROLOGUE_PAGING_FOUR);
    }
    if (note.type == kPvhNote && is_owner(file, note, name, kXen)) {
        if (note.bytes != 8)
            expect("PVH's note's n_descsz", note.bytes, 4);
        notes.pvh = note.bytes == 8 ? read_unaligned<uint64_t>(descriptor)
                                    : read_unaligned<uint32_t>(descriptor);
    }
}

// Each note's fields have 32 bits: their sums cannot wrap.
void read_notes(const File& file, const ProgramHeader& segment, Notes& notes) {
    file.check("a note segment", segment.file_offset, segment.file_bytes);
    const uint64_t end = segment.file_offset + segment.file_bytes;
    for (uint64_t at = segment.file_offset; end - at >= sizeof(NoteHeader);) {
        const auto note = file.at<NoteHeader>("a note", at);
        const uint64_t name = at + sizeof note;
        const uint64_t next = name + align4(note.name_bytes) + align4(note.bytes);
        if (next > end)
            refuse_in("a note", Refusal::elf_cut, next, end);
        read_note(file, note, name, notes);
        at = next;
    }
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
}

// Of one that is to be mapped as its header says.
void check_mapping(const ProgramHeader& header, unsigned index) {
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

void check_high(const ProgramHeader& header, unsigned index, bool is_pie) {
    if (!is_pie && header.virt < ~uint64_t{0} - 2 * kGiB + 1)
        refuse_in("is not in the last 2 GiB", Refusal::elf_segment, index, header.virt,
                  header.bytes);
}

void add_segment(ElfPayload& payload, const File& file, ProgramHeader header, unsigned index) {
    if (payload.contract == Contract::limine) { // by that protocol it lies anywhere
        check_high(header, index, payload.is_pie);
        header.phys = header.virt % (2 * kGiB);
    }
    check_segment(file, header, index);
    if (payload.is_mapped())
        check_mapping(header, index);
    if (payload.is_pie && header.alignment > kSlot)
        refuse_in("wants more than 2 MiB of alignment", Refusal::elf_segment, index,
                  header.alignment, kSlot);
    if (payload.count == kMostSegments)
        refuse_in("is one too many", Refusal::elf_segment, index, kMostSegments, 0);
    PayloadSegment& segment = payload.segments[payload.count];
    segment = {header.file_offset,
               header.file_bytes,
               header.virt,
               header.phys,
               header.bytes,
               (header.flags & kElfWritable) != 0,
               (header.flags & kElfExecutable) != 0,
               static_cast<uint8_t>(index)};
    if (payload.count++ != 0 && payload.is_mapped())
        check_order(segment, (&segment)[-1]);
}

// Does the image ask for that contract? What it then asks for in particular goes into `payload`.
bool asks_for(Contract contract, const File& file, bool is_64, const Notes& notes,
              ElfPayload& payload) {
    switch (contract) {
    case Contract::handoff:
        return notes.handoff;
    case Contract::limine:
        return is_64 && asks_limine(file.bytes, file.size);
    case Contract::multiboot2_64:
    case Contract::multiboot2: {
        const uint64_t at = find_multiboot2(file.bytes, file.size);
        if (at == file.size)
            return false;
        payload.multiboot = read_multiboot2(file.bytes, file.size, at);
        return contract == Contract::multiboot2 || (is_64 && payload.multiboot.entry64 != 0);
    }
    case Contract::multiboot1: {
        const uint64_t at = find_multiboot1(file.bytes, file.size);
        if (at == file.size)
            return false;
        payload.multiboot = read_multiboot1(file.bytes, file.size, at);
        return true;
    }
    case Contract::pvh64: // no 32-bit code is at such an address
        return is_64 && notes.pvh >= 4 * kGiB;
    case Contract::pvh:
        return notes.pvh != 0;
    case Contract::none:
    case Contract::linux64:
    case Contract::linux32:
        break;
    }
    return false;
}

// What is called at e_entry in 64-bit mode needs nothing else of an image that does not ask.
bool needs_no_wish(Contract contract) {
    return is_mapped_by(contract) && contract != Contract::limine;
}

void choose_contract(Contract wished, const File& file, bool is_64, const Notes& notes,
                     ElfPayload& payload) {
    payload.pvh_entry = notes.pvh;
    payload.paging = notes.paging;
    payload.contract = wished;
    if (wished != Contract::none) {
        if (!asks_for(wished, file, is_64, notes, payload) && !needs_no_wish(wished))
            refuse_contract(wished);
        return;
    }
    constexpr Contract kOrder[] = {
        Contract::handoff,    Contract::limine,     Contract::multiboot2_64,
        Contract::multiboot2, Contract::multiboot1, Contract::pvh64,
        Contract::pvh};
    for (const Contract contract : kOrder)
        if (asks_for(contract, file, is_64, notes, payload)) {
            payload.contract = contract;
            return;
        }
    refuse(Refusal::elf_contract);
}

// All that is loaded, as the Multiboot header says.
void add_addresses(ElfPayload& payload, const File& file) {
    const MultibootAddresses& from = payload.multiboot.addresses;
    const ProgramHeader header = {kElfLoad,         kElfExecutable | kElfWritable,
                                  from.file_offset, from.phys,
                                  from.phys,        from.file_bytes,
                                  from.bytes,       1};
    add_segment(payload, file, header, 0);
    (void)payload.physical_entry();
}

// Where 64-bit code is entered, by what is asked for.
uint64_t mapped_entry(const ElfPayload& payload) {
    if (payload.contract == Contract::pvh64 && payload.pvh_entry >= 4 * kGiB)
        return payload.pvh_entry;
    const uint64_t phys = payload.multiboot.entry64;
    if (payload.contract != Contract::multiboot2_64 || phys == 0)
        return payload.entry;
    for (const PayloadSegment& segment : payload)
        if (phys - segment.phys < segment.bytes)
            return phys - segment.phys + segment.virt;
    refuse(Refusal::elf_entry, phys);
}

} // namespace

Span ElfPayload::virtual_span() const {
    return {page_down(segments[0].virt), page_up(end()[-1].virt + end()[-1].bytes)};
}

Span ElfPayload::physical_span() const {
    return {segments[0].pages().start, end()[-1].pages().end};
}

void ElfPayload::slide(uint64_t virt, uint64_t phys) {
    entry += virt;
    if (multiboot.entry != 0)
        multiboot.entry += static_cast<uint32_t>(phys);
    for (PayloadSegment* segment = segments; segment != segments + count; ++segment) {
        segment->virt += virt;
        segment->phys += phys;
    }
}

void ElfPayload::enter_at(uint64_t virt) {
    entry = virt;
    for (const PayloadSegment& segment : *this)
        if (entry - segment.virt < segment.bytes && segment.executable)
            return;
    refuse(Refusal::elf_entry, entry);
}

uint64_t ElfPayload::physical_entry() const {
    const uint64_t named = contract == Contract::pvh ? pvh_entry : multiboot.entry;
    for (const PayloadSegment& segment : *this) {
        const uint64_t phys = named != 0 ? named : entry - segment.virt + segment.phys;
        if (phys - segment.phys < segment.bytes && phys < 4 * kGiB)
            return phys;
    }
    refuse(Refusal::elf_entry, named != 0 ? named : entry);
}

bool is_elf(const uint8_t* file, uint64_t bytes) {
    return bytes >= sizeof kElfMagic && read_unaligned<uint32_t>(file) == kElfMagic;
}

ElfPayload read_elf(const uint8_t* bytes, uint64_t size, Contract wished) {
    const File file = {bytes, size};
    const ElfHeader elf = read_header(file);
    ElfPayload payload;
    Notes notes;
    payload.entry = elf.entry;
    payload.is_pie = elf.type == kElfPie;
    for (unsigned i = 0; i != elf.program_header_count; ++i) {
        const ProgramHeader header = read_program_header(file, elf, i);
        if (header.type == kInterpreter)
            refuse_in("wants an interpreter", Refusal::elf_segment, i, header.file_offset,
                      header.file_bytes);
        if (header.type == kElfNote)
            read_notes(file, header, notes);
        if (header.type == kElfDynamic && payload.is_pie) {
            file.check("the dynamic section", header.file_offset, header.file_bytes);
            payload.dynamic = {header.file_offset, header.file_offset + header.file_bytes};
        }
    }
    choose_contract(wished, file, elf.ident[4] == kClass64, notes, payload);
    if (payload.is_mapped())
        expect("EI_CLASS", elf.ident[4], kClass64);
    else
        expect("e_type", elf.type, kElfStatic);
    if (!payload.is_mapped() && payload.multiboot.addresses.bytes != 0) {
        add_addresses(payload, file);
        return payload;
    }
    for (unsigned i = 0; i != elf.program_header_count; ++i) {
        const ProgramHeader header = read_program_header(file, elf, i);
        if (header.type == kElfLoad && header.bytes != 0)
            add_segment(payload, file, header, i);
    }
    if (payload.is_mapped())
        payload.enter_at(mapped_entry(payload));
    else
        (void)payload.physical_entry();
    return payload;
}

bool has_multiboot_header(const uint8_t* file, uint64_t bytes) {
    return find_multiboot2(file, bytes) != bytes || find_multiboot1(file, bytes) != bytes;
}

ElfPayload read_flat(const uint8_t* bytes, uint64_t size, Contract wished) {
    const File file = {bytes, size};
    ElfPayload payload;
    choose_contract(wished, file, false, {}, payload);
    if (payload.is_mapped())
        refuse_contract(wished);
    if (payload.multiboot.addresses.bytes == 0)
        refuse(Refusal::multiboot_flat, size);
    add_addresses(payload, file);
    return payload;
}

} // namespace prologue
