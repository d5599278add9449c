#include "rtc.h"

namespace prologue {
namespace {

constexpr uint8_t kSeconds = 0, kMinutes = 2, kHours = 4, kDay = 7, kMonth = 8, kYear = 9;
constexpr uint8_t kStatusA = 0xa, kStatusB = 0xb;
constexpr uint8_t kUpdates = 0x80;           // of status A
constexpr uint8_t k24Hours = 2, kBinary = 4; // of status B
constexpr uint8_t kAfternoon = 0x80;         // of the hours
constexpr unsigned kMostTries = 100000;      // an update takes 2 ms

struct Date {
    uint8_t seconds, minutes, hours, day, month, year;
    bool operator==(const Date&) const = default;
};

Date read_once(uint8_t (*read)(uint8_t)) {
    return {read(kSeconds), read(kMinutes), read(kHours), read(kDay), read(kMonth), read(kYear)};
}

// Twice the same, and in no update.
bool read_date(uint8_t (*read)(uint8_t), Date& date) {
    for (unsigned tries = 0; tries != kMostTries; ++tries) {
        if ((read(kStatusA) & kUpdates) != 0)
            continue;
        date = read_once(read);
        if (read_once(read) == date)
            return true;
    }
    return false;
}

unsigned number(uint8_t value, uint8_t status) {
    return (status & kBinary) != 0 ? value : (value >> 4) * 10u + (value & 0xf);
}

// From 1970-01-01, by the Gregorian calendar: years begin in March, so that leap days end them.
int64_t days_since_1970(unsigned year, unsigned month, unsigned day) {
    const unsigned of_year = (month + 9) % 12;
    const unsigned from_march = year - (month < 3);
    return int64_t{365} * from_march + from_march / 4 - from_march / 100 + from_march / 400 +
           (153 * of_year + 2) / 5 + day - 1 - 719468;
}

} // namespace

int64_t read_rtc(uint8_t (*read)(uint8_t)) {
    Date date;
    if (!read_date(read, date))
        return 0;
    const uint8_t status = read(kStatusB);
    unsigned hours = number(date.hours & ~kAfternoon, status);
    if ((status & k24Hours) != 0)
        hours = number(date.hours, status);
    else
        hours = hours % 12 + ((date.hours & kAfternoon) != 0 ? 12 : 0);
    const unsigned seconds = number(date.seconds, status), minutes = number(date.minutes, status),
                   day = number(date.day, status), month = number(date.month, status),
                   year = number(date.year, status);
    if (seconds > 60 || minutes > 59 || hours > 23 || day == 0 || day > 31 || month == 0 ||
        month > 12 || year > 99)
        return 0;
    return ((days_since_1970(2000 + year, month, day) * 24 + hours) * 60 + minutes) * 60 + seconds;
}

} // namespace prologue
