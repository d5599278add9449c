// Sorting, with its steps counted: a hostile loader chooses the order.
#include "sort.h"

#include "dice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <vector>

namespace prologue::test {
namespace {

using Numbers = std::vector<uint32_t>;

Numbers ascending(uint32_t count) {
    Numbers numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

Numbers descending(uint32_t count) {
    Numbers numbers = ascending(count);
    std::reverse(numbers.begin(), numbers.end());
    return numbers;
}

Numbers equal(uint32_t count) {
    return Numbers(count, 7);
}

Numbers one_last(uint32_t count) { // in order, but for the lowest
    Numbers numbers = ascending(count);
    if (count != 0)
        std::rotate(numbers.begin(), numbers.begin() + 1, numbers.end());
    return numbers;
}

Numbers organ_pipe(uint32_t count) {
    Numbers numbers = ascending(count);
    for (uint32_t i = count / 2; i < count; ++i)
        numbers[i] = count - i;
    return numbers;
}

Numbers shuffled(uint32_t count) {
    Dice dice(count);
    Numbers numbers = ascending(count);
    dice.shuffle(numbers);
    return numbers;
}

Numbers few_values(uint32_t count) {
    Dice dice(count);
    Numbers numbers(count);
    for (uint32_t& number : numbers)
        number = static_cast<uint32_t>(dice.below(3));
    return numbers;
}

TEST(Sort, TakesNLogNStepsInAnyOrder) {
    using Make = Numbers (*)(uint32_t);
    for (const Make make :
         {ascending, descending, equal, one_last, organ_pipe, shuffled, few_values})
        for (const uint32_t count : {0u, 1u, 2u, 3u, 10u, 1000u, 1u << 16}) {
            Numbers numbers = make(count), expected = numbers;
            std::sort(expected.begin(), expected.end());
            uint64_t steps = 0;
            sort(numbers.data(), count, [&](uint32_t a, uint32_t b) {
                ++steps;
                return a < b;
            });
            ASSERT_EQ(numbers, expected);
            const uint64_t most = 9 * count + 2 * uint64_t{count} * std::bit_width(count);
            EXPECT_LE(steps, most) << count;
            if (make == ascending || make == equal)
                EXPECT_LE(steps, count) << "what is sorted is looked at once";
            if (make == one_last)
                EXPECT_LE(steps, 2 * count) << "and one that is not, moves";
        }
}

} // namespace
} // namespace prologue::test
