// prologue_option: Linux's rules (lib/cmdline.c, next_arg; kernel/params.c, parameq).

#include "prologue/kernel.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace {

std::optional<std::string> option(const char* cmdline, const char* key) {
    prologue_handoff handoff = {};
    handoff.cmdline = cmdline;
    uint64_t bytes = 0;
    const char* const value = prologue_option(&handoff, key, &bytes);
    return value != nullptr ? std::optional(std::string(value, bytes)) : std::nullopt;
}

TEST(Option, IsAWordOfItsOwn) {
    EXPECT_EQ(option("root=/dev/vda quiet", "root"), "/dev/vda");
    EXPECT_EQ(option("root=/dev/vda quiet", "quiet"), "");
    EXPECT_EQ(option("root=/dev/vda quiet", "oot"), std::nullopt);
    EXPECT_EQ(option("rooted=1 xroot=2", "root"), std::nullopt);
    EXPECT_EQ(option("a=b=c", "a"), "b=c");
    EXPECT_EQ(option("a=", "a"), "");
    EXPECT_EQ(option("", "a"), std::nullopt);
    EXPECT_EQ(option("=a", "a"), std::nullopt);
    EXPECT_EQ(option("=a", "=a"), "");
}

TEST(Option, WordsAreApartByAnyWhiteSpace) {
    EXPECT_EQ(option("quiet root=/dev/vda\n", "root"), "/dev/vda");
    for (const char space : std::string(" \t\n\v\f\r")) {
        const std::string text = std::string("a=1") + space + "root=x" + space + space + "b";
        EXPECT_EQ(option(text.c_str(), "root"), "x") << int(space);
        EXPECT_EQ(option(text.c_str(), "b"), "") << int(space);
    }
}

TEST(Option, QuotesKeepWordsTogetherAndAreNoPartOfThem) {
    EXPECT_EQ(option("root=\"PARTLABEL=My Disk\" rw", "root"), "PARTLABEL=My Disk");
    EXPECT_EQ(option("\"root=PARTLABEL=My Disk\" rw", "root"), "PARTLABEL=My Disk");
    EXPECT_EQ(option("\"root=PARTLABEL=My Disk\" rw", "rw"), "");
    EXPECT_EQ(option("\"quiet\"", "quiet"), "");
    EXPECT_EQ(option("a=\"\"", "a"), "");
    EXPECT_EQ(option("a=\"b\"c", "a"), "b\"c") << "as Linux: the first goes, the last is none";
    EXPECT_EQ(option("a=b\" \"c d", "a"), "b\" \"c");
}

TEST(Option, IsNotFoundWithinAnothersValue) {
    EXPECT_EQ(option("note=\"old root=bogus\" root2=x", "root"), std::nullopt);
    EXPECT_EQ(option("\"note=old root=bogus\"", "root"), std::nullopt);
}

TEST(Option, AQuoteWithoutAnotherReachesToTheEnd) {
    EXPECT_EQ(option("a=\"b c", "a"), "b c");
    EXPECT_EQ(option("a=\"", "a"), "");
    EXPECT_EQ(option("\"", "a"), std::nullopt);
    EXPECT_EQ(option("\"a", "a"), "");
    EXPECT_EQ(option("\"a=", "a"), "");
}

TEST(Option, DashesAreUnderscoresInKeysAlone) {
    EXPECT_EQ(option("log-level=a-b", "log_level"), "a-b");
    EXPECT_EQ(option("log_level=3", "log-level"), "3");
}

TEST(Option, TheLastOneWins) {
    EXPECT_EQ(option("a=1 a=2 b", "a"), "2");
    EXPECT_EQ(option("a=1 a", "a"), "");
}

TEST(Option, BehindTwoDashesThereAreNone) {
    EXPECT_EQ(option("a=1 -- a=2 b", "a"), "1");
    EXPECT_EQ(option("a=1 -- a=2 b", "b"), std::nullopt);
    EXPECT_EQ(option("--a", "__a"), "");
}

} // namespace
