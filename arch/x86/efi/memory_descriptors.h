// The firmware's memory map, in pages that are ours.
#pragma once
#pragma GCC visibility push(hidden)

#include "firmware.h"

namespace prologue::efi {

// What a descriptor speaks of, which may go on behind the last address.
constexpr uint64_t bytes_of(const Descriptor& at) {
    return at.pages < kLastPageStart / kPage ? at.pages * kPage : kLastPageStart;
}

class MemoryDescriptors {
public:
    // Takes room for the map as it is, and for some more: taking memory changes it.
    explicit MemoryDescriptors(Firmware& firmware);

    // Reads it anew. The key is what ExitBootServices wants.
    void read(uint64_t& key);

    uint64_t start() const { return start_; }
    uint64_t bytes() const { return bytes_; } // a multiple of the stride
    uint64_t stride() const { return stride_; }
    uint32_t version() const { return version_; }
    uint64_t most() const { return room_ / stride_; } // descriptors, ever

    class Iterator {
    public:
        Iterator(uint64_t at, uint64_t stride) : at_(at), stride_(stride) {}
        const Descriptor& operator*() const { return *reinterpret_cast<const Descriptor*>(at_); }
        Iterator& operator++() {
            at_ += stride_;
            return *this;
        }
        bool operator!=(const Iterator& other) const { return at_ != other.at_; }

    private:
        uint64_t at_, stride_;
    };
    Iterator begin() const { return {start_, stride_}; }
    Iterator end() const { return {start_ + bytes_, stride_}; }

private:
    const BootServices& services_;
    uint64_t start_ = 0, room_ = 0;
    uint64_t bytes_ = 0, stride_ = 0;
    uint32_t version_ = 0;
};

} // namespace prologue::efi

#pragma GCC visibility pop
