#include "journal.h"

#include "console.h"
#include "exit_names.h"

namespace sevhost {
namespace {

constexpr unsigned kLast = 16;
ExitRecord last[kLast];
uint64_t total;

// How often each code was seen, in the order of their first time.
class Counts {
public:
    void note(uint64_t code) {
        for (unsigned i = 0; i != used_; ++i) {
            if (entries_[i].code == code) {
                ++entries_[i].count;
                return;
            }
        }
        if (used_ != kMost)
            entries_[used_++] = {code, 1};
    }

    void say_all(const char* title, const char* (*name)(uint64_t)) const {
        if (used_ == 0)
            return;
        say("sevhost: ", title, ":\n");
        for (unsigned i = 0; i != used_; ++i)
            say("  ", decimal(entries_[i].count), " ", name(entries_[i].code), " (",
                hex(entries_[i].code), ")\n");
    }

private:
    static constexpr unsigned kMost = 48;
    struct {
        uint64_t code, count;
    } entries_[kMost];
    unsigned used_;
};

Counts exits, exceptions, requests, msr_requests;

} // namespace

void note_exit(const ExitRecord& exit) {
    last[total++ % kLast] = exit;
    exits.note(exit.code);
}

void note_vc(uint64_t code) {
    exceptions.note(code);
}

void note_request(uint64_t code) {
    requests.note(code);
}

void note_msr_request(uint64_t code) {
    msr_requests.note(code);
}

uint64_t exits_so_far() {
    return total;
}

void say_last_exits() {
    const uint64_t shown = total < kLast ? total : kLast;
    say("sevhost: the last ", decimal(shown), " exits, the oldest first:\n");
    for (uint64_t i = total - shown; i != total; ++i) {
        const ExitRecord& exit = last[i % kLast];
        say("  ", exit_name(exit.code), " (", hex(exit.code), ") at ", hex(exit.rip),
            " information ", hex(exit.info1), " ", hex(exit.info2));
        if (exit.processor != 0)
            say(", processor ", decimal(exit.processor));
        say("\n");
    }
}

void say_exits_by_kind() {
    say("sevhost: ", decimal(total), " exits\n");
    exits.say_all("exits by kind", exit_name);
    exceptions.say_all("#VC by kind", exit_name);
    requests.say_all("requests by the GHCB page", exit_name);
    msr_requests.say_all("requests by the GHCB MSR", ghcb_msr_name);
}

} // namespace sevhost
