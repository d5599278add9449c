// Nested page tables (APM vol. 2, 15.25). Their format is that of the host's own
// paging mode: five levels under CR4.LA57, without which no C-bit above 47 fits.
#pragma once

#include "arch.h"
#include "host_memory.h"

namespace sevhost {

class NestedTables {
public:
    // Rights; reading is always there, and writing where it is not said otherwise.
    static constexpr uint64_t kExecute = 1;
    static constexpr uint64_t kReadOnly = 2;

    void create(HostMemory& host);

    HostPhys root() const { return root_; }

    // Maps the 4 KiB page at `address`, or all of its 2 MiB where `large_fits` and
    // nothing smaller stands there. Splits a larger page, replaces an equal one.
    void map(uint64_t address, HostPhys to, bool large_fits, uint64_t rights);

    void unmap(uint64_t address);

    // Drops everything, keeps the root.
    void clear();

private:
    uint64_t& entry_for(uint64_t address, unsigned level);

    HostMemory* host_ = nullptr;
    HostPhys root_ = 0;
};

} // namespace sevhost
