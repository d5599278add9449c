#include "hostile.h"

#include <string.h>

#include "outcome.h"

namespace sevhost {
namespace {

constexpr const HostileTable* kTables[] = {
    &kLiesOfCpuid,  &kLiesByMsr,       &kLiesByPage,   &kLiesOfStates,  &kEventsUnasked,
    &kMemoryTaken,  &kPageThatChanges, &kLiesAtLaunch, &kLiesOfTheKept, &kSilentHosts,
    &kLiesOfPlaces, &kStorms,          &kHiddenGuests, &kOldHosts,      &kLiesOfProcessors,
};

uint64_t wanted_occasion, occasions;
bool has_acted;
uint64_t idt_at_act; // whose handlers got what came first

template <typename Function>
void for_each_behaviour(Function function) {
    for (const HostileTable* table : kTables)
        for (unsigned i = 0; i != table->count; ++i)
            function(table->entries[i]);
}

unsigned guests_of(const Settings& settings) {
    const bool restricted = settings.injection == Injection::restricted;
    return settings.sev == Sev::es    ? kOnEs
           : settings.sev != Sev::snp ? 0
           : restricted               ? kOnSnp | kOnRestricted
                                      : kOnSnp;
}

const char* name(HostileGuests guests) {
    switch (guests) {
    case kOnEs:
        return "es";
    case kOnSnp:
        return "snp";
    case kOnBoth:
        return "es snp";
    case kOnRestricted:
        return "restricted";
    }
    return "?";
}

Text name_and_occasion(Text setting) {
    const Text name = setting.first(setting.find(':'));
    const Text number = setting.from(name.size + 1);
    wanted_occasion = 1;
    if (name.size != setting.size && !parse_number(number, wanted_occasion))
        fail("the host's command line: hostile=", setting, " has no number behind the colon");
    return name;
}

} // namespace

const char* name(HostileClass kind) {
    switch (kind) {
    case HostileClass::detected:
        return "detected";
    case HostileClass::harmless:
        return "harmless";
    case HostileClass::denial:
        return "denial";
    case HostileClass::not_detectable:
        return "not detectable";
    }
    return "?";
}

bool is_behaviour_of(const Hostile& behaviour, const Settings& settings) {
    return (behaviour.guests & guests_of(settings)) != 0;
}

const Hostile* find_hostile(const Settings& settings) {
    if (settings.hostile.size == 0)
        return nullptr;
    const Text wanted = name_and_occasion(settings.hostile);
    const Hostile* found = nullptr;
    bool of_others = false;
    for_each_behaviour([&](const Hostile& behaviour) {
        if (!(wanted == behaviour.name))
            return;
        if (is_behaviour_of(behaviour, settings))
            found = &behaviour;
        else
            of_others = true;
    });
    if (found == nullptr && of_others)
        fail("the hostile behaviour ", wanted, " is none of a guest with sev=", name(settings.sev),
             ": HOSTILE=list tells of which it is");
    if (found == nullptr)
        fail("there is no hostile behaviour ", wanted,
             ": HOSTILE=list prints those that there are");
    return found;
}

void set_hostile(Guest& guest, const Hostile& behaviour, uint64_t at_occasion) {
    guest.hostile = &behaviour;
    wanted_occasion = at_occasion;
    hostile_launch(guest);
}

bool hostile_has_acted() {
    return has_acted;
}

uint64_t idt_at_hostile_act() {
    return idt_at_act;
}

bool hostile_counts_occasions() {
    return occasions != 0;
}

unsigned hostile_count() {
    unsigned count = 0;
    for_each_behaviour([&](const Hostile&) { ++count; });
    return count;
}

const Hostile& hostile(unsigned number) {
    const Hostile* found = nullptr;
    for_each_behaviour([&](const Hostile& behaviour) {
        if (number-- == 0)
            found = &behaviour;
    });
    return *found;
}

void say_hostile_behaviours() {
    for_each_behaviour([](const Hostile& behaviour) {
        say("| `", behaviour.name, "` | ", name(behaviour.kind), " | ", name(behaviour.guests),
            " | ", behaviour.right_guest, " |\n");
    });
}

bool is_occasion() {
    return ++occasions == wanted_occasion;
}

uint64_t occasion() {
    return wanted_occasion;
}

bool is_occasions_instruction(const Guest& guest) {
    static uint64_t last = ~uint64_t{0};
    if (guest.save().rip == last)
        return false;
    last = guest.save().rip;
    return is_occasion();
}

void hostile_acted(const Guest& guest) {
    if (!has_acted)
        say("sevhost: hostile: ", guest.hostile->name, " acts at ", hex(guest.save().rip), "\n");
    if (!has_acted)
        idt_at_act = guest.save().idtr.base;
    has_acted = true;
}

void hostile_launch(Guest& guest) {
    if (guest.hostile && guest.hostile->at_launch)
        guest.hostile->at_launch(guest);
}

void hostile_memory_map(Guest& guest, MemoryMap& map) {
    if (guest.hostile && guest.hostile->memory_map)
        guest.hostile->memory_map(guest, map);
}

bool hostile_exit(Guest& guest) {
    return guest.hostile && guest.hostile->at_exit && guest.hostile->at_exit(guest);
}

void hostile_before_entry(Guest& guest) {
    if (guest.hostile && guest.hostile->before_entry)
        guest.hostile->before_entry(guest);
}

void hostile_after_step(Guest& guest) {
    if (guest.hostile && guest.hostile->after_step)
        guest.hostile->after_step(guest);
}

bool hostile_steps(const Guest& guest) {
    return guest.hostile && guest.hostile->after_step;
}

bool hostile_vmgexit(Guest& guest) {
    return guest.hostile && guest.hostile->at_vmgexit && guest.hostile->at_vmgexit(guest);
}

bool hostile_start(Guest& sender, Guest& other) {
    return sender.hostile && sender.hostile->at_start && sender.hostile->at_start(sender, other);
}

uint64_t hostile_msr_response(Guest& guest, uint64_t request, uint64_t honest) {
    if (!guest.hostile || !guest.hostile->msr_response)
        return honest;
    const uint64_t told = guest.hostile->msr_response(guest, request, honest);
    if (told != honest)
        hostile_acted(guest);
    return told;
}

void hostile_ghcb_response(Guest& guest, uint64_t code, GhcbPage& page) {
    static uint8_t honest[kPageBytes];
    if (!guest.hostile || !guest.hostile->ghcb_response)
        return;
    memcpy(honest, page.bytes(), sizeof honest);
    guest.hostile->ghcb_response(guest, code, page);
    if (memcmp(honest, page.bytes(), sizeof honest) != 0)
        hostile_acted(guest);
}

Cpuid hostile_cpuid(Guest& guest, uint32_t leaf, uint32_t subleaf, Cpuid honest) {
    if (!guest.hostile || !guest.hostile->cpuid)
        return honest;
    const Cpuid told = guest.hostile->cpuid(guest, leaf, subleaf, honest);
    if (memcmp(&told, &honest, sizeof told) != 0)
        hostile_acted(guest);
    return told;
}

bool hostile_msr(Guest& guest, uint32_t msr, bool write, uint64_t& value) {
    if (!guest.hostile || !guest.hostile->msr || !guest.hostile->msr(guest, msr, write, value))
        return false;
    hostile_acted(guest);
    return true;
}

uint64_t hostile_vc(Guest& guest, uint64_t code) {
    if (!guest.hostile || !guest.hostile->vc)
        return code;
    const uint64_t told = guest.hostile->vc(guest, code);
    if (told != code)
        hostile_acted(guest);
    return told;
}

void hostile_after_vc(Guest& guest, uint64_t code) {
    if (guest.hostile && guest.hostile->after_vc)
        guest.hostile->after_vc(guest, code);
}

bool hostile_skips_page_state(Guest& guest, GuestPhys gpa, PageOperation operation) {
    if (!guest.hostile || !guest.hostile->skip_page_state ||
        !guest.hostile->skip_page_state(guest, gpa, operation))
        return false;
    hostile_acted(guest);
    return true;
}

void hostile_page_state_list(Guest& guest, uint8_t* list, uint64_t& result) {
    static uint8_t honest[kPageStateListBytes];
    if (!guest.hostile || !guest.hostile->page_state_list)
        return;
    const uint64_t honest_result = result;
    memcpy(honest, list, sizeof honest);
    guest.hostile->page_state_list(guest, list, result);
    if (result != honest_result || memcmp(honest, list, sizeof honest) != 0)
        hostile_acted(guest);
}

void hostile_before_pvalidate(Guest& guest, GuestPhys page) {
    if (guest.hostile && guest.hostile->before_pvalidate)
        guest.hostile->before_pvalidate(guest, page);
}

} // namespace sevhost
