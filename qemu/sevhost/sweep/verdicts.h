// What comes of a sweep's tries, counted; and a line for what must not come of one.
#pragma once

#include "console.h"
#include "trial.h"

namespace sevhost {

void count_try(const TrialResult& result);

// Nothing that is secret shows, whatever was tried.
void judge_secrets(const TrialResult& result, Text what);
// And nothing runs that was not launched.
void judge_code(const TrialResult& result, Text what);

// A finding. Of one kind at one place, the first is told.
void tell_finding(const char* finding, const TrialResult& result, Text what);

void say_verdicts();

// What was tried, in words.
class Words {
public:
    template <typename... Parts>
    Text join(Parts... parts) {
        used_ = 0;
        (add(parts), ...);
        return Text(text_, used_);
    }

private:
    void add(Text text) {
        for (uint64_t i = 0; i != text.size && used_ != sizeof text_; ++i)
            text_[used_++] = text.data[i];
    }
    void add(const char* text) { add(Text(text)); }
    void add(Decimal number) { add_number(number.value, 10); }
    void add(Hex number) {
        add("0x");
        add_number(number.value, 16);
    }
    void add_number(uint64_t value, unsigned base) {
        if (value >= base)
            add_number(value / base, base);
        add(Text(&"0123456789abcdef"[value % base], 1));
    }

    char text_[160];
    uint64_t used_ = 0;
};

} // namespace sevhost
