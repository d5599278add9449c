#include "settings.h"

#include "console.h"
#include "outcome.h"

namespace sevhost {
namespace {

constexpr unsigned kLowestCBit = 32; // below it a C-bit would be RAM's, and legacy tables hold none
constexpr unsigned kHighestCBit = 51;

constexpr struct {
    const char* word;
    Sev sev;
} kSevNames[] = {
    {"none", Sev::none},
    {"sev", Sev::sev},
    {"es", Sev::es},
    {"snp", Sev::snp},
};

[[noreturn]] void refuse(Text key, Text value, const char* why) {
    fail("the host's command line: ", key, "=", value, " ", why);
}

Sev parse_sev(Text key, Text value) {
    for (const auto& known : kSevNames)
        if (value == known.word)
            return known.sev;
    refuse(key, value, "is none of none, sev, es, snp");
}

uint64_t parse_value(Text key, Text value) {
    uint64_t number = 0;
    if (!parse_number(value, number))
        refuse(key, value, "is no number");
    return number;
}

unsigned parse_c_bit(Text key, Text value) {
    const uint64_t bit = parse_value(key, value);
    if (bit < kLowestCBit || bit > kHighestCBit)
        refuse(key, value, "is out of range: 32 to 51");
    return static_cast<unsigned>(bit);
}

uint64_t parse_memory(Text key, Text value) {
    const uint64_t bytes = parse_value(key, value);
    if (bytes == 0 || bytes % kLargePageBytes != 0)
        refuse(key, value, "is not a multiple of 2 MiB");
    return bytes;
}

uint64_t parse_canary(Text key, Text value) {
    const uint64_t canary = parse_value(key, value);
    for (unsigned byte = 0; byte != sizeof canary; ++byte)
        if ((canary >> 8 * byte & 0xff) == 0)
            refuse(key, value, "is not eight bytes, none of them zero");
    return canary;
}

unsigned parse_processors(Text key, Text value) {
    const uint64_t number = parse_value(key, value);
    if (number == 0 || number > kMostProcessors)
        refuse(key, value, "is out of range: 1 to 32");
    return static_cast<unsigned>(number);
}

bool parse_large_pages(Text key, Text value) {
    if (value == "4k")
        return false;
    if (value == "2m")
        return true;
    refuse(key, value, "is none of 4k, 2m");
}

Accepted parse_accepted(Text key, Text value) {
    if (value == "all")
        return Accepted::all;
    if (value == "launched")
        return Accepted::launched;
    refuse(key, value, "is none of all, launched");
}

// Words between commas: each of them turns something on.
template <typename TurnOn>
void parse_list(Text value, TurnOn turn_on) {
    while (value.size != 0) {
        const Text what = value.first(value.find(','));
        value = value.from(what.size + 1);
        turn_on(what);
    }
}

Settings::Stack parse_stack(Text key, Text value) {
    const uint64_t dash = value.find('-');
    const Settings::Stack stack = {parse_value(key, value.first(dash)),
                                   parse_value(key, value.from(dash + 1))};
    if (stack.start >= stack.end)
        refuse(key, value, "is no range: start-end");
    return stack;
}

void parse_stacks(Text key, Text value, Settings& settings) {
    parse_list(value, [&](Text range) {
        if (settings.stack_count == Settings::kMaxStacks)
            refuse(key, value, "has too many ranges");
        settings.stacks[settings.stack_count++] = parse_stack(key, range);
    });
}

Injection parse_injection(Text key, Text value) {
    if (value == "any")
        return Injection::any;
    if (value == "restricted")
        return Injection::restricted;
    if (value == "alternate")
        return Injection::alternate;
    refuse(key, value, "is none of any, restricted, alternate");
}

Sweep parse_sweep(Text key, Text value) {
    if (value == "events")
        return Sweep::events;
    if (value == "all-events")
        return Sweep::all_events;
    if (value == "behaviours")
        return Sweep::behaviours;
    refuse(key, value, "is none of events, all-events, behaviours");
}

bool parse_from(Text key, Text value) {
    if (value != "mark")
        refuse(key, value, "is not mark");
    return true;
}

uint64_t parse_stride(Text key, Text value) {
    const uint64_t stride = parse_value(key, value);
    if (stride == 0)
        refuse(key, value, "is no distance");
    return stride;
}

Trace parse_trace(Text key, Text value) {
    Trace trace;
    parse_list(value, [&](Text what) {
        if (what == "exits")
            trace.exits = true;
        else if (what == "protocol")
            trace.protocol = true;
        else if (what == "memory")
            trace.memory = true;
        else if (what == "all")
            trace = {true, true, true};
        else
            refuse(key, what, "is none of exits, protocol, memory, all");
    });
    return trace;
}

Intercepted parse_intercepted(Text key, Text value) {
    Intercepted intercepted;
    parse_list(value, [&](Text what) {
        if (what == "tsc")
            intercepted.tsc = true;
        else if (what == "rdpru")
            intercepted.rdpru = true;
        else if (what == "xsetbv")
            intercepted.xsetbv = true;
        else if (what == "cr")
            intercepted.control_registers = true;
        else if (what == "tables")
            intercepted.tables = true;
        else if (what == "sev-status")
            intercepted.sev_status = true;
        else
            refuse(key, what, "is none of tsc, rdpru, xsetbv, cr, tables, sev-status");
    });
    return intercepted;
}

// The APICs of a plain guest's processors are the machine's own, and start the host's.
void require_together(const Settings& settings) {
    if (settings.injection != Injection::any && settings.sev != Sev::snp)
        fail("the host's command line: injection= is a feature of sev=snp's VMSA");
    if (settings.processors == 1)
        return;
    if (settings.sev < Sev::es)
        fail("the host's command line: several processors need sev=es or sev=snp");
    if (settings.sweep != Sweep::none)
        fail("the host's command line: a sweep is of one processor");
    if (settings.injection != Injection::any)
        fail("the host's command line: injection= is for one processor");
}

} // namespace

Settings parse_settings(const char* cmdline) {
    Settings settings;
    Text rest(cmdline);
    for (Text word = next_word(rest); word.size != 0; word = next_word(rest)) {
        const uint64_t equals = word.find('=');
        if (equals == word.size)
            continue; // QEMU's Multiboot 1 puts the image's path before the command line
        const Text key = word.first(equals);
        const Text value = word.from(equals + 1);
        if (key == "sev")
            settings.sev = parse_sev(key, value);
        else if (key == "host")
            settings.host = value;
        else if (key == "cbit")
            settings.c_bit = parse_c_bit(key, value);
        else if (key == "mem")
            settings.memory_bytes = parse_memory(key, value);
        else if (key == "high")
            settings.high_bytes = parse_memory(key, value);
        else if (key == "hostile")
            settings.hostile = value;
        else if (key == "rmp")
            settings.large_pages = parse_large_pages(key, value);
        else if (key == "seed")
            settings.seed = parse_value(key, value);
        else if (key == "canary")
            settings.canary = parse_canary(key, value);
        else if (key == "accept")
            settings.accepted = parse_accepted(key, value);
        else if (key == "intercept")
            settings.intercepted = parse_intercepted(key, value);
        else if (key == "injection")
            settings.injection = parse_injection(key, value);
        else if (key == "stacks")
            parse_stacks(key, value, settings);
        else if (key == "sweep")
            settings.sweep = parse_sweep(key, value);
        else if (key == "cpus")
            settings.processors = parse_processors(key, value);
        else if (key == "schedule")
            settings.schedule = parse_value(key, value);
        else if (key == "from")
            settings.sweeps_from_mark = parse_from(key, value);
        else if (key == "stride")
            settings.stride = parse_stride(key, value);
        else if (key == "trace")
            settings.trace = parse_trace(key, value);
        else
            refuse(key, value, "is not known");
    }
    require_together(settings);
    return settings;
}

const char* name(Sev sev) {
    for (const auto& known : kSevNames)
        if (sev == known.sev)
            return known.word;
    return "unknown";
}

} // namespace sevhost
