// MemoryMap against a model that looks at every page: which type a page has, and what becomes of it.

#include "stated_maps.h"

namespace prologue::test {
namespace {

TEST(MemoryMap, AgreesWithALookAtEveryPage) {
    constexpr uint64_t kPages = 48;
    Dice dice(1);
    for (int round = 0; round != 20000; ++round) {
        const uint64_t universe = dice.one_of<uint64_t>(
            {0, 4 * kGiB - 3 * kPage, uint64_t{0} - kPages * kPage});
        std::vector<Statement> statements(dice.below(14));
        for (Statement& statement : statements)
            statement = random_statement(dice, universe, kPages);
        const Ranges ranges = map_of(statements);
        ASSERT_EQ(flaw_of(ranges.data(), ranges.data() + ranges.size()), "") << "round " << round;
        ASSERT_EQ(ranges, map_by_pages(statements, universe, kPages))
            << "round " << round << ": " << testing::PrintToString(statements);
    }
}

TEST(MemoryMap, TheOrderOfStatementsChangesNothing) {
    Dice dice(2);
    for (int round = 0; round != 2000; ++round) {
        std::vector<Statement> statements(dice.between(2, 10));
        for (Statement& statement : statements)
            statement = random_statement(dice, 0, 64);
        const Ranges ranges = map_of(statements);
        dice.shuffle(statements);
        ASSERT_EQ(map_of(statements), ranges) << testing::PrintToString(statements);
    }
}

TEST(MemoryMap, IsEmptyUntilSomethingIsStated) {
    EXPECT_EQ(map_of({}), Ranges());
    EXPECT_EQ(map_of({add(kMiB, 0, 1), add(kMiB, 0, 2), overlay(5, 0, 9)}), Ranges());
}

TEST(MemoryMap, KnowsTheE820Types) {
    const uint32_t types[] = {PROLOGUE_MEMORY_RESERVED, PROLOGUE_MEMORY_USABLE,
                              PROLOGUE_MEMORY_RESERVED, PROLOGUE_MEMORY_ACPI,
                              PROLOGUE_MEMORY_NVS,      PROLOGUE_MEMORY_BAD,
                              PROLOGUE_MEMORY_RESERVED, PROLOGUE_MEMORY_RESERVED};
    for (uint32_t e820 = 0; e820 != std::size(types); ++e820)
        EXPECT_EQ(map_of({add(kMiB, kPage, e820)}), (Ranges{{kMiB, kMiB + kPage, types[e820], 0}}))
            << e820;
    EXPECT_EQ(type_of_e820(~0u), uint32_t{PROLOGUE_MEMORY_RESERVED});
}

TEST(MemoryMap, TheMoreRestrictiveTypeWinsWhicheverComesFirst) {
    for (uint32_t a = PROLOGUE_MEMORY_USABLE; a <= PROLOGUE_MEMORY_KERNEL; ++a)
        for (uint32_t b = a + 1; b <= PROLOGUE_MEMORY_KERNEL; ++b) {
            if (a == PROLOGUE_MEMORY_MODULE) // which is another test's
                continue;
            const Ranges expected = {
                {0, kPage, a, 0}, {kPage, 2 * kPage, b, 0}, {2 * kPage, 3 * kPage, a, 0}};
            EXPECT_EQ(map_of({overlay(0, 3, a), overlay(1, 1, b)}), expected);
            EXPECT_EQ(map_of({overlay(1, 1, b), overlay(0, 3, a)}), expected);
        }
}

TEST(MemoryMap, UsableMemoryShrinksToWholePages) {
    EXPECT_EQ(map_of({add(kMiB + 1, 3 * kPage, 1)}),
              (Ranges{{kMiB + kPage, kMiB + 3 * kPage, PROLOGUE_MEMORY_USABLE, 0}}));
    EXPECT_EQ(map_of({add(kMiB + 1, 2 * kPage - 2, 1)}), Ranges()) << "no whole page in it";
    EXPECT_EQ(map_of({add(kMiB, kPage / 2, 1), add(kMiB + kPage / 2, kPage / 2, 1)}), Ranges())
        << "two halves of a page are not taken for one";
}

TEST(MemoryMap, AllElseGrowsToWholePages) {
    EXPECT_EQ(map_of({add(kMiB + kPage - 1, 2, 2)}),
              (Ranges{{kMiB, kMiB + 2 * kPage, PROLOGUE_MEMORY_RESERVED, 0}}));
    EXPECT_EQ(map_of({add(kMiB, 2 * kPage, 1), add(kMiB + 5, 1, 3)}),
              (Ranges{{kMiB, kMiB + kPage, PROLOGUE_MEMORY_ACPI, 0},
                      {kMiB + kPage, kMiB + 2 * kPage, PROLOGUE_MEMORY_USABLE, 0}}));
}

TEST(MemoryMap, UsableMemoryLosesPhysicalPage0) {
    EXPECT_EQ(map_of({add(0, 0x9fc00, 1)}), (Ranges{{kPage, 0x9f000, PROLOGUE_MEMORY_USABLE, 0}}));
    EXPECT_EQ(map_of({add(0, kPage, 1)}), Ranges());
    EXPECT_EQ(map_of({add(0, 1, 2)}), (Ranges{{0, kPage, PROLOGUE_MEMORY_RESERVED, 0}}));
}

TEST(MemoryMap, NeighboursOfOneTypeMergeAndOthersDoNot) {
    const Ranges merged = {{kMiB, kMiB + 3 * kPage, PROLOGUE_MEMORY_USABLE, 0}};
    EXPECT_EQ(map_of({add(kMiB, kPage, 1), add(kMiB + kPage, 2 * kPage, 1)}), merged);
    EXPECT_EQ(map_of({add(kMiB + kPage, 2 * kPage, 1), add(kMiB, kPage, 1)}), merged);
    EXPECT_EQ(
        map_of({add(kMiB, kPage, 1), add(kMiB + 2 * kPage, kPage, 1), add(kMiB + kPage, kPage, 1)}),
        merged)
        << "the one in the middle joins both";
    EXPECT_EQ(map_of({add(kMiB, kPage, 1), add(kMiB + kPage, kPage, 2)}),
              (Ranges{{kMiB, kMiB + kPage, PROLOGUE_MEMORY_USABLE, 0},
                      {kMiB + kPage, kMiB + 2 * kPage, PROLOGUE_MEMORY_RESERVED, 0}}));
}

TEST(MemoryMap, GoesToTheLastPageButOne) {
    EXPECT_EQ(map_of({add(kTop - kPage, 2 * kPage, 2)}),
              (Ranges{{kTop - kPage, kTop, PROLOGUE_MEMORY_RESERVED, 0}}));
    EXPECT_EQ(map_of({add(kTop - 1, kPage, 2)}),
              (Ranges{{kTop - kPage, kTop, PROLOGUE_MEMORY_RESERVED, 0}}));
    EXPECT_EQ(map_of({add(kTop, kPage, 2)}), Ranges());
    EXPECT_EQ(map_of({add(kTop - kPage, kPage, 1)}),
              (Ranges{{kTop - kPage, kTop, PROLOGUE_MEMORY_USABLE, 0}}));
}

TEST(MemoryMap, LeavesOutARangeThatWrapsAndSaysSo) {
    for (uint32_t type = 0; type != 8; ++type) {
        for (const RawRange& wraps :
             {RawRange{kTop, kPage + 1, type}, RawRange{2, ~uint64_t{0}, type}}) {
            Stored stored(MemoryMap::storage_for(2));
            stored.map.add(RawRange{kMiB, kMiB, 1});
            EXPECT_EQ(stored.map.left_out(), 0u);
            stored.map.add(wraps);
            EXPECT_EQ(stored.ranges(), (Ranges{{kMiB, 2 * kMiB, PROLOGUE_MEMORY_USABLE, 0}}));
            EXPECT_EQ(stored.map.left_out(), uint32_t{PROLOGUE_LEFT_OUT_RANGE});
        }
        Stored stored(MemoryMap::storage_for(1));
        stored.map.add(RawRange{1, ~uint64_t{0}, type}); // ends at 2^64
        EXPECT_EQ(stored.map.left_out(), 0u);
    }
}

TEST(MemoryMap, LeavesOutWhatNoCpuAddressesOfWhatIsNotInUse) {
    const uint64_t limit = kGiB;
    for (uint32_t type = PROLOGUE_MEMORY_USABLE; type <= PROLOGUE_MEMORY_KERNEL; ++type) {
        const bool optional = type == PROLOGUE_MEMORY_USABLE || type == PROLOGUE_MEMORY_ACPI ||
                              type == PROLOGUE_MEMORY_NVS;
        Stored stored(MemoryMap::storage_for(4));
        stored.map.overlay({kMiB, 2 * kMiB}, PROLOGUE_MEMORY_BAD);
        stored.map.overlay({limit - kPage, limit + kPage}, type);
        stored.map.overlay({limit + kMiB, limit + 2 * kMiB}, type);
        stored.map.overlay({2 * limit, 3 * limit}, PROLOGUE_MEMORY_RESERVED);
        const Ranges all = stored.ranges();
        stored.map.leave_out_above(3 * limit);
        EXPECT_EQ(stored.ranges(), all) << type;
        EXPECT_EQ(stored.map.left_out(), 0u);
        stored.map.leave_out_above(limit);
        EXPECT_EQ(stored.map.left_out(), optional ? uint32_t{PROLOGUE_LEFT_OUT_RAM} : 0u) << type;
        const Ranges less = {{kMiB, 2 * kMiB, PROLOGUE_MEMORY_BAD, 0},
                             {limit - kPage, limit, type, 0},
                             {2 * limit, 3 * limit, PROLOGUE_MEMORY_RESERVED, 0}};
        EXPECT_EQ(stored.ranges(), optional ? less : all) << type;
        EXPECT_EQ(flaw_of(stored.map.begin(), stored.map.end()), "");
    }
}

TEST(MemoryMap, KnowsTheEndOfWhatIsMapped) {
    Stored stored(MemoryMap::storage_for(4));
    EXPECT_EQ(stored.map.mapped_end(), 0u);
    stored.map.overlay({4 * kMiB, 5 * kMiB}, PROLOGUE_MEMORY_RESERVED);
    EXPECT_EQ(stored.map.mapped_end(), 0u);
    stored.map.overlay({kMiB, 2 * kMiB}, PROLOGUE_MEMORY_MODULE);
    EXPECT_EQ(stored.map.mapped_end(), 2 * kMiB);
    stored.map.overlay({6 * kMiB, 7 * kMiB}, PROLOGUE_MEMORY_BAD);
    EXPECT_EQ(stored.map.mapped_end(), 2 * kMiB);
    stored.map.overlay({8 * kMiB, 9 * kMiB}, PROLOGUE_MEMORY_NVS);
    EXPECT_EQ(stored.map.mapped_end(), 9 * kMiB);
}

// Loaders reserve what they have allocated, and a kernel must read it all the same.
TEST(MemoryMap, AModulesBytesAreTheModulesWhateverTheLoaderCallsThem) {
    for (uint32_t type = PROLOGUE_MEMORY_USABLE; type != kTypes; ++type)
        for (const bool module_first : {false, true}) {
            Stored stored(MemoryMap::storage_for(2));
            const Span all = {kMiB, 2 * kMiB}, module = {kMiB + kPage, kMiB + 3 * kPage};
            if (module_first)
                stored.map.overlay(module, PROLOGUE_MEMORY_MODULE);
            stored.map.overlay(all, type);
            if (!module_first)
                stored.map.overlay(module, PROLOGUE_MEMORY_MODULE);
            const bool one = type == PROLOGUE_MEMORY_MODULE || type == PROLOGUE_MEMORY_KERNEL;
            EXPECT_EQ(stored.ranges(),
                      one ? (Ranges{{all.start, all.end, type, 0}})
                          : (Ranges{{all.start, module.start, type, 0},
                                    {module.start, module.end, PROLOGUE_MEMORY_MODULE, 0},
                                    {module.end, all.end, type, 0}}))
                << type;
        }
}

// A kernel that took its own image for memory to be accepted would use it for something else.
TEST(MemoryMap, TheImageIsTheKernelsWhateverTheLoaderCallsIt) {
    for (const uint32_t e820 :
         {0u, 1u, 2u, 3u, 4u, 5u, kInFirmwaresUse, kE820Unaccepted, kE820SoftReserved, ~0u}) {
        const Statement all = add(kMiB, kMiB, e820);
        const Statement image = overlay(kMiB / kPage + 1, 2, PROLOGUE_MEMORY_KERNEL);
        const uint32_t type = type_of_e820(e820);
        const Ranges due = {{kMiB, kMiB + kPage, type, 0},
                            {kMiB + kPage, kMiB + 3 * kPage, PROLOGUE_MEMORY_KERNEL, 0},
                            {kMiB + 3 * kPage, 2 * kMiB, type, 0}};
        EXPECT_EQ(map_of({all, image}), due) << e820;
        EXPECT_EQ(map_of({image, all}), due) << e820;
    }
}

// The numbers of these came too late to be ranks.
TEST(MemoryMap, UnacceptedMemoryIsThatForAllButWhatIsInUse) {
    for (uint32_t type = PROLOGUE_MEMORY_USABLE; type != kTypes; ++type) {
        const bool stronger = type == PROLOGUE_MEMORY_MODULE || type == PROLOGUE_MEMORY_KERNEL;
        EXPECT_EQ(map_of({overlay(1, 1, PROLOGUE_MEMORY_UNACCEPTED), overlay(1, 1, type)}),
                  (Ranges{{kPage, 2 * kPage, stronger ? type : PROLOGUE_MEMORY_UNACCEPTED, 0}}));
    }
}

TEST(MemoryMap, SoftReservedMemoryIsReservedWhereOthersSaySo) {
    for (uint32_t type = PROLOGUE_MEMORY_USABLE; type != kTypes; ++type) {
        const bool weaker = type <= PROLOGUE_MEMORY_PROLOGUE || type == PROLOGUE_MEMORY_ACPI ||
                            type == PROLOGUE_MEMORY_NVS;
        EXPECT_EQ(map_of({overlay(1, 1, type), overlay(1, 1, PROLOGUE_MEMORY_SOFT_RESERVED)}),
                  (Ranges{{kPage, 2 * kPage, weaker ? PROLOGUE_MEMORY_SOFT_RESERVED : type, 0}}));
    }
}

TEST(MemoryMap, AgreesOverAllOfTheAddressSpace) {
    Dice dice(6);
    for (int round = 0; round != 5000; ++round) {
        std::vector<Statement> statements(dice.below(12));
        for (Statement& statement : statements) {
            const uint64_t start = dice.any() >> dice.below(60);
            const uint64_t bytes = dice.any() >> dice.below(64);
            // Up to 2^64 at the most: what wraps is another test's.
            statement = add(start, std::min(bytes, uint64_t{0} - start), dice.below(7));
            if (start == 0)
                statement.bytes = bytes;
        }
        ASSERT_EQ(map_of(statements), map_by_sweep(statements))
            << testing::PrintToString(statements);
    }
}

TEST(MemoryMap, KnowsItsLargestUsableRangeWithinLimits) {
    Dice dice(8);
    for (int round = 0; round != 5000; ++round) {
        std::vector<Statement> statements(dice.below(12));
        for (Statement& statement : statements)
            statement = random_statement(dice, 0, 64);
        Stored stored(MemoryMap::storage_for(statements.size()));
        for (const Statement& statement : statements)
            stored.state(statement);
        const uint64_t first = dice.below(40);
        const Span limits = {first * kPage, (first + dice.below(40)) * kPage};
        const uint64_t least = dice.between(1, 4) * kPage;
        const auto share = [&](const prologue_range& range) {
            const uint64_t start = std::max(range.start, limits.start);
            const uint64_t end = std::min(range.end, limits.end);
            return range.type == PROLOGUE_MEMORY_USABLE && start < end ? end - start : 0;
        };
        uint64_t largest = 0;
        for (const prologue_range& range : stored.ranges())
            largest = std::max(largest, share(range));
        const prologue_range* found = nullptr;
        const auto failed = failure_of([&] { found = &stored.map.largest_usable(limits, least); });
        if (largest < least) {
            ASSERT_EQ(failed, failure(Error::no_free_memory, {least, largest})) << round;
        } else {
            ASSERT_EQ(failed, std::nullopt) << round;
            ASSERT_EQ(share(*found), largest) << round;
        }
    }
}

TEST(MemoryMap, GivesPartOfARangeAway) {
    Dice dice(9);
    for (int round = 0; round != 5000; ++round) {
        std::vector<Statement> statements(dice.between(1, 12));
        for (Statement& statement : statements)
            statement = random_statement(dice, 0, 64);
        Stored stored(MemoryMap::storage_for(statements.size()));
        for (const Statement& statement : statements)
            stored.state(statement);
        if (stored.map.size() == 0)
            continue;
        const prologue_range range = stored.map.begin()[dice.below(stored.map.size())];
        if (range.type >= PROLOGUE_MEMORY_PROLOGUE)
            continue;
        const uint64_t pages = (range.end - range.start) / kPage;
        const uint64_t from = dice.below(pages), count = dice.between(1, pages - from);
        const Statement given = overlay(range.start / kPage + from, count,
                                        PROLOGUE_MEMORY_PROLOGUE);
        const auto* in_map = std::find(stored.map.begin(), stored.map.end(), range);
        ASSERT_EQ(failure_of([&] {
                      stored.map.carve(*in_map, {given.start, given.start + given.bytes},
                                       PROLOGUE_MEMORY_PROLOGUE);
                  }),
                  std::nullopt)
            << "what is made for n ranges has room for this, too";
        statements.push_back(given);
        ASSERT_EQ(stored.ranges(), map_by_sweep(statements))
            << "round " << round << ": " << testing::PrintToString(statements);
        ASSERT_TRUE(stored.kept_to_its_storage());
    }
}

// Against the same done to the model's map, range by range.
Ranges retyped(const Ranges& ranges, uint32_t from, uint32_t to, uint64_t below) {
    Ranges result;
    const auto append = [&](uint64_t start, uint64_t end, uint32_t type) {
        if (start >= end)
            return;
        if (!result.empty() && result.back().end == start && result.back().type == type)
            result.back().end = end;
        else
            result.push_back({start, end, type, 0});
    };
    for (const prologue_range& range : ranges) {
        const uint64_t middle = std::clamp(below, range.start, range.end);
        append(range.start, middle, range.type == from ? to : range.type);
        append(middle, range.end, range.type);
    }
    return result;
}

TEST(MemoryMap, GivesATypeAnotherBelowAnAddress) {
    Dice dice(7);
    for (int round = 0; round != 20000; ++round) {
        std::vector<Statement> statements(dice.below(20));
        for (Statement& statement : statements)
            statement = random_statement(dice, 0, 40);
        Stored stored(MemoryMap::storage_for(statements.size()));
        for (const Statement& statement : statements)
            stored.state(statement);
        const auto from = static_cast<uint32_t>(dice.between(1, 5));
        const auto to = static_cast<uint32_t>(dice.between(1, 5));
        const uint64_t below = dice.one_in(8) ? kTop : dice.below(45) * kPage;
        const Ranges wanted = retyped(stored.ranges(), from, to, below);
        stored.map.retype(from, to, below);
        ASSERT_EQ(stored.ranges(), wanted) << from << " " << to << " " << below;
        ASSERT_TRUE(stored.kept_to_its_storage());
    }
}

} // namespace
} // namespace prologue::test
