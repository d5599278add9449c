#include "page_state.h"

namespace sevhost {
namespace {

struct Header {
    uint16_t current, end;
    uint32_t reserved;
};
static_assert(sizeof(Header) == 8);

constexpr uint64_t kCurrentMask = 0xfff; // pages of the entry that are done
constexpr uint64_t kFrameMask = 0x000ffffffffff000;
constexpr unsigned kOperationShift = 52;
constexpr uint64_t kOperationMask = 0xf;
constexpr uint64_t kLarge = uint64_t{1} << 56;

// What is begun is ended page by page.
bool change_pages(PageOwner& owner, GuestPhys page, PageOperation operation, uint64_t bytes,
                  uint64_t done) {
    if (done == 0)
        return owner.change(page, operation, bytes);
    for (uint64_t offset = done * kPageBytes; offset != bytes; offset += kPageBytes)
        if (!owner.change(page + offset, operation, kPageBytes))
            return false;
    return true;
}

uint64_t change_entry(PageOwner& owner, uint64_t& entry) {
    const uint64_t bytes = entry & kLarge ? kLargePageBytes : kPageBytes;
    const GuestPhys page = entry & kFrameMask;
    const uint64_t done = entry & kCurrentMask;
    if (page % bytes != 0 || done > bytes / kPageBytes)
        return kPageStateBadEntry;
    const auto operation = static_cast<PageOperation>(entry >> kOperationShift & kOperationMask);
    if (!change_pages(owner, page, operation, bytes, done))
        return kPageStateRefused;
    entry = (entry & ~kCurrentMask) | bytes / kPageBytes;
    return 0;
}

} // namespace

uint64_t change_page_states(PageOwner& owner, uint8_t* list) {
    Header header;
    __builtin_memcpy(&header, list, sizeof header);
    if (header.end >= kMaxPageStateEntries)
        return kPageStateBadHeader;
    uint64_t result = 0;
    for (; header.current <= header.end; ++header.current) {
        uint8_t* at = list + sizeof header + header.current * sizeof(uint64_t);
        uint64_t entry;
        __builtin_memcpy(&entry, at, sizeof entry);
        result = change_entry(owner, entry);
        if (result != 0)
            break;
        __builtin_memcpy(at, &entry, sizeof entry);
    }
    __builtin_memcpy(list, &header, sizeof header);
    return result;
}

} // namespace sevhost
