// Words of a command line, before there is a handoff.
#pragma once
#pragma GCC visibility push(hidden)

#include "loader_info.h"

namespace prologue {

// Is it one of those that white space sets apart?
bool has_word(Text cmdline, const char* word);

} // namespace prologue

#pragma GCC visibility pop
