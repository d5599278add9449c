// Every error has a sentence of its own that the target can print.

#include "errors.h"

#include "seams.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace prologue::test {
namespace {

std::string sentence_of(uint32_t number) {
    return raw_sentence(static_cast<Error>(number));
}

TEST(Errors, HaveASentenceEach) {
    std::set<std::string> sentences;
    for (uint32_t error = 0; error != kErrors; ++error) {
        const std::string sentence = sentence_of(error);
        EXPECT_GT(sentence.size(), 10u) << error;
        EXPECT_NE(sentence.back(), '\n') << sentence << ": print_error ends the line";
        EXPECT_TRUE(sentences.insert(sentence).second) << sentence << " is said twice";
    }
}

TEST(Errors, AreFoundByTheirNumber) {
    const struct {
        Error error;
        const char* sentence;
    } all[] = {
#define PROLOGUE_ROW(name, sentence) {Error::name, sentence},
        PROLOGUE_ENTRY_ERRORS(PROLOGUE_ROW) PROLOGUE_BOOT_ERRORS(PROLOGUE_ROW)
            PROLOGUE_EFI_ERRORS(PROLOGUE_ROW) PROLOGUE_MOVED_ERRORS(PROLOGUE_ROW)
#undef PROLOGUE_ROW
    };
    ASSERT_EQ(std::size(all), kErrors);
    for (uint32_t error = 0; error != kErrors; ++error) {
        EXPECT_EQ(static_cast<uint32_t>(all[error].error), error);
        EXPECT_EQ(sentence_of(error), all[error].sentence);
    }
}

// fail() has four numbers and one name to give, and print_error knows three directives.
TEST(Errors, AskForNoMoreThanThereIsToPrint) {
    for (uint32_t error = 0; error != kErrors; ++error) {
        const std::string sentence = sentence_of(error);
        int numbers = 0, names = 0;
        for (size_t at = sentence.find('%'); at != std::string::npos;
             at = sentence.find('%', at + 2)) {
            ASSERT_LT(at + 1, sentence.size()) << sentence;
            const char directive = sentence[at + 1];
            EXPECT_NE(std::string("xus").find(directive), std::string::npos) << sentence;
            ++(directive == 's' ? names : numbers);
        }
        EXPECT_LE(numbers, 4) << sentence;
        EXPECT_LE(names, 1) << sentence;
    }
}

// The entry's assembly gives numbers and no name.
TEST(Errors, OfTheEntryHaveTheNumbersThatItsAssemblyNames) {
    const struct {
        uint32_t number;
        Error error;
    } all[] = {
        {ERROR_SEV, Error::sev},
        {ERROR_NO_EXTENDED_LEAF, Error::no_extended_leaf},
        {ERROR_NO_LONG_MODE, Error::no_long_mode},
        {ERROR_WISH_PAGING, Error::wish_paging},
        {ERROR_NESTED_FAULT, Error::nested_fault},
    };
    for (const auto& one : all) {
        EXPECT_EQ(static_cast<Error>(one.number), one.error);
        EXPECT_EQ(sentence_of(one.number).find("%s"), std::string::npos);
    }
}

// The 64-bit stage leaves out what only the 32-bit stage says, and must count it all the same.
TEST(Errors, AreFoundWithoutTheSentencesOf32BitMode) {
    constexpr char kSentences[] = PROLOGUE_ERRORS_OF_32(PROLOGUE_ERROR_ELSEWHERE)
        PROLOGUE_SHARED_ERRORS(PROLOGUE_ERROR_SENTENCE)
            PROLOGUE_BOOT_ERRORS(PROLOGUE_ERROR_SENTENCE)
                PROLOGUE_EFI_ERRORS(PROLOGUE_ERROR_SENTENCE)
                    PROLOGUE_MOVED_ERRORS(PROLOGUE_ERROR_SENTENCE);
    const auto first_shared = static_cast<uint32_t>(Error::nested_fault);
    for (uint32_t error = 0; error != kErrors; ++error)
        EXPECT_EQ(sentence(kSentences, static_cast<Error>(error)),
                  error < first_shared ? "" : sentence_of(error));
}

} // namespace
} // namespace prologue::test
