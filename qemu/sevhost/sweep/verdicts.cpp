#include "verdicts.h"

#include "ghcb_msr_protocol.h"

namespace sevhost {
namespace {

constexpr unsigned kMostTold = 60;

struct {
    unsigned tries, terminated, shutdown, halted, success, goes_on, refused, denied, hangs, others;
    unsigned findings, told;
} counts;

struct Reason {
    uint64_t ghcb_msr;
    unsigned count;
};
Reason reasons[96];

const char* name(const TrialResult& result) {
    if (result.how == TrialEnd::hangs)
        return "it hangs";
    if (result.how == TrialEnd::goes_on)
        return "it goes on";
    switch (result.outcome) {
    case Outcome::terminated:
        return "terminated";
    case Outcome::shutdown:
        return "shutdown";
    case Outcome::success:
        return "ok";
    case Outcome::refused:
        return "refused";
    case Outcome::denied:
        return "denied";
    default:
        return "it ends";
    }
}

void count_reason(uint64_t ghcb_msr) {
    for (Reason& reason : reasons) {
        if (reason.count != 0 && reason.ghcb_msr != ghcb_msr)
            continue;
        reason.ghcb_msr = ghcb_msr;
        ++reason.count;
        return;
    }
}

unsigned& count_of(const TrialResult& result) {
    if (result.how == TrialEnd::hangs)
        return counts.hangs;
    if (result.how == TrialEnd::goes_on)
        return counts.goes_on;
    switch (result.outcome) {
    case Outcome::terminated:
        return counts.terminated;
    case Outcome::shutdown:
        return counts.shutdown;
    case Outcome::halted:
        return counts.halted;
    case Outcome::success:
        return counts.success;
    case Outcome::refused:
        return counts.refused;
    case Outcome::denied:
        return counts.denied;
    default:
        return counts.others;
    }
}

} // namespace

void count_try(const TrialResult& result) {
    ++counts.tries;
    ++count_of(result);
    if (result.how == TrialEnd::ended && result.outcome == Outcome::terminated)
        count_reason(result.ghcb_msr);
}

void tell_finding(const char* finding, const TrialResult& result, Text what) {
    static const char* last;
    static uint64_t last_rip;
    ++counts.findings;
    if ((finding == last && result.rip == last_rip) || counts.told == kMostTold)
        return;
    last = finding;
    last_rip = result.rip;
    ++counts.told;
    muted = false;
    say("sevhost: sweep: ", finding, ": ", what, "; ", name(result), " at ", hex(result.rip), "\n");
    muted = true;
}

void judge_secrets(const TrialResult& result, Text what) {
    if (result.shows_canary)
        tell_finding("canary seen", result, what);
}

void judge_code(const TrialResult& result, Text what) {
    if (result.how == TrialEnd::ended && result.outcome == Outcome::ran_hosts_code)
        tell_finding("host ran code", result, what);
}

void say_verdicts() {
    say("sevhost: sweep: ", decimal(counts.tries), " tries: ", decimal(counts.terminated),
        " terminated, ", decimal(counts.shutdown), " shutdown, ", decimal(counts.halted),
        " halted, ", decimal(counts.success), " ok, ", decimal(counts.goes_on), " went on, ",
        decimal(counts.refused), " refused, ", decimal(counts.denied), " denied, ",
        decimal(counts.hangs), " hung, ", decimal(counts.others), " others\n");
    for (const Reason& reason : reasons)
        if (reason.count != 0)
            say("  ", decimal(reason.count), " GHCB MSR ", hex(reason.ghcb_msr), "\n");
    say("sevhost: sweep: ", decimal(counts.findings), " findings\n");
}

} // namespace sevhost
