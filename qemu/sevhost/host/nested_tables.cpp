#include "nested_tables.h"

#include <string.h>

namespace sevhost {
namespace {

constexpr uint64_t kPresent = 1 << 0;
constexpr uint64_t kWritable = 1 << 1;
constexpr uint64_t kUser = 1 << 2; // every nested access is a user's (15.25.5)
constexpr uint64_t kAccessed = 1 << 5;
constexpr uint64_t kDirty = 1 << 6;
constexpr uint64_t kLarge = 1 << 7;
constexpr uint64_t kNoExecute = uint64_t{1} << 63;
constexpr uint64_t kAddress = 0x000ffffffffff000;
constexpr uint64_t kTable = kDirty | kAccessed | kUser | kWritable | kPresent;
constexpr uint64_t kEntries = 512;

constexpr unsigned shift_of(unsigned level) {
    return 3 + 9 * level;
}

} // namespace

void NestedTables::create(HostMemory& host) {
    host_ = &host;
    root_ = host.take_page();
}

uint64_t& NestedTables::entry_for(uint64_t address, unsigned target) {
    HostPhys table = root_;
    for (unsigned level = host_->handoff().paging_levels;; --level) {
        uint64_t& entry = host_->at<uint64_t>(table)[(address >> shift_of(level)) % kEntries];
        if (level == target)
            return entry;
        if ((entry & kPresent) == 0) {
            entry = host_->take_page() | kTable;
        } else if (entry & kLarge) {
            const HostPhys small = host_->take_page();
            const uint64_t rights = entry & ~(kAddress | kLarge);
            for (uint64_t i = 0; i != kEntries; ++i)
                host_->at<uint64_t>(small)[i] = ((entry & kAddress) + i * kPageBytes) | rights;
            entry = small | kTable;
        }
        table = entry & kAddress;
    }
}

void NestedTables::map(uint64_t address, HostPhys to, bool large_fits, uint64_t rights) {
    const uint64_t bits = (rights & kReadOnly ? kTable & ~kWritable : kTable) |
                          (rights & kExecute ? 0 : kNoExecute);
    if (large_fits) {
        uint64_t& entry = entry_for(address, 2);
        if ((entry & kPresent) == 0 || (entry & kLarge) != 0) {
            entry = (to & ~(kLargePageBytes - 1)) | kLarge | bits;
            return;
        }
    }
    entry_for(address, 1) = (to & kAddress) | bits;
}

void NestedTables::unmap(uint64_t address) {
    entry_for(address, 1) = 0;
}

void NestedTables::clear() {
    memset(host_->at(root_), 0, kPageBytes); // the tables below are lost: it is rare
}

} // namespace sevhost
