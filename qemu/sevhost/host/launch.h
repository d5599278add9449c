// The guest's memory, and what is placed in it before the first instruction: on SNP, what
// the launch measures and validates.
#pragma once

#include "guest.h"

namespace sevhost {

// Adds memory of whole pages: of zeros, or of noise where it is encrypted.
void add_memory(Guest& guest, GuestPhys start, uint64_t bytes, const char* what);

// What the loader places is in private memory, and fits, or the run ends.
void place_bytes(Guest& guest, GuestPhys gpa, const void* from, uint64_t bytes, const char* what);
void place_zeros(Guest& guest, GuestPhys gpa, uint64_t bytes, const char* what);
// Memory that goes with the image and is not loaded: on SNP it is validated, as unmeasured.
void place_nothing(Guest& guest, GuestPhys gpa, uint64_t bytes, const char* what);

// From here on, everything counts as placed: as if a firmware had accepted it.
void accept_all_memory(Guest& guest);

struct LaunchedRange {
    GuestPhys start, end; // whole pages
};
unsigned launched_count();
const LaunchedRange& launched(unsigned i);

bool was_launched(GuestPhys page);

// Calls note(page) for each page that was placed.
template <typename Note>
void for_each_launched(const Guest&, Note note) {
    for (unsigned i = 0; i != launched_count(); ++i)
        for (GuestPhys page = launched(i).start; page != launched(i).end; page += kPageBytes)
            note(page);
}

} // namespace sevhost
