// A run that can be ended from the depth of any function (until_end.S).
#pragma once

namespace sevhost {

// Calls body(argument); false where it returns, true where end_now() has ended it.
extern "C" bool until_end(void (*body)(void* argument), void* argument);

// Back to the latest until_end() that has not returned.
extern "C" [[noreturn]] void end_now();

} // namespace sevhost
