// In which order the processors of a guest go on: one after the other, exit by exit, or as a seed
// has it.
#pragma once

#include "settings.h"

namespace sevhost {

// How often the others may go first.
unsigned turns_to_wait(const Settings& settings);

} // namespace sevhost
