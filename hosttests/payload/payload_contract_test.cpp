// By which contract a payload is started: what its image asks for, in order, or what is wished for;
// and what Multiboot headers say.

#include "payload/contract.h"

#include "payload_files.h"
#include "refusing.h"

#include <gtest/gtest.h>

namespace prologue::test {
namespace {

using File = std::vector<uint8_t>;

ElfPayload read(const File& file, Contract wished = Contract::none) {
    return read_elf(file.data(), file.size(), wished);
}

std::optional<Refused> refusal_of_file(const File& file, Contract wished = Contract::none) {
    return refusal_of([&] { read(file, wished); });
}

template <class T>
void put(File& file, size_t at, T value) {
    std::memcpy(file.data() + at, &value, sizeof value);
}

constexpr size_t kHeader = kMultiboot2At;
File with_tags(std::vector<uint32_t> tags, bool ends = true) {
    return multiboot2_file(tags, ends);
}

// With PVH's note, of eight bytes.
File with_pvh(uint64_t entry) {
    File file = elf_file();
    const uint32_t note[] = {
        4, 8, 18, 0x006e6558, static_cast<uint32_t>(entry), static_cast<uint32_t>(entry >> 32)};
    std::memcpy(file.data() + kElfNoteAt, note, sizeof note);
    put(file, 64 + 2 * 56 + 32, uint64_t{sizeof note}); // p_filesz
    return file;
}

constexpr uint32_t kOptional = 1 << 16;

TEST(Contracts, HaveNames) {
    for (const Contract contract : {Contract::handoff, Contract::limine, Contract::multiboot2_64,
                                    Contract::multiboot2, Contract::multiboot1, Contract::pvh64,
                                    Contract::pvh, Contract::linux64, Contract::linux32}) {
        const char* const name = name_of(contract);
        EXPECT_EQ(contract_named({name, std::strlen(name)}), contract) << name;
    }
    for (const char* const name : {"", "x", "pvh6", "pvh644", "none", "handof"})
        EXPECT_EQ(refusal_of([&] {
                      contract_named({name, std::strlen(name)});
                  }),
                  refused(Refusal::contract_unknown, {}, name));
    const std::string longest(40, 'a');
    EXPECT_EQ(refusal_of([&] {
                  contract_named({longest.data(), longest.size()});
              }),
              refused(Refusal::contract_unknown, {}, longest.substr(0, 31)));
}

TEST(Contracts, AreTakenInOrder) {
    EXPECT_EQ(read(elf_file()).contract, Contract::handoff);
    EXPECT_EQ(read(limine_file()).contract, Contract::limine);
    EXPECT_EQ(read(with_tags({})).contract, Contract::multiboot2);
    EXPECT_EQ(read(with_tags({9, 12, 0x200010, 0})).contract, Contract::multiboot2_64);
    EXPECT_EQ(read(with_tags({7, 8, 9, 12, 0x200010, 0})).contract, Contract::multiboot2)
        << "that entry wants boot services";
    EXPECT_EQ(read(with_pvh(0x200014)).contract, Contract::pvh);
    EXPECT_EQ(read(with_pvh(kElfVirtual + 0x14)).contract, Contract::pvh64);
    File both = elf32_file(true);
    EXPECT_EQ(read(both).contract, Contract::multiboot1);
    EXPECT_EQ(read(both, Contract::pvh).contract, Contract::pvh);
}

TEST(Contracts, ThatAreWishedForNeedWhatTheyNeed) {
    for (const Contract contract : {Contract::limine, Contract::multiboot2, Contract::multiboot1,
                                    Contract::pvh, Contract::linux64, Contract::linux32})
        EXPECT_EQ(refusal_of_file(elf_file(), contract),
                  refused(Refusal::contract, {}, name_of(contract)));
    for (const Contract contract : {Contract::handoff, Contract::multiboot2_64, Contract::pvh64}) {
        EXPECT_EQ(read(with_tags({}), contract).entry, kElfVirtual + 0x10);
        EXPECT_EQ(refusal_of_file(elf32_file(true), contract),
                  refused(Refusal::elf_header, {1, 2}, "EI_CLASS"));
    }
    const File linux = linux_file();
    const auto by = [&](Contract wished) { return read_linux(linux.data(), linux.size(), wished); };
    EXPECT_EQ(by(Contract::linux64).entry, 0x200u);
    EXPECT_EQ(by(Contract::linux32).entry, 0u);
    EXPECT_EQ(refusal_of([&] { by(Contract::pvh); }), refused(Refusal::contract, {}, "pvh"));
}

TEST(Contracts, Of64BitsAreEnteredWhereTheySay) {
    EXPECT_EQ(read(with_tags({9, 12, 0x200020, 0})).entry, kElfVirtual + 0x20);
    EXPECT_EQ(read(with_pvh(kElfVirtual + 0x14)).entry, kElfVirtual + 0x14);
    EXPECT_EQ(refusal_of_file(with_tags({9, 12, 0x202800, 0})),
              refused(Refusal::elf_entry, {kElfVirtual + 0x2800}))
        << "data";
    EXPECT_EQ(refusal_of_file(with_tags({9, 12, 0x100000, 0})),
              refused(Refusal::elf_entry, {0x100000}));
}

TEST(Contracts, Of32BitsHaveNoEntryAbove4GiB) {
    File file = with_tags({});
    put(file, 64 + 24, 4 * kGiB + 0x200000); // p_paddr
    EXPECT_EQ(refusal_of_file(file), refused(Refusal::elf_entry, {kElfVirtual + 0x10}));
    put(file, 64 + 24, 4 * kGiB - 0x1000);
    EXPECT_EQ(read(file).physical_entry(), 4 * kGiB - 0xff0);
}

TEST(Contracts, AnotherEntryMustBeExecutable) {
    ElfPayload elf = read(elf_file());
    elf.enter_at(kElfVirtual + 0x30);
    EXPECT_EQ(elf.entry, kElfVirtual + 0x30);
    EXPECT_EQ(refusal_of([&] { elf.enter_at(kElfVirtual + 0x2800); }),
              refused(Refusal::elf_entry, {kElfVirtual + 0x2800}));
}

TEST(MultibootHeader, IsRefusedOrAnotherWhereverTheFileIsCutOff) {
    const File elf = with_tags({9, 12, 0x200010, 0}), flat = flat_file();
    for (size_t bytes = 0; bytes != elf.size(); ++bytes)
        EXPECT_TRUE(refusal_of([&] { read_elf(elf.data(), bytes); })) << bytes;
    for (size_t bytes = 0; bytes != flat.size(); ++bytes) {
        EXPECT_EQ(has_multiboot_header(flat.data(), bytes), bytes >= 0x10c) << bytes;
        if (bytes >= 0x10c)
            EXPECT_EQ(!refusal_of([&] { read_flat(flat.data(), bytes); }), bytes >= 0x120) << bytes;
    }
}

TEST(MultibootHeader, Of2IsRead) {
    const ElfPayload elf = read(with_tags({6, 8, 3, 12, 0x200040, 0, 4, 12, 2, 0, //
                                           10, 24, 0x100000, 0x7fffffff, 0x200000, 1}));
    EXPECT_TRUE(elf.multiboot.aligns_modules);
    EXPECT_FALSE(elf.multiboot.wants_screen);
    EXPECT_EQ(elf.physical_entry(), 0x200040u);
    EXPECT_EQ(elf.multiboot.least, 0x100000u);
    EXPECT_EQ(elf.multiboot.most, 0x7fffffffu);
    EXPECT_EQ(elf.multiboot.alignment, 0x200000u);
    ElfPayload moved = elf;
    moved.slide(0, 0x400000);
    EXPECT_EQ(moved.physical_entry(), 0x600040u);
    EXPECT_EQ(read(with_tags({})).physical_entry(), 0x200010u);
}

TEST(MultibootHeader, Of2WantsAScreenOrNot) {
    EXPECT_TRUE(read(with_tags({4, 12, 1, 0})).multiboot.wants_screen);
    EXPECT_TRUE(read(with_tags({5, 20, 1024, 768, 32, 0})).multiboot.wants_screen);
    EXPECT_FALSE(read(with_tags({4 | kOptional, 12, 1, 0})).multiboot.wants_screen);
    EXPECT_FALSE(read(with_tags({5 | kOptional, 20, 0, 0, 0, 0})).multiboot.wants_screen);
}

TEST(MultibootHeader, Of2IsRefusedByName) {
    const auto because = [](const char* what, uint64_t a, uint64_t b = 0) {
        return refused(Refusal::multiboot2, {a, b}, what);
    };
    for (const uint32_t type : {5u, 7u, 10u, 16u, 18u, 22u, 32u, 33u, 0x10001u}) {
        EXPECT_EQ(refusal_of_file(with_tags({1, 16, 3, type})), because("information tag", type));
        EXPECT_FALSE(refusal_of_file(with_tags({1 | kOptional, 16, 3, type})));
    }
    for (const uint32_t type : {1u, 2u, 3u, 4u, 6u, 8u, 9u, 11u, 12u, 13u, 14u, 15u, 17u, 21u})
        EXPECT_FALSE(refusal_of_file(with_tags({1, 12, type, 0}))) << type;
    EXPECT_EQ(refusal_of_file(with_tags({11, 8})), because("header tag", 11));
    EXPECT_FALSE(refusal_of_file(with_tags({11 | kOptional, 8})));
    EXPECT_EQ(refusal_of_file(with_tags({6, 7})), because("a header tag's size", 6, 7));
    EXPECT_EQ(refusal_of_file(with_tags({6, 0x1000})), because("a header tag's size", 6, 0x1000));
    EXPECT_EQ(refusal_of_file(with_tags({6, 8}, false)),
              because("an end tag", kHeader + 24, kHeader + 24));
    File file = with_tags({});
    put(file, kHeader + 4, uint32_t{4}); // MIPS
    put(file, kHeader + 12, -(0xe85250d6u + 4 + 24));
    EXPECT_EQ(refusal_of_file(file), because("architecture", 4));
    file = with_tags({});
    put(file, kHeader + 8, uint32_t{0x2000});
    put(file, kHeader + 12, -(0xe85250d6u + 0x2000));
    EXPECT_EQ(refusal_of_file(file),
              refused(Refusal::elf_cut, {kHeader + 0x2000, file.size()}, "the Multiboot 2 header"));
    put(file, kHeader + 12, uint32_t{0});
    EXPECT_EQ(refusal_of_file(file), refused(Refusal::elf_contract, {}))
        << "no checksum, no header";
}

TEST(MultibootHeader, LiesInItsReach) {
    File file(40000);
    const uint32_t header[] = {0xe85250d6, 0, 16, -(0xe85250d6u + 16)};
    for (const size_t at : {size_t{0}, size_t{8}, size_t{32760}}) {
        std::fill(file.begin(), file.end(), uint8_t{0});
        std::memcpy(file.data() + at, header, sizeof header);
        EXPECT_EQ(find_multiboot2(file.data(), file.size()), at);
    }
    for (const size_t at : {size_t{4}, size_t{32768}}) {
        std::fill(file.begin(), file.end(), uint8_t{0});
        std::memcpy(file.data() + at, header, sizeof header);
        EXPECT_EQ(find_multiboot2(file.data(), file.size()), file.size());
    }
}

ElfPayload read_as_flat(const File& file, Contract wished = Contract::none) {
    return read_flat(file.data(), file.size(), wished);
}

std::optional<Refused> refusal_of_flat(const File& file, Contract wished = Contract::none) {
    return refusal_of([&] { read_as_flat(file, wished); });
}

TEST(MultibootHeader, SaysWhereAFlatFileBelongs) {
    const ElfPayload elf = read_as_flat(flat_file({0x8300, 0x8200, 0, 0x10000, 0x8240}));
    EXPECT_EQ(elf.contract, Contract::multiboot1);
    ASSERT_EQ(elf.count, 1u);
    EXPECT_EQ(elf.segments[0].file_offset, 0u);
    EXPECT_EQ(elf.segments[0].file_bytes, 0x3000u);
    EXPECT_EQ(elf.segments[0].phys, 0x8200u);
    EXPECT_EQ(elf.segments[0].bytes, 0x7e00u);
    EXPECT_EQ(elf.physical_entry(), 0x8240u);
    const ElfPayload part = read_as_flat(flat_file({0x8210, 0x8200, 0x8300, 0, 0x8240}));
    EXPECT_EQ(part.segments[0].file_offset, 0xf0u);
    EXPECT_EQ(part.segments[0].file_bytes, 0x100u);
    EXPECT_EQ(part.segments[0].bytes, 0x100u);
}

TEST(MultibootHeader, CountsMoreThanAnElfFilesSegments) {
    File file = elf_file();
    put(file, kElfNoteAt + 8, uint32_t{0x71});
    const File header = flat_file({0x300100, 0x300000, 0x301000, 0x302000, 0x300040});
    std::memcpy(file.data() + 0x400, header.data() + 0x100, 32);
    const ElfPayload elf = read(file);
    ASSERT_EQ(elf.count, 1u);
    EXPECT_EQ(elf.segments[0].file_offset, 0x300u);
    EXPECT_EQ(elf.segments[0].phys, 0x300000u);
    EXPECT_EQ(elf.physical_entry(), 0x300040u);
}

TEST(MultibootHeader, ByItsTagsSaysSoToo) {
    const ElfPayload elf = read(with_tags({2, 24, 0x500400, 0x500000, 0, 0x600000, //
                                           3, 12, 0x500010, 0}));
    ASSERT_EQ(elf.count, 1u);
    EXPECT_EQ(elf.segments[0].phys, 0x500000u);
    EXPECT_EQ(elf.segments[0].file_offset, 0u);
    EXPECT_EQ(elf.segments[0].bytes, 0x100000u);
    EXPECT_EQ(elf.physical_entry(), 0x500010u);
    EXPECT_EQ(refusal_of_file(with_tags({2, 24, 0x500400, 0x500000, 0, 0x600000})),
              refused(Refusal::multiboot2, {3}, "an entry address tag"));
}

TEST(MultibootHeader, LiesInAddressesAreRefused) {
    const auto because = [](const char* field, uint64_t is, uint64_t other) {
        return refused(Refusal::multiboot_address, {is, other}, field);
    };
    EXPECT_EQ(refusal_of_flat(flat_file({0x8300, 0x8301, 0, 0, 0x8240})),
              because("load_addr", 0x8301, 0x8300));
    EXPECT_EQ(refusal_of_flat(flat_file({0x8301, 0x8200, 0, 0, 0x8240})),
              because("load_addr", 0x8200, 0x8301))
        << "before the file";
    EXPECT_EQ(refusal_of_flat(flat_file({0x8300, 0x8200, 0x8100, 0, 0x8240})),
              because("load_end_addr", 0x8100, 0x8200));
    EXPECT_EQ(refusal_of_flat(flat_file({0x8300, 0x8200, 0xb201, 0, 0x8240})),
              because("load_end_addr", 0xb201, 0x8200));
    EXPECT_EQ(refusal_of_flat(flat_file({0x8300, 0x8200, 0, 0xb1ff, 0x8240})),
              because("bss_end_addr", 0xb1ff, 0x8200));
    EXPECT_EQ(refusal_of_flat(flat_file({0x8300, 0x8200, 0, 0, 0xb200})),
              refused(Refusal::elf_entry, {0xb200}));
    EXPECT_EQ(refusal_of_flat(flat_file({}, 3)), refused(Refusal::multiboot_flat, {0x3000}));
    EXPECT_EQ(refusal_of_flat(flat_file({}, 4)), refused(Refusal::multiboot_flat, {0x3000}))
        << "a screen is told of where there is one";
    EXPECT_EQ(refusal_of_flat(flat_file({}, 8)),
              refused(Refusal::elf_header, {8, 7}, "the Multiboot header's flags"));
    EXPECT_EQ(refusal_of_flat(flat_file({0x8300, 0x8200, 0, 0, 0x8240}), Contract::pvh),
              refused(Refusal::contract, {}, "pvh"));
    EXPECT_EQ(refusal_of_flat(flat_file({0x8300, 0x8200, 0, 0, 0x8240}), Contract::handoff),
              refused(Refusal::contract, {}, "handoff"));
    File cut = flat_file({0x8300, 0x8200, 0, 0, 0x8240});
    cut.resize(0x100 + 31);
    EXPECT_EQ(refusal_of_flat(cut),
              refused(Refusal::elf_cut, {0x120, 0x11f}, "the Multiboot header"));
}

} // namespace
} // namespace prologue::test
