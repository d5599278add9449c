// Page state changes (AMD 56421, 2.3.1 and 4.1.6).
#pragma once

#include <stdint.h>

#include "arch.h"

namespace sevhost {

enum class PageOperation : uint8_t { private_ = 1, shared = 2, psmash = 3, unsmash = 4 };

// Who makes the changes. A page is of 4 KiB or 2 MiB, and aligned to it.
class PageOwner {
public:
    // False where the page or the operation is not the guest's to ask for.
    virtual bool change(GuestPhys page, PageOperation operation, uint64_t bytes) = 0;

protected:
    ~PageOwner() = default;
};

// The list: a header, and entries up to its `end`.
constexpr unsigned kMaxPageStateEntries = 253;
constexpr uint64_t kPageStateListBytes = 8 + kMaxPageStateEntries * 8;

// SW_EXITINFO2 where a list cannot be worked off.
constexpr uint64_t kPageStateBadHeader = uint64_t{1} << 32 | 1;
constexpr uint64_t kPageStateBadEntry = uint64_t{1} << 32 | 2;
constexpr uint64_t kPageStateRefused = uint64_t{0x100} << 32;

// Works off the list of kPageStateListBytes, up to the first entry that cannot be; updates
// header and entries, and returns SW_EXITINFO2. As KVM does it (snp_begin_psc): reserved bits
// are not looked at, a list whose end is passed is done, and so is an operation that it does
// not know.
uint64_t change_page_states(PageOwner& owner, uint8_t* list);

} // namespace sevhost
