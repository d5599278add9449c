// The wishes of a kernel that states none: pulled from the archive only where
// the kernel has no PROLOGUE_WISHES of its own.
#include "prologue/wishes.h"

PROLOGUE_WISHES(PROLOGUE_PAGING_FOUR, 0);
