#include "firmware.h"

namespace prologue::efi {
namespace {

constexpr uint64_t pages_of(uint64_t bytes) {
    return page_up(bytes) / kPage;
}

} // namespace

void* Firmware::find_protocol(Handle handle, const Guid& guid) const {
    void* interface = nullptr;
    const Status status = services().handle_protocol(handle, &guid, &interface);
    return status == kSuccess ? interface : nullptr;
}

Status Firmware::take(uint32_t how, uint32_t type, uint64_t bytes, uint64_t& start) {
    const uint64_t pages = pages_of(bytes);
    if (taken_count_ == kMostTaken)
        return kOutOfResources;
    const Status status = services().allocate_pages(how, type, pages, &start);
    if (status == kSuccess)
        taken_[taken_count_++] = {start, pages};
    return status;
}

uint64_t Firmware::allocate(const char* what, uint64_t bytes, uint64_t below) {
    uint64_t start = below - 1;
    const Status status = take(below != 0 ? kMaxAddress : kAnyPages, kLoaderData, bytes, start);
    if (status != kSuccess)
        refuse(what, status, bytes);
    return start;
}

bool Firmware::allocate_at(uint64_t start, uint64_t bytes) {
    return take(kAtAddress, kLoaderCode, bytes, start) == kSuccess;
}

bool Firmware::allocate_below(uint64_t limit, uint64_t bytes, uint64_t& start) {
    start = limit - 1;
    return take(kMaxAddress, kLoaderCode, bytes, start) == kSuccess;
}

void Firmware::give_back() {
    while (taken_count_ != 0) {
        --taken_count_;
        services().free_pages(taken_[taken_count_].start, taken_[taken_count_].pages);
    }
}

} // namespace prologue::efi
