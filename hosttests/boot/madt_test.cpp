// Who is there, by ACPI's tables: what is read out of them, and each lie.

#include "madt.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace prologue::test {
namespace {

constexpr uint64_t kRsdp = 0x1000, kRsdt = 0x2000, kXsdt = 0x3000, kMadt = 0x4000;
constexpr uint64_t kMemory = 0x8000;

struct Madt : testing::Test {
    std::vector<uint8_t> memory = std::vector<uint8_t>(kMemory);
    std::vector<uint8_t> entries;
    std::vector<prologue_cpu> list = std::vector<prologue_cpu>(8);
    prologue_cpus cpus = {};
    bool with_xsdt = true, apic_is_on = true;

    template <class T>
    void put(uint64_t at, T value) {
        std::memcpy(memory.data() + at, &value, sizeof value);
    }
    void seal(uint64_t at, uint64_t bytes, uint64_t checksum_at) {
        memory[at + checksum_at] = 0;
        uint8_t sum = 0;
        for (uint64_t i = 0; i != bytes; ++i)
            sum = static_cast<uint8_t>(sum + memory[at + i]);
        memory[at + checksum_at] = static_cast<uint8_t>(-sum);
    }
    void put_header(uint64_t at, const char* signature, uint32_t bytes) {
        std::memcpy(memory.data() + at, signature, 4);
        put(at + 4, bytes);
        seal(at, bytes, 9);
    }
    void put_tables() {
        std::memcpy(memory.data() + kRsdp, "RSD PTR ", 8);
        put(kRsdp + 15, uint8_t{2});
        put(kRsdp + 16, uint32_t{kRsdt});
        put(kRsdp + 20, uint32_t{36});
        put(kRsdp + 24, uint64_t{with_xsdt ? kXsdt : 0});
        seal(kRsdp, 20, 8);
        seal(kRsdp, 36, 32);
        put(kRsdt + 36, uint32_t{kMadt});
        put_header(kRsdt, "RSDT", 40);
        put(kXsdt + 36, uint64_t{0x7000}); // something else
        put(kXsdt + 44, uint64_t{kMadt});
        put_header(kXsdt, "XSDT", 52);
        put(kMadt + 36, uint32_t{0xfee00000});
        std::copy(entries.begin(), entries.end(), memory.begin() + kMadt + 44);
        put_header(kMadt, "APIC", static_cast<uint32_t>(44 + entries.size()));
    }
    void add(std::vector<uint8_t> bytes) {
        entries.insert(entries.end(), bytes.begin(), bytes.end());
    }
    void apic(uint8_t id, uint32_t flags = 1) {
        add({0, 8, static_cast<uint8_t>(id + 100), id, static_cast<uint8_t>(flags), 0, 0, 0});
    }
    void x2apic(uint32_t id, uint32_t flags = 1) {
        add({9, 16, 0, 0, static_cast<uint8_t>(id), static_cast<uint8_t>(id >> 8),
             static_cast<uint8_t>(id >> 16), static_cast<uint8_t>(id >> 24),
             static_cast<uint8_t>(flags), 0, 0, 0, 7, 0, 0, 0});
    }
    void mailbox(uint64_t phys) {
        std::vector<uint8_t> entry = {16, 16, 0, 0, 0, 0, 0, 0};
        for (unsigned i = 0; i != 8; ++i)
            entry.push_back(static_cast<uint8_t>(phys >> 8 * i));
        add(entry);
    }
    prologue_cpus_result read_as_it_is() {
        cpus.cpu = list.data();
        cpus.room = static_cast<uint32_t>(list.size());
        cpus.count = cpus.found = 1;
        cpus.apic_phys = apic_is_on ? 0xfee00000 : 0;
        cpus.mailbox_phys = cpus.refused_phys = 0;
        list[0] = {};
        list[0].apic_id = 0;
        list[0].state = PROLOGUE_CPU_BOOT;
        const PhysReader reader = {[](void* context, uint64_t phys, void* to, uint64_t bytes) {
                                       const auto& from = *static_cast<std::vector<uint8_t>*>(
                                           context);
                                       if (phys > from.size() || bytes > from.size() - phys)
                                           return false;
                                       std::memcpy(to, from.data() + phys, bytes);
                                       return true;
                                   },
                                   &memory};
        return read_madt(reader, kRsdp, cpus);
    }
    prologue_cpus_result read() {
        put_tables();
        return read_as_it_is();
    }
    std::vector<uint32_t> ids() const {
        std::vector<uint32_t> ids;
        for (uint32_t i = 0; i != cpus.count; ++i)
            ids.push_back(list[i].apic_id);
        return ids;
    }
};

TEST_F(Madt, ListsThoseThatAreEnabled) {
    apic(0), apic(2), apic(4, 0), apic(6, 2), apic(8, 3);
    ASSERT_EQ(read(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(ids(), (std::vector<uint32_t>{0, 2, 8})) << "6 is online-capable alone";
    EXPECT_EQ(list[0].acpi_id, 100u) << "the boot processor's, too";
    EXPECT_EQ(list[1].acpi_id, 102u);
    EXPECT_EQ(list[1].index, 1u);
    EXPECT_EQ(list[1].state, uint32_t{PROLOGUE_CPU_STOPPED});
}

TEST_F(Madt, ListsNoneTwice) {
    apic(0), apic(1), x2apic(1), apic(1), x2apic(0), x2apic(2);
    ASSERT_EQ(read(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(ids(), (std::vector<uint32_t>{0, 1, 2}));
}

TEST_F(Madt, SaysWhichCannotBeReached) {
    apic(0), apic(255), x2apic(254), x2apic(255), x2apic(0x12345), x2apic(0xffffffff);
    ASSERT_EQ(read(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(ids(), (std::vector<uint32_t>{0, 254, 255, 0x12345}));
    EXPECT_EQ(list[1].state, uint32_t{PROLOGUE_CPU_STOPPED});
    EXPECT_EQ(list[2].state, uint32_t{PROLOGUE_CPU_UNREACHABLE});
    EXPECT_EQ(list[3].state, uint32_t{PROLOGUE_CPU_UNREACHABLE});
    cpus.x2apic = 1;
    ASSERT_EQ(read(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(list[3].state, uint32_t{PROLOGUE_CPU_STOPPED});
}

TEST_F(Madt, CountsThoseForWhomThereIsNoRoom) {
    for (unsigned id = 0; id != 20; ++id)
        apic(static_cast<uint8_t>(id));
    ASSERT_EQ(read(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(cpus.count, 8u);
    EXPECT_EQ(cpus.found, 20u);
}

// Whose registers lie nowhere, this processor says: no message would go out.
TEST_F(Madt, OfAnApicThatIsOffNobodyIsReached) {
    apic_is_on = false;
    apic(0), apic(1), x2apic(2);
    ASSERT_EQ(read(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(ids(), (std::vector<uint32_t>{0, 1, 2}));
    EXPECT_EQ(list[1].state, uint32_t{PROLOGUE_CPU_UNREACHABLE});
    EXPECT_EQ(list[2].state, uint32_t{PROLOGUE_CPU_UNREACHABLE});
}

// Where the local APIC lies is this processor's own word, in MSR 1B.
TEST_F(Madt, AnApicsAddressIsNotBelieved) {
    apic(0);
    add({5, 12, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0});
    ASSERT_EQ(read(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(cpus.apic_phys, 0xfee00000u);
}

TEST_F(Madt, TellsTheMailbox) {
    apic(0);
    mailbox(0x5000);
    ASSERT_EQ(read(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(cpus.mailbox_phys, 0x5000u);
}

// Orders are written to it.
TEST_F(Madt, AMailboxIsAPageThatIsThere) {
    for (const uint64_t phys : {uint64_t{0x5ff8}, uint64_t{0x5001}, kMemory, ~uint64_t{0xfff}}) {
        entries.clear();
        apic(0), apic(1);
        mailbox(phys);
        EXPECT_EQ(read(), PROLOGUE_CPUS_BAD_TABLE) << phys;
        EXPECT_EQ(cpus.refused_phys, kMadt + 44 + 16);
    }
}

// Each is as long as its type says, at least; a longer one is passed by as it says.
TEST_F(Madt, AnEntryHasTheBytesOfItsType) {
    const struct {
        uint8_t type, least;
    } types[] = {{0, 8}, {5, 12}, {9, 16}, {16, 16}, {1, 2}, {255, 2}};
    for (const auto [type, least] : types)
        for (const unsigned bytes : {least - 1u, unsigned{least}, least + 3u}) {
            entries.clear();
            apic(0);
            std::vector<uint8_t> entry(bytes);
            entry[0] = type;
            if (bytes > 1)
                entry[1] = static_cast<uint8_t>(bytes);
            add(entry);
            apic(7);
            const bool fits = bytes >= least;
            EXPECT_EQ(read(), fits ? PROLOGUE_CPUS_DONE : PROLOGUE_CPUS_BAD_TABLE)
                << unsigned{type} << " of " << bytes;
            EXPECT_TRUE(!fits || list[cpus.count - 1].apic_id == 7);
        }
}

TEST_F(Madt, IsFoundByTheRsdtToo) {
    with_xsdt = false;
    apic(0), apic(1);
    ASSERT_EQ(read(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(ids(), (std::vector<uint32_t>{0, 1}));
    put(kRsdp + 15, uint8_t{0}); // ACPI 1.0: what follows byte 20 means nothing
    put(kRsdp + 24, uint64_t{kXsdt});
    seal(kRsdp, 20, 8);
    ASSERT_EQ(read_as_it_is(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(cpus.count, 2u);
}

TEST_F(Madt, AnXsdtThatCannotBeHadLeavesTheRsdt) {
    apic(0), apic(1);
    const auto break_xsdt = [this] {
        put_tables();
        memory[kXsdt + 20] ^= 1;
    };
    break_xsdt();
    EXPECT_EQ(read_as_it_is(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(cpus.count, 2u);
    EXPECT_EQ(cpus.refused_phys, 0u);
    put_tables();
    put(kRsdp + 24, ~uint64_t{0xfff}); // leads nowhere
    seal(kRsdp, 36, 32);
    EXPECT_EQ(read_as_it_is(), PROLOGUE_CPUS_DONE);
    put_tables();
    memory[kRsdp + 33] ^= 1; // the checksum of all: its second part is not believed
    EXPECT_EQ(read_as_it_is(), PROLOGUE_CPUS_DONE);
    put_tables();
    put(kRsdp + 20, uint32_t{35}); // too short for an XSDT
    seal(kRsdp, 36, 32);
    EXPECT_EQ(read_as_it_is(), PROLOGUE_CPUS_DONE);
    break_xsdt();
    memory[kRsdt + 20] ^= 1;
    EXPECT_EQ(read_as_it_is(), PROLOGUE_CPUS_BAD_TABLE);
    EXPECT_EQ(cpus.refused_phys, kXsdt) << "of two the one that ought to be there";
}

TEST_F(Madt, IsNotThere) {
    apic(0);
    put_tables();
    const PhysReader none = {[](void*, uint64_t, void*, uint64_t) { return false; }, nullptr};
    EXPECT_EQ(read_madt(none, 0, cpus), PROLOGUE_CPUS_NO_MADT);
    put(kXsdt + 44, uint64_t{0x7000});
    put_header(kXsdt, "XSDT", 52);
    EXPECT_EQ(read_as_it_is(), PROLOGUE_CPUS_NO_MADT);
}

// Each length and checksum is the firmware's word.
TEST_F(Madt, IsRefusedWhereItLies) {
    apic(0), apic(1);
    const auto refused = [&](uint64_t about) {
        EXPECT_EQ(read_as_it_is(), PROLOGUE_CPUS_BAD_TABLE);
        EXPECT_EQ(cpus.refused_phys, about);
    };
    put_tables();
    memory[kRsdp + 3] ^= 1;
    refused(kRsdp);
    put_tables();
    memory[kXsdt + 20] ^= 1;
    memory[kRsdt + 20] ^= 1;
    refused(kXsdt);
    with_xsdt = false;
    put_tables();
    memory[kRsdt + 20] ^= 1;
    refused(kRsdt);
    with_xsdt = true;
    put_tables();
    memory[kMadt + 20] ^= 1;
    refused(kMadt);
    for (const uint32_t bytes : {0u, 35u, 43u, 0x100001u, 0xffffffffu}) {
        put_tables();
        put(kMadt + 4, bytes);
        if (bytes < 0x1000)
            seal(kMadt, bytes < 36 ? 36 : bytes, 9);
        refused(kMadt);
    }
    for (const uint8_t bytes : {uint8_t{0}, uint8_t{1}, uint8_t{7}, uint8_t{9}, uint8_t{255}}) {
        put_tables();
        memory[kMadt + 44 + 8 + 1] = bytes;
        seal(kMadt, 44 + 16, 9);
        refused(kMadt + 44 + 8);
    }
}

TEST_F(Madt, HasOneMebibyteAndNoMore) {
    constexpr uint64_t kMost = 1 << 20, kHead = 44, kOdd = 12, kEntry = 8;
    memory.resize(kMadt + kMost + 1);
    add(std::vector<uint8_t>(kOdd)); // of a type that nobody knows
    entries[0] = 0x80, entries[1] = kOdd;
    apic(0);
    while (kHead + entries.size() != kMost - kEntry)
        apic(3, 0);
    apic(1);
    EXPECT_EQ(read(), PROLOGUE_CPUS_DONE);
    EXPECT_EQ(ids(), (std::vector<uint32_t>{0, 1}));
    put_header(kMadt, "APIC", kMost + 1);
    EXPECT_EQ(read_as_it_is(), PROLOGUE_CPUS_BAD_TABLE);
    EXPECT_EQ(cpus.refused_phys, kMadt);
}

// Cut off anywhere, it is refused, or is what it was up to there; nothing beyond is read.
TEST_F(Madt, MayEndAnywhere) {
    apic(0), x2apic(1), apic(2);
    put_tables();
    const auto whole = memory;
    for (uint64_t bytes = 0; bytes != kMemory; bytes += bytes < kMadt + 0x100 ? 1 : 0x100) {
        memory.assign(whole.begin(), whole.begin() + static_cast<long>(bytes));
        const prologue_cpus_result result = read_as_it_is();
        EXPECT_EQ(result == PROLOGUE_CPUS_DONE, bytes >= kMadt + 44 + 32) << bytes;
    }
}

} // namespace
} // namespace prologue::test
