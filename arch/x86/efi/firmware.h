// The firmware, as the stub calls it: what is taken from it is known, so that it
// can be given back, and what cannot be had ends in a line that says so.
#pragma once
#pragma GCC visibility push(hidden)

#include "errors.h"
#include "ranges.h"
#include "uefi.h"

namespace prologue::efi {

[[noreturn]] inline void refuse(const char* what, uint64_t a, uint64_t b) {
    fail_in(what, Error::efi, a, b);
}

inline constexpr char kNoLowMemory[] = "no memory below 4 GiB: status, bytes";

class Firmware {
public:
    Firmware(Handle image, const SystemTable* system) : image_(image), system_(system) {}

    Handle image() const { return image_; }
    const SystemTable& system() const { return *system_; }
    const BootServices& services() const { return *system_->boot_services; }

    // The protocol on a handle; null where it has none.
    template <class Protocol>
    Protocol* protocol(Handle handle, const Guid& guid) const {
        return static_cast<Protocol*>(find_protocol(handle, guid));
    }

    // Whole pages, below the address if there is one; `what` names them where they cannot
    // be had.
    uint64_t allocate(const char* what, uint64_t bytes, uint64_t below = 0);
    // Pages for the kernel, which may run on the firmware's tables: there, or false.
    bool allocate_at(uint64_t start, uint64_t bytes);
    bool allocate_below(uint64_t limit, uint64_t bytes, uint64_t& start);

    // All that has been taken goes back.
    void give_back();

private:
    Status take(uint32_t how, uint32_t type, uint64_t bytes, uint64_t& start);
    void* find_protocol(Handle handle, const Guid& guid) const;

    static constexpr unsigned kMostTaken = 8;
    Handle image_;
    const SystemTable* system_;
    struct {
        uint64_t start, pages;
    } taken_[kMostTaken] = {};
    unsigned taken_count_ = 0;
};

} // namespace prologue::efi

#pragma GCC visibility pop
