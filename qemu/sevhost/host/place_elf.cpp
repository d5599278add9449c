// An ELF64 kernel with a PVH note, entered by hvm_start_info (Xen's public
// headers: arch-x86/hvm/start_info.h, elfnote.h).
#include <string.h>

#include "code_pages.h"
#include "elf.h"
#include "launch.h"
#include "outcome.h"
#include "place.h"
#include "snp_pages.h"
#include "state_file.h"

namespace sevhost {
namespace {

using namespace prologue; // ELF's structures

struct NoteHeader {
    uint32_t name_bytes, desc_bytes, type;
};

constexpr uint8_t kIdent64LittleEndian[] = {0x7f, 'E', 'L', 'F', 2, 1};
constexpr char kXen[] = "Xen";
constexpr uint32_t kPhys32Entry = 18;
constexpr uint64_t kNoteAlignment = 4; // QEMU misreads a PVH note that is aligned to 8

struct StartInfo {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, cmdline, rsdp, memory_map;
    uint32_t memory_map_count, reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct StartModule {
    uint64_t start, bytes, cmdline, reserved;
};
struct StartMemory {
    uint64_t start, bytes;
    uint32_t type, reserved;
};
static_assert(sizeof(StartModule) == 32 && sizeof(StartMemory) == 24);

constexpr uint32_t kStartMagic = 0x336ec578;
constexpr uint32_t kStartVersion = 1;
constexpr GuestPhys kStartModules = layout::kStartInfo + sizeof(StartInfo);
constexpr GuestPhys kStartMemory = kStartModules + sizeof(StartModule);

// Copies a part of the file; false where the file ends before it.
template <typename T>
bool read(const Module& image, uint64_t offset, T& to) {
    if (offset > image.bytes || image.bytes - offset < sizeof to)
        return false;
    memcpy(&to, image.data + offset, sizeof to);
    return true;
}

constexpr uint64_t aligned(uint64_t bytes) {
    return (bytes + kNoteAlignment - 1) & ~(kNoteAlignment - 1);
}

// Calls found(owner, type, description's offset) for each note.
template <typename Found>
void for_each_note(const Module& image, const ProgramHeader& notes, Found found) {
    uint64_t at = notes.file_offset;
    const uint64_t end = notes.file_offset + notes.file_bytes;
    NoteHeader note;
    while (at < end && read(image, at, note)) {
        const uint64_t name = at + sizeof note;
        const uint64_t desc = name + aligned(note.name_bytes);
        if (note.name_bytes != 0 && name + note.name_bytes <= image.bytes)
            found(Text(reinterpret_cast<const char*>(image.data + name), note.name_bytes - 1),
                  note.type, desc);
        at = desc + aligned(note.desc_bytes);
    }
}

// What the file's program headers say.
struct Loaded {
    GuestPhys end = 0; // behind the highest segment
    bool has_pvh = false;
    uint32_t pvh_entry = 0;
    SnpPages snp_pages;
};

void read_notes(const Module& image, const ProgramHeader& notes, Loaded& loaded) {
    for_each_note(image, notes, [&](Text owner, uint32_t type, uint64_t desc) {
        if (owner == kXen && type == kPhys32Entry)
            loaded.has_pvh = read(image, desc, loaded.pvh_entry);
        if (owner == kSnpNoteOwner && type == kNoteCpuidPage)
            read(image, desc, loaded.snp_pages.cpuid);
        if (owner == kSnpNoteOwner && type == kNoteSecretsPage)
            read(image, desc, loaded.snp_pages.secrets);
        if (owner == kSnpNoteOwner && type == kNoteBlob)
            read(image, desc, loaded.snp_pages.blob);
    });
}

Loaded place_segments(Guest& guest, const Module& image, const ElfHeader& header) {
    Loaded loaded;
    for (unsigned i = 0; i != header.program_header_count; ++i) {
        ProgramHeader segment;
        if (!read(image, header.program_headers + i * sizeof segment, segment))
            fail("the ELF file ends in its program headers");
        if (segment.type == kElfNote)
            read_notes(image, segment, loaded);
        if (segment.type != kElfLoad)
            continue;
        if (segment.file_offset > image.bytes ||
            image.bytes - segment.file_offset < segment.file_bytes ||
            segment.bytes < segment.file_bytes)
            fail("program header ", decimal(i), " of the ELF file lies outside of it");
        place_zeros(guest, segment.phys, segment.bytes, "a segment");
        place_bytes(guest, segment.phys, image.data + segment.file_offset, segment.file_bytes,
                    "a segment");
        if (segment.flags & kElfExecutable)
            note_code(guest, segment.phys, segment.bytes);
        if (segment.phys + segment.bytes > loaded.end)
            loaded.end = segment.phys + segment.bytes;
    }
    return loaded;
}

GuestPhys place_initrd(Guest& guest, const Module& initrd, GuestPhys highest) {
    const GuestPhys start = (guest.settings.memory_bytes - initrd.bytes) & ~(kPageBytes - 1);
    if (initrd.bytes > guest.settings.memory_bytes || start < highest)
        fail("the initrd of ", decimal(initrd.bytes), " bytes does not fit behind the image");
    place_bytes(guest, start, initrd.data, initrd.bytes, "the initrd");
    return start;
}

} // namespace

void place_elf(Guest& guest, const Images& images, const FirmwareTables& tables) {
    const Module& image = images.image;
    ElfHeader header;
    if (!read(image, 0, header) ||
        memcmp(header.ident, kIdent64LittleEndian, sizeof kIdent64LittleEndian) != 0 ||
        header.program_header_bytes != sizeof(ProgramHeader))
        fail("the image is no ELF64 file for little-endian machines");
    const Loaded loaded = place_segments(guest, image, header);
    if (!loaded.has_pvh && !images.state)
        fail("the ELF file has no PVH note (owner Xen, type 18) with a 32-bit entry, and there "
             "is no state file");
    guest.snp_pages = loaded.snp_pages;
    place_cmdline(guest, image.rest, layout::kCmdlineBytes);

    StartInfo info = {kStartMagic, kStartVersion, 0, 0, kStartModules, layout::kCmdline,
                      tables.rsdp, kStartMemory,  0, 0};
    if (images.initrd) {
        const StartModule module = {place_initrd(guest, images.initrd, loaded.end),
                                    images.initrd.bytes, 0, 0};
        place_bytes(guest, kStartModules, &module, sizeof module, "PVH's module list");
        info.module_count = 1;
    }
    const MemoryMap map = memory_map_of(guest, tables);
    for (unsigned i = 0; i != map.count; ++i) {
        const StartMemory range = {map.ranges[i].start, map.ranges[i].bytes, map.ranges[i].type, 0};
        place_bytes(guest, kStartMemory + i * sizeof range, &range, sizeof range,
                    "PVH's memory map");
    }
    info.memory_map_count = map.count;
    place_bytes(guest, layout::kStartInfo, &info, sizeof info, "PVH's start info");

    enter_protected32(guest, loaded.pvh_entry);
    if (!images.state)
        guest.gprs[rbx] = layout::kStartInfo;
    else
        apply_state_file(guest, images,
                         {header.entry, loaded.end, guest.settings.memory_bytes, layout::kCmdline,
                          guest.c_bit_mask});
}

} // namespace sevhost
