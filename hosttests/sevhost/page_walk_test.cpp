// The walk of the guest's tables: held against the independent walker of the page tables'
// tests, on random tables of each mode, and by hand where the host has its own rules.
#include "guest_machine.h"
#include "page_walk.h"
#include "reverse_map.h"

#include "dice.h"
#include "page_walker.h"

#include <gtest/gtest.h>

#include <string>

namespace sevhost::test {
namespace {

namespace judge = prologue::test;

constexpr uint64_t kLinear = 0x00234000, kPage = 0x9000;

std::string str(Paging mode) {
    const char* const names[] = {"off", "32-bit", "PAE", "4-level", "5-level"};
    return names[static_cast<unsigned>(mode)];
}

judge::PagingState state_of(const GuestMachine& guest) {
    const VmcbSave& s = guest.save();
    return {.cr0 = s.cr0,
            .cr3 = s.cr3,
            .cr4 = s.cr4,
            .efer = s.efer & ~kEferSvme,
            .c_bit = guest.c_bit_mask};
}

judge::ReadPhys reader_of(const GuestMachine& guest) {
    return [&guest](uint64_t at) -> std::optional<uint64_t> {
        if (at + 8 > kMachineBytes)
            return std::nullopt;
        return guest.get<uint64_t>(at);
    };
}

judge::Access access_of(Access access) {
    return access == Access::read    ? judge::Access::Read
           : access == Access::write ? judge::Access::Write
                                     : judge::Access::Execute;
}

// What #PF's error code says of presence and rights, from the judge's fault.
void expect_same_fault(const Translation& t, const judge::Fault& fault) {
    using judge::FaultKind;
    const bool absent = fault.kind == FaultKind::NotPresent;
    const bool rights = fault.kind == FaultKind::Write || fault.kind == FaultKind::User ||
                        fault.kind == FaultKind::Execute;
    ASSERT_TRUE(absent || rights) << fault;
    EXPECT_EQ(t.fault & 1, absent ? 0u : 1u) << fault;
    EXPECT_EQ(t.fault & 8, 0u) << fault;
}

void compare(const GuestMachine& guest, uint64_t linear, Access access, bool user) {
    const judge::WalkResult judged = judge::walk(state_of(guest), reader_of(guest), linear,
                                                 access_of(access), user);
    const Translation found = look_up(guest, linear);
    const Translation t = translate(guest, linear, access, user);
    if (const auto* fault = std::get_if<judge::Fault>(&judged)) {
        ASSERT_FALSE(t.mapped) << *fault;
        expect_same_fault(t, *fault);
        EXPECT_EQ(t.fault & 2, access == Access::write ? 2u : 0u);
        EXPECT_EQ(t.fault & 4, user ? 4u : 0u);
        EXPECT_EQ(t.fault & 16, access == Access::fetch ? 16u : 0u);
        return;
    }
    const auto& page = std::get<judge::Translation>(judged);
    ASSERT_TRUE(t.mapped) << page;
    ASSERT_TRUE(found.mapped) << page;
    EXPECT_EQ(t.gpa, page.pa);
    EXPECT_EQ(found.gpa, page.pa);
    const bool is_shared = !page.encrypted && access != Access::fetch;
    EXPECT_EQ(t.backing, is_shared ? Backing::shared : Backing::private_);
}

// Some pages of every size, with random rights, some entries gone, some shared.
std::vector<uint64_t> map_at_random(GuestMachine& guest, Paging mode, judge::Dice& dice) {
    std::vector<uint64_t> addresses;
    const unsigned most = mode == Paging::bits32 || mode == Paging::pae ? 2 : 3;
    for (unsigned i = 0; i != 24; ++i) {
        const unsigned level = dice.one_in(3) ? static_cast<unsigned>(dice.between(1, most)) : 1;
        const unsigned shift = mode == Paging::bits32 ? 2 + 10 * level : 3 + 9 * level;
        const uint64_t space = mode == Paging::five_levels   ? 0x00ffffffffffffff
                               : mode == Paging::four_levels ? 0x00007fffffffffff
                                                             : 0xffffffff;
        const uint64_t room = mode == Paging::bits32 ? 0xffffffff : 0x7fffffffff;
        const uint64_t size = uint64_t{1} << (shift + 9);
        const uint64_t linear = dice.any() & space;
        uint64_t bits = dice.one_in(8) ? 0 : kEntryPresent;
        bits |= dice.any() & (kEntryWritable | kEntryUser);
        bits |= mode != Paging::bits32 ? dice.any() & kEntryNoExecute : 0;
        bits |= dice.one_in(2) ? guest.c_bit() : 0;
        bits |= level > 1 ? kEntryLarge : 0;
        const uint64_t unit = level == 1 ? kPageBytes : mode == Paging::bits32 ? 4 << 20 : size;
        (void)guest.map_at(level, linear, (dice.any() & room) & ~(unit - 1), bits);
        addresses.push_back(linear);
    }
    return addresses;
}

TEST(SevPageWalk, AgreesWithTheIndependentWalkerInEveryMode) {
    judge::Dice dice(4);
    for (unsigned round = 0; round != 60; ++round)
        for (const Paging mode : kPagingModes) {
            GuestMachine guest;
            guest.set_paging(mode);
            const std::vector<uint64_t> addresses = map_at_random(guest, mode, dice);
            guest.save().cr0 ^= dice.one_in(4) ? kCr0Wp : 0;
            for (const uint64_t linear : addresses)
                for (const Access access : {Access::read, Access::write, Access::fetch})
                    for (const bool user : {false, true}) {
                        SCOPED_TRACE(str(mode));
                        compare(guest, linear, access, user);
                        if (testing::Test::HasFailure())
                            return;
                    }
        }
}

TEST(SevPageWalk, WithoutPagingAddressesAreFlatAndPrivate) {
    GuestMachine guest;
    const Translation t = translate(guest, 0x1'0001'2345, Access::write, true);
    EXPECT_TRUE(t.mapped);
    EXPECT_EQ(t.gpa, 0x12345u);
    EXPECT_EQ(t.backing, Backing::private_);
    EXPECT_EQ(t.steps, 0u);
}

TEST(SevPageWalk, CBitChoosesTheMemoryInPaeAndLongMode) {
    for (const Paging mode : {Paging::pae, Paging::four_levels, Paging::five_levels}) {
        GuestMachine guest;
        guest.set_paging(mode);
        guest.put<uint32_t>(kPage, 0x11111111, Backing::private_);
        guest.put<uint32_t>(kPage, 0x22222222, Backing::shared);
        const GuestPhys entry = guest.map(kLinear, kPage, kEntryAll | kCBit51);
        uint32_t value = 0;
        EXPECT_TRUE(read_linear(guest, kLinear, &value, sizeof value));
        EXPECT_EQ(value, 0x11111111u) << str(mode);
        guest.put_entry(entry, kPage | kEntryAll);
        EXPECT_TRUE(read_linear(guest, kLinear, &value, sizeof value));
        EXPECT_EQ(value, 0x22222222u) << str(mode);
    }
}

TEST(SevPageWalk, WithoutPaeEverythingIsPrivate) {
    GuestMachine guest;
    guest.set_paging(Paging::bits32);
    guest.map(kLinear, kPage, kEntryAll);
    EXPECT_EQ(translate(guest, kLinear, Access::read, false).backing, Backing::private_);
}

TEST(SevPageWalk, GuestWithoutEncryptionHasOneMemory) {
    GuestMachine guest(0);
    guest.set_paging(Paging::four_levels);
    guest.map(kLinear, kPage, kEntryAll);
    EXPECT_EQ(translate(guest, kLinear, Access::read, false).backing, Backing::private_);
}

TEST(SevPageWalk, FetchesArePrivateWhateverTheCBitSays) {
    GuestMachine guest;
    guest.set_paging(Paging::four_levels);
    guest.map(kLinear, kPage, kEntryAll);
    EXPECT_EQ(translate(guest, kLinear, Access::fetch, false).backing, Backing::private_);
    EXPECT_EQ(translate(guest, kLinear, Access::read, false).backing, Backing::shared);
}

TEST(SevPageWalk, TablesArePrivateWhateverTheCBitSays) {
    for (const Paging mode : {Paging::pae, Paging::four_levels, Paging::five_levels}) {
        GuestMachine guest;
        guest.set_paging(mode);
        guest.map(kLinear, kPage, kEntryAll | kCBit51);
        for (unsigned level = 2; level <= guest.levels(); ++level) {
            const GuestPhys at = guest.entry_of(kLinear, level);
            guest.put_entry(at, guest.get_entry(at) & ~kCBit51);
        }
        EXPECT_TRUE(translate(guest, kLinear, Access::read, false).mapped) << str(mode);
    }
}

TEST(SevPageWalk, AnotherCBitIsPartOfTheAddress) {
    GuestMachine guest(uint64_t{1} << 47);
    guest.set_paging(Paging::five_levels);
    guest.map(kLinear, kPage, kEntryAll | kCBit51);
    const Translation t = translate(guest, kLinear, Access::read, false);
    EXPECT_EQ(t.gpa, kPage | kCBit51);
    EXPECT_EQ(t.backing, Backing::shared);
}

TEST(SevPageWalk, MarksAccessedAndDirty) {
    for (const Paging mode : kPagingModes) {
        GuestMachine guest;
        guest.set_paging(mode);
        const GuestPhys at = guest.map(kLinear, kPage, kEntryAll | guest.c_bit());
        const uint64_t before = guest.get_entry(at);
        (void)look_up(guest, kLinear);
        EXPECT_EQ(guest.get_entry(at), before) << "a look leaves no trace";
        (void)translate(guest, kLinear, Access::read, false);
        EXPECT_EQ(guest.get_entry(at), before | kEntryAccessed) << str(mode);
        (void)translate(guest, kLinear, Access::write, false);
        EXPECT_EQ(guest.get_entry(at), before | kEntryAccessed | kEntryDirty) << str(mode);
        const unsigned top = guest.levels();
        const uint64_t entry = guest.get_entry(guest.entry_of(kLinear, top));
        EXPECT_EQ((entry & kEntryAccessed) != 0, mode != Paging::pae) << "PDPTEs have none";
        EXPECT_EQ(entry & kEntryDirty, 0u) << str(mode);
    }
}

TEST(SevPageWalk, FaultMarksNothing) {
    GuestMachine guest;
    guest.set_paging(Paging::four_levels);
    const GuestPhys at = guest.map(kLinear, kPage, kEntryPresent | kCBit51);
    const uint64_t before = guest.get_entry(at);
    EXPECT_FALSE(translate(guest, kLinear, Access::write, false).mapped);
    EXPECT_EQ(guest.get_entry(at), before);
}

TEST(SevPageWalk, ReservedBitsFault) {
    GuestMachine guest;
    guest.set_paging(Paging::four_levels);
    const GuestPhys at = guest.map(kLinear, kPage, kEntryAll | kEntryNoExecute | kCBit51);
    EXPECT_TRUE(translate(guest, kLinear, Access::read, false).mapped);
    guest.save().efer &= ~kEferNxe;
    EXPECT_EQ(translate(guest, kLinear, Access::read, false).fault, 9u) << "NX without NXE";
    guest.put_entry(at, kPage | kEntryAll | kCBit51);
    EXPECT_TRUE(translate(guest, kLinear, Access::read, false).mapped);
    const GuestPhys top = guest.entry_of(kLinear, 4);
    guest.put_entry(top, guest.get_entry(top) | kEntryLarge);
    EXPECT_EQ(translate(guest, kLinear, Access::write, true).fault, 0xfu) << "a large PML4E";
}

TEST(SevPageWalk, StepsNameTheEntriesFromTheTop) {
    GuestMachine guest;
    guest.set_paging(Paging::five_levels);
    guest.map(kLinear, kPage, kEntryAll);
    const Translation t = look_up(guest, kLinear);
    ASSERT_EQ(t.steps, 5u);
    for (unsigned i = 0; i != 5; ++i) {
        EXPECT_EQ(t.step[i].level, 5 - i);
        EXPECT_EQ(t.step[i].at, guest.entry_of(kLinear, 5 - i));
    }
}

TEST(SevPageWalk, LegacyPaesTopTableLiesAtAnyMultipleOf32) {
    GuestMachine guest;
    guest.set_paging(Paging::pae);
    guest.map(kLinear, kPage, kEntryAll | kCBit51);
    constexpr GuestPhys kElsewhere = 0x8000 + 0x7e0;
    guest.put<uint64_t>(kElsewhere, guest.get<uint64_t>(guest.save().cr3));
    guest.save().cr3 = kElsewhere | 0x18; // PWT and PCD
    EXPECT_EQ(look_up(guest, kLinear).gpa, kPage);
}

TEST(SevPageWalk, RangeGoesOverPagesThatLieApart) {
    GuestMachine guest;
    guest.set_paging(Paging::pae);
    guest.map(kLinear, kPage, kEntryAll | kCBit51);
    guest.map(kLinear + kPageBytes, kPage + 0x5000, kEntryAll); // shared
    const uint64_t value = 0x1122334455667788;
    EXPECT_TRUE(write_linear(guest, kLinear + kPageBytes - 3, &value, sizeof value));
    EXPECT_EQ(guest.get<uint8_t>(kPage + kPageBytes - 1), 0x66);
    EXPECT_EQ(guest.get<uint32_t>(kPage + 0x5000, Backing::shared), 0x22334455u);
    uint64_t back = 0;
    EXPECT_TRUE(read_linear(guest, kLinear + kPageBytes - 3, &back, sizeof back));
    EXPECT_EQ(back, value);
}

TEST(SevPageWalk, RangeEndsWhereItCannotGoOn) {
    GuestMachine guest;
    guest.set_paging(Paging::pae);
    guest.map(kLinear, kPage, kEntryAll | kCBit51);
    uint64_t value = 0;
    const Reached reached = read_linear(guest, kLinear + kPageBytes - 3, &value, 8, true);
    EXPECT_EQ(reached.how, Reach::page_fault);
    EXPECT_EQ(reached.linear, kLinear + kPageBytes);
    EXPECT_EQ(reached.code, 4u);
    guest.map(kLinear + kPageBytes, kMachineBytes, kEntryAll | kCBit51);
    EXPECT_EQ(read_linear(guest, kLinear + kPageBytes, &value, 8).how, Reach::no_memory);
}

TEST(SevPageWalk, PagesThatAreNotValidatedAreNotReached) {
    GuestMachine guest;
    guest.set_paging(Paging::four_levels);
    guest.map(kLinear, kPage, kEntryAll | kCBit51);
    std::vector<uint8_t> states(kMachineBytes / kPageBytes);
    ReverseMap map(guest.memory);
    map.create(0, states.data());
    guest.reverse_map = &map;
    uint64_t value = 0;
    EXPECT_EQ(read_linear(guest, kLinear, &value, 8).how, Reach::not_validated);
    map.set_validated(kPage, true);
    EXPECT_TRUE(read_linear(guest, kLinear, &value, 8));
}

TEST(SevPageWalk, InstructionIsFetchedAsFarAsItCanBeRead) {
    GuestMachine guest;
    guest.set_paging(Paging::four_levels);
    guest.save().cs.attributes = 0xa9b;
    guest.map(kLinear, kPage, kEntryAll | kCBit51);
    guest.save().rip = kLinear + kPageBytes - 4;
    EXPECT_EQ(fetch_instruction(guest).count, 4u);
    guest.map(kLinear + kPageBytes, kPage, kEntryAll | kCBit51);
    EXPECT_EQ(fetch_instruction(guest).count, 15u);
    guest.map(kLinear + kPageBytes, kPage, kEntryAll | kCBit51 | kEntryNoExecute);
    EXPECT_EQ(fetch_instruction(guest).count, 4u);
}

} // namespace
} // namespace sevhost::test
