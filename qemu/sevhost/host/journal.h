// What happened: the last exits, and how many there were of each kind.
#pragma once

#include <stdint.h>

namespace sevhost {

struct ExitRecord {
    uint64_t code, rip, info1, info2;
    unsigned processor;
};

void note_exit(const ExitRecord& exit);
void note_vc(uint64_t code);
void note_request(uint64_t code);     // by the GHCB page
void note_msr_request(uint64_t code); // by the GHCB MSR

uint64_t exits_so_far();

void say_last_exits();
void say_exits_by_kind();

} // namespace sevhost
