// Strings of a loader's: where they end, and where they had better not.

#include "dice.h"
#include "parsing.h"

namespace prologue::test {
namespace {

constexpr const char* kWhat = "some text";

std::optional<Failure> text_fails(FakeMemory& memory, uint64_t phys) {
    return failure_of([&] { text_at(memory.seen, kWhat, phys); });
}

TEST(Text, EndsAtItsNulWhereverItBegins) {
    FakeMemory memory(kPage, 0, 0xff); // no byte around it is zero
    for (uint64_t phys = 0x100; phys != 0x120; ++phys)
        for (uint64_t length = 0; length != 70; ++length) {
            const std::string text(length, 'a');
            memory.put_text(phys, text);
            const Text found = text_at(memory.seen, kWhat, phys);
            ASSERT_EQ(str(found), text) << phys;
            ASSERT_EQ(memory.seen.phys_of(found.start), phys);
            memory.put<char>(phys + length, '\xff');
        }
}

TEST(Text, ZeroesBeforeItAreNotItsEnd) {
    FakeMemory memory(kPage);
    for (uint64_t phys = 0x100; phys != 0x120; ++phys) {
        FakeMemory zeroed(kPage);
        zeroed.put_text(phys, "abcdefghijklmnopqrstuvwxyz");
        EXPECT_EQ(str(text_at(zeroed.seen, kWhat, phys)), "abcdefghijklmnopqrstuvwxyz");
    }
}

TEST(Text, BytesWithTheHighBitAreText) {
    FakeMemory memory(kPage);
    std::string all;
    for (int byte = 1; byte != 256; ++byte)
        all += static_cast<char>(byte);
    for (uint64_t phys = 0x100; phys != 0x110; ++phys) {
        memory.put_text(phys, all);
        EXPECT_EQ(str(text_at(memory.seen, kWhat, phys)), all);
    }
}

TEST(Text, AtPhysicalZeroIsNone) {
    FakeMemory memory(kPage, 0, 'x');
    EXPECT_EQ(text_at(memory.seen, kWhat, 0).bytes, 0u);
}

TEST(Text, MayEndWithTheLastByteOfMemory) {
    FakeMemory memory(2 * kPage, 0, 'x');
    memory.put<char>(memory.end() - 1, 0);
    for (uint64_t phys = memory.end() - 40; phys != memory.end(); ++phys)
        EXPECT_EQ(text_at(memory.seen, kWhat, phys).bytes, memory.end() - 1 - phys);
    EXPECT_EQ(text_at(memory.seen, kWhat, 1).bytes, memory.end() - 2);
}

TEST(Text, ThatRunsPastMemoryIsNamed) {
    FakeMemory memory(2 * kPage, 0, 'x');
    for (uint64_t phys = memory.end() - 40; phys != memory.end() + 40; ++phys) {
        const auto failed = text_fails(memory, phys);
        ASSERT_TRUE(failed) << phys;
        EXPECT_EQ(failed->error, Error::out_of_reach) << *failed;
        EXPECT_EQ(failed->what, kWhat);
    }
    for (uint64_t before = 1; before != 40; ++before) {
        const auto failed = text_fails(memory, uint64_t{0} - before);
        ASSERT_TRUE(failed) << before;
        EXPECT_EQ(failed->error, Error::out_of_reach) << *failed;
    }
}

TEST(Text, ThatCanBeDoneWithoutIsNoneWhereItCannotBeRead) {
    FakeMemory memory(kLongestText + 3 * kPage, 0, 'x');
    for (const uint64_t phys : {memory.end() - 5, memory.end(), ~uint64_t{0} - 3, kPage}) {
        EXPECT_EQ(text_at(memory.seen, nullptr, phys).start, nullptr) << phys;
        EXPECT_TRUE(text_fails(memory, phys)) << phys;
    }
    memory.put<char>(kPage + kLongestText - 1, 0);
    EXPECT_EQ(text_at(memory.seen, nullptr, kPage).bytes, kLongestText - 1);
}

TEST(Text, IsFollowedThroughMemoryThatIsMappedOnTheWay) {
    FakeMemory memory(3 * kPage, 0, 'x');
    memory.put<char>(2 * kPage + 5, 0);
    memory.seen.mapped = 2 * kPage; // and no more: extend() fails here
    EXPECT_EQ(text_fails(memory, kPage + 7)->error, Error::out_of_reach);
    memory.seen.mapped = 3 * kPage;
    EXPECT_EQ(text_at(memory.seen, kWhat, kPage + 7).bytes, kPage - 2);
}

TEST(Text, OfTheLongestLengthIsBelieved) {
    for (uint64_t phys = kPage; phys != kPage + 16; ++phys) {
        FakeMemory memory(kLongestText + 3 * kPage, 0, 'x');
        memory.put<char>(phys + kLongestText - 1, 0);
        EXPECT_EQ(text_at(memory.seen, kWhat, phys).bytes, kLongestText - 1);
    }
}

TEST(Text, ThatDoesNotEndIsNamed) {
    FakeMemory memory(kLongestText + 3 * kPage, 0, 'x');
    memory.put<char>(memory.end() - 1, 0);
    for (uint64_t phys = kPage; phys != kPage + 16; ++phys)
        EXPECT_EQ(text_fails(memory, phys),
                  failure(Error::text_not_ended, {phys, kLongestText}, kWhat));
}

TEST(Text, BarelyTooLongIsNamed) {
    // The search goes by 16 bytes, so it may see as much beyond the bound.
    constexpr uint64_t kSlack = 16;
    for (uint64_t phys = kPage; phys != kPage + 16; ++phys) {
        FakeMemory memory(kLongestText + 3 * kPage, 0, 'x');
        memory.put<char>(phys + kLongestText + kSlack, 0);
        EXPECT_EQ(text_fails(memory, phys),
                  failure(Error::text_not_ended, {phys, kLongestText}, kWhat));
    }
}

// --- The image's path -----------------------------------------------------------------------

std::string stripped(const std::string& cmdline, const std::string& loader_name) {
    return str(without_image_path({cmdline.data(), cmdline.size()},
                                  {loader_name.data(), loader_name.size()}));
}

// By custom it is the first word, as a program's name is.
TEST(ImagePath, IsTakenOffWhereTheLoaderPutsIt) {
    for (const char* loader :
         {"qemu", "GNU GRUB 0.97", "iPXE 1.0.0+", "SYSLINUX 6.04", "ISOLINUX 6.04", "PXELINUX 6.04",
          "EXTLINUX 6.04", "kexec 2.0.25", "NetBSD", "a loader that nobody knows"}) {
        EXPECT_EQ(stripped("http://host/kernel?a=b c=d", loader), "c=d") << loader;
        EXPECT_EQ(stripped("a=b /c=d", loader), "a=b /c=d") << loader << ": no path at all";
        EXPECT_EQ(stripped("/boot/kernel.elf a=b  c", loader), "a=b  c") << loader;
        EXPECT_EQ(stripped("kernel", loader), "") << loader;
        EXPECT_EQ(stripped("kernel   ", loader), "") << loader;
        EXPECT_EQ(stripped("kernel   a", loader), "a") << loader;
        EXPECT_EQ(stripped("", loader), "") << loader;
        EXPECT_EQ(stripped(" a", loader), "a") << loader;
    }
}

TEST(ImagePath, IsNotLookedForWhereTheLoaderPutsNone) {
    for (const char* loader :
         {"GRUB 2.06-13+deb12u1", "GRUB 2.12", "Limine 7.0", "Prologue", "GNU GRUB 2.12", ""})
        for (const char* cmdline : {"/boot/kernel.elf a=b  c", "kernel", "", "  a "})
            EXPECT_EQ(stripped(cmdline, loader), cmdline) << loader;
    EXPECT_EQ(str(without_image_path({}, {})), "");
}

TEST(ModuleSpan, EndsWithinAllPhysicalMemory) {
    constexpr uint64_t kEnd = 1ull << 52; // SDM 4.1.4: MAXPHYADDR is at most 52
    const Span span = module_span("pvh", kMiB, 5);
    EXPECT_EQ(span.start, kMiB);
    EXPECT_EQ(span.end, kMiB + 5);
    EXPECT_EQ(module_span("pvh", kEnd - 1, 1).end, kEnd);
    EXPECT_EQ(failure_of([] { module_span("pvh", kEnd - 1, 2); }),
              failure(Error::module_too_high, {kEnd - 1, 2}, "pvh"));
    EXPECT_EQ(failure_of([] { module_span("x", kMiB, ~uint64_t{0}); }),
              failure(Error::module_too_high, {kMiB, ~uint64_t{0}}, "x"));
}

} // namespace
} // namespace prologue::test
