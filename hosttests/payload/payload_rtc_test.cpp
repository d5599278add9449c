// The PC's clock, in each of its formats, against the C library's calendar.

#include "payload/rtc.h"

#include "dice.h"

#include <gtest/gtest.h>

#include <ctime>

namespace prologue::test {
namespace {

// What the clock's registers hold; and reads that find an update going on.
struct Clock {
    uint8_t registers[16];
    unsigned updates, reads;
};
Clock rtc;

uint8_t read_register(uint8_t index) {
    ++rtc.reads;
    if (index == 0xa && rtc.updates != 0)
        return --rtc.updates, uint8_t{0xa6};
    return rtc.registers[index];
}

constexpr uint8_t k24Hours = 2, kBinary = 4;

void set(const std::tm& date, uint8_t status) {
    const auto put = [&](unsigned index, int value) {
        rtc.registers[index] = static_cast<uint8_t>(
            (status & kBinary) != 0 ? value : value / 10 * 16 + value % 10);
    };
    put(0, date.tm_sec);
    put(2, date.tm_min);
    put(4, (status & k24Hours) != 0 ? date.tm_hour : (date.tm_hour + 11) % 12 + 1);
    if ((status & k24Hours) == 0 && date.tm_hour >= 12)
        rtc.registers[4] |= 0x80;
    put(7, date.tm_mday);
    put(8, date.tm_mon + 1);
    put(9, date.tm_year - 100);
    rtc.registers[0xa] = 0x26;
    rtc.registers[0xb] = status;
}

TEST(Rtc, SaysWhatTheCalendarSays) {
    Dice dice(3);
    for (unsigned round = 0; round != 20000; ++round) {
        const std::time_t due = 946684800 + static_cast<std::time_t>(dice.below(3155673600));
        rtc = {};
        rtc.updates = static_cast<unsigned>(dice.below(5));
        set(*std::gmtime(&due), static_cast<uint8_t>(dice.below(4) * 2));
        ASSERT_EQ(read_rtc(read_register), due);
    }
}

TEST(Rtc, ThatIsNotThereSaysNothing) {
    rtc = {};
    EXPECT_EQ(read_rtc(read_register), 0) << "no month";
    for (uint8_t& value : rtc.registers)
        value = 0xff;
    rtc.reads = 0;
    EXPECT_EQ(read_rtc(read_register), 0) << "no clock: an update for ever";
    EXPECT_LE(rtc.reads, 200000u);
    rtc.registers[0xa] = 0;
    EXPECT_EQ(read_rtc(read_register), 0);
}

} // namespace
} // namespace prologue::test
