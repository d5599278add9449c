// Payloads' files for tests, and what must hold of all that is read out of any.
#pragma once

#include "elf.h"
#include "payload/elf64.h"
#include "payload/limine.h"
#include "payload/linux_image.h"
#include "payload/pie.h"

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace prologue::test {

inline constexpr uint64_t kElfVirtual = 0xffffffff80200000;
inline constexpr size_t kElfNoteAt = 64 + 3 * 56;

// Text of 0x1000 bytes at 2 MiB; data of 0x20 bytes, and .bss, in the middle of a page; the note
// of prologue/payload.h. It ends with the data.
inline std::vector<uint8_t> elf_file() {
    std::vector<uint8_t> file(0x1820);
    ElfHeader header = {};
    std::memcpy(header.ident, "\177ELF\2\1\1", 7);
    header.type = 2;
    header.machine = 62;
    header.version = 1;
    header.entry = kElfVirtual + 0x10;
    header.program_headers = sizeof header;
    header.header_bytes = sizeof header;
    header.program_header_bytes = sizeof(ProgramHeader);
    header.program_header_count = 3;
    std::memcpy(file.data(), &header, sizeof header);
    const ProgramHeader headers[] = {
        {kElfLoad, kElfExecutable | 4, 0x800, kElfVirtual, 0x200000, 0x1000, 0x1000, 0x1000},
        {kElfLoad, kElfWritable | 4, 0x1800, kElfVirtual + 0x2800, 0x202800, 0x20, 0x3000, 0x1000},
        {kElfNote, 4, kElfNoteAt, 0, 0, 28, 28, 4}};
    std::memcpy(file.data() + sizeof header, headers, sizeof headers);
    const uint32_t note[] = {9, 4, 0x70, 0x6c6f7250, 0x6575676f, 0, 1};
    std::memcpy(file.data() + kElfNoteAt, note, sizeof note);
    return file;
}

// The same as a PIE, linked at 0, with data of 0x200 bytes: relocations of each kind that is
// served, for quadwords that begin at kPieData.
inline constexpr uint64_t kPieData = 0x2800; // virtual; kPieDataAt in the file
inline constexpr size_t kPieDataAt = 0x1800, kPieDynamic = 0x1900, kPieRela = 0x1000,
                        kPieRelr = 0xc00, kPieSymbols = 0x1400;
inline constexpr uint64_t kPieSlide = 0xffffffff80200000;
inline std::vector<uint8_t> pie_file() {
    std::vector<uint8_t> file = elf_file();
    file.resize(0x1a00);
    const auto put = [&](size_t at, const auto& value) {
        std::memcpy(file.data() + at, &value, sizeof value);
    };
    put(16, uint16_t{3});
    put(24, uint64_t{0x10});
    put(56, uint16_t{4});
    const ProgramHeader headers[] = {
        {kElfLoad, kElfExecutable | 4, 0x800, 0, 0, 0x1000, 0x1000, 0x1000},
        {kElfLoad, kElfWritable | 4, kPieDataAt, kPieData, kPieData, 0x200, 0x3000, 0x1000},
        {kElfNote, 4, kElfNoteAt + 56, 0, 0, 28, 28, 4},
        {kElfDynamic, 4, kPieDynamic, 0x2900, 0x2900, 0xd0, 0xd0, 8}};
    put(64, headers);
    const uint32_t note[] = {9, 4, 0x70, 0x6c6f7250, 0x6575676f, 0, 1};
    put(kElfNoteAt + 56, note);
    const uint64_t dynamic[] = {7,  0x800, 8,  4 * 24, 9,  24, 6, 0xc00, 11, 24, 36, 0x400,
                                35, 16,    37, 8,      23, 0,  2, 0,     20, 7,  0,  0};
    put(kPieDynamic, dynamic);
    const uint64_t rela[] = {kPieData,
                             8,
                             0x10, // RELATIVE
                             kPieData + 8,
                             1ULL << 32 | 1,
                             4, // 64
                             kPieData + 0x10,
                             2ULL << 32 | 6,
                             0, // GLOB_DAT
                             0,
                             0,
                             0}; // NONE
    put(kPieRela, rela);
    const uint64_t relr[] = {kPieData + 0x18, 1 | 1 << 1 | 1 << 3};
    put(kPieRelr, relr);
    for (const size_t index : {3, 4, 6})
        put(kPieDataAt + 8 * index, uint64_t{0x100} * index);
    const uint64_t symbols[] = {0, 0, 0, 1ULL << 48, 0x40, 8, 0xfff1ULL << 48, 0x1234, 8};
    put(kPieSymbols, symbols);
    return file;
}

// The same with the Limine protocol's requests in its data, in place of the note.
enum LimineRequest : unsigned {
    kAskHhdm,
    kAskRsdp,
    kAskAddress,
    kAskPaging,
    kAskModules,
    kAskCmdline,
    kAskScreen,
    kAskMap,
    kAskUnknown
};
inline constexpr size_t kLimineRevision = 0x1800, kLimineRequests = 0x1820;
inline std::vector<uint8_t> limine_file() {
    std::vector<uint8_t> file = elf_file();
    file.resize(0x1a00);
    const auto put = [&](size_t at, const auto& value) {
        std::memcpy(file.data() + at, &value, sizeof value);
    };
    put(kElfNoteAt + 8, uint32_t{0x71});
    put(64 + 24, kElfVirtual); // p_paddr, as lld has it
    put(64 + 56 + 24, kElfVirtual + 0x2800);
    put(64 + 56 + 32, uint64_t{0x200});
    const uint64_t revision[] = {0xf9562b2d5c95a6c8, 0x6a7b384944536bdc, 3};
    put(kLimineRevision, revision);
    constexpr uint64_t kIds[][2] = {
        {0x48dcf1cb8ad2b852, 0x63984e959a98244b}, {0xc5e77b6b397e7b43, 0x27637845accdcf3c},
        {0x71ba76863cc55f63, 0xb2644a48c516a487}, {0x95c1a0edab0944cb, 0xa4e5cb3842f7488a},
        {0x3e7e279702be32af, 0xca1c4f3bd1280cee}, {0x4b161536e598651e, 0xb390ad4a2f1f303a},
        {0x9d5827dcd881dd75, 0xa3148604f6fab11b}, {0x67cf3d9d378a806f, 0xe304acdfc50c3c62},
        {0x1111111111111111, 0x2222222222222222}};
    for (size_t i = 0; i != sizeof kIds / sizeof *kIds; ++i) {
        const uint64_t request[] = {0xc7b1dd30df4c8b88, 0x0a82e883a194f07b, kIds[i][0], kIds[i][1]};
        put(kLimineRequests + 48 * i, request);
    }
    return file;
}

// An ELF32 for 2 MiB, linked 3 GiB higher, with PVH's note or Multiboot 1's header.
inline constexpr size_t kElf32Note = 52 + 2 * 32;
inline std::vector<uint8_t> elf32_file(bool multiboot1) {
    std::vector<uint8_t> file(0x1020);
    const auto put = [&](size_t at, auto value) {
        std::memcpy(file.data() + at, &value, sizeof value);
    };
    std::memcpy(file.data(), "\177ELF\1\1\1", 7);
    put(16, uint16_t{2});
    put(18, uint16_t{3});
    put(20, uint32_t{1});
    put(24, uint32_t{0xc0200010});
    put(28, uint32_t{52});
    put(40, uint16_t{52});
    put(42, uint16_t{32});
    put(44, uint16_t{2});
    const uint32_t headers[] = {1, 0x1000,     0xc0200000, 0x200000, 0x20, 0x3000, 7, 0x1000,
                                4, kElf32Note, 0,          0,        20,   20,     4, 4};
    std::memcpy(file.data() + 52, headers, sizeof headers);
    const uint32_t note[] = {4, 4, 18, 0x006e6558, 0x200014};
    std::memcpy(file.data() + kElf32Note, note, sizeof note);
    if (multiboot1) {
        put(0x1000, uint32_t{0x1badb002});
        put(0x1004, uint32_t{3});
        put(0x1008, -uint32_t{0x1badb005});
    }
    return file;
}

// The ELF64 with a Multiboot 2 header instead of the note.
inline constexpr size_t kMultiboot2At = 0x400;
inline std::vector<uint8_t> multiboot2_file(std::vector<uint32_t> tags = {9, 12, 0x200010, 0, 10,
                                                                          24, 0, ~0u, 0x1000, 0},
                                            bool ends = true) {
    std::vector<uint8_t> file = elf_file();
    file[kElfNoteAt + 8] = 0x71;
    std::vector<uint32_t> words = {0xe85250d6, 0, 0, 0};
    words.insert(words.end(), tags.begin(), tags.end());
    if (ends)
        words.insert(words.end(), {0, 8});
    words[2] = static_cast<uint32_t>(4 * words.size());
    words[3] = -(words[0] + words[2]);
    std::memcpy(file.data() + kMultiboot2At, words.data(), 4 * words.size());
    return file;
}

// A file of 0x3000 bytes of no format with Multiboot 1's header at 0x100.
inline std::vector<uint8_t> flat_file(std::vector<uint32_t> fields = {0x8300, 0x8200, 0, 0x10000,
                                                                      0x8240},
                                      uint32_t flags = 0x10003) {
    std::vector<uint8_t> file(0x3000, 0x90);
    std::vector<uint32_t> words = {0x1badb002, flags, -(0x1badb002 + flags)};
    words.insert(words.end(), fields.begin(), fields.end());
    std::memcpy(file.data() + 0x100, words.data(), 4 * words.size());
    return file;
}

inline void check(bool holds, const char* what) {
    if (!holds)
        throw std::logic_error(what);
}

// Relocating writes to nothing but what will be a segment's bytes.
inline void expect_sound_relocations(const uint8_t* file, uint64_t bytes, const ElfPayload& elf) {
    std::vector<uint8_t> relocated(file, file + bytes);
    relocate_file(relocated.data(), elf, kPieSlide);
    for (const PayloadSegment& segment : elf)
        std::memcpy(relocated.data() + segment.file_offset, file + segment.file_offset,
                    segment.file_bytes);
    check(std::memcmp(relocated.data(), file, bytes) == 0, "only segments' bytes are changed");
}

inline void check_elf(const uint8_t* file, uint64_t bytes, const ElfPayload& elf) {
    bool executable = false;
    check(elf.count <= kMostSegments, "there are no more segments than fit");
    uint64_t end = 0;
    for (const PayloadSegment& segment : elf) {
        check(segment.file_offset <= bytes && segment.file_bytes <= bytes - segment.file_offset,
              "a segment lies in the file");
        check(segment.file_bytes <= segment.bytes, "and has room in memory");
        check(segment.phys + segment.bytes <= kMostPhysical, "which there can be");
        if (!elf.is_mapped())
            continue;
        check(!(segment.writable && segment.executable), "it is not writable and executable");
        check(page_down(segment.virt) >= end, "it has its pages for itself");
        check(segment.virt - segment.phys == elf.segments[0].virt - elf.segments[0].phys,
              "all are at one distance");
        end = page_up(segment.virt + segment.bytes);
        executable |= segment.executable && elf.entry - segment.virt < segment.bytes;
    }
    check(executable || !elf.is_mapped(), "the entry can be executed");
    check(!elf.is_pie || elf.is_mapped(), "a PIE is mapped");
    if (elf.is_pie)
        expect_sound_relocations(file, bytes, elf);
    if (elf.contract == Contract::limine)
        check(limine_wishes(file, elf).stack_bytes >= kLimineStack, "there is a stack");
    if (elf.is_mapped())
        return;
    bool inside = false;
    for (const PayloadSegment& segment : elf)
        inside |= elf.physical_entry() - segment.phys < segment.bytes;
    check(inside, "the entry lies in a segment");
}

inline void expect_sound_elf(const uint8_t* file, uint64_t bytes) {
    check_elf(file, bytes, read_elf(file, bytes));
}

inline constexpr size_t kSetupBytes = 2 * 512;

// A bzImage of protocol 2.15 with one sector of setup code, and 0x800 bytes of kernel.
inline std::vector<uint8_t> linux_file() {
    std::vector<uint8_t> file(kSetupBytes + 0x800, 0x90);
    const auto put = [&](size_t at, auto value) {
        std::memcpy(file.data() + at, &value, sizeof value);
    };
    put(0x1f1, uint8_t{1});
    put(0x1f4, uint32_t{0x80});
    put(0x1fe, uint16_t{0xaa55});
    put(0x200, uint16_t{0x6aeb});
    put(0x202, uint32_t{0x53726448});
    put(0x206, uint16_t{0x20f});
    put(0x211, uint8_t{1});
    put(0x22c, uint32_t{0x7fffffff});
    put(0x230, uint32_t{0x200000});
    put(0x234, uint8_t{1});
    put(0x236, uint16_t{3});
    put(0x238, uint32_t{2047});
    put(0x250, uint64_t{0});
    put(0x258, uint64_t{0x1000000});
    put(0x260, uint32_t{0x3000000});
    return file;
}

inline void expect_sound_linux(const uint8_t* file, uint64_t bytes) {
    const LinuxImage image = read_linux(file, bytes);
    check(image.kernel_offset <= bytes && image.kernel_bytes <= bytes - image.kernel_offset,
          "the kernel lies in the file");
    check(image.kernel_bytes <= image.init_bytes, "and has room in memory");
    check(image.kernel_bytes > image.entry, "its entry lies in it");
    check(image.alignment != 0 && (image.alignment & (image.alignment - 1)) == 0,
          "an alignment is a power of two");
    check(image.preferred % kPage == 0, "a place is a page's");
}

} // namespace prologue::test
