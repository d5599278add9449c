// Source: UEFI 2.10, section 7.2.3.
#include "memory_descriptors.h"

#include "efi_map.h"

namespace prologue::efi {
namespace {

constexpr uint64_t kMoreDescriptors = 64;
constexpr uint64_t kMostBytes = 8 * kMiB; // of a map, and twice as much the kernel takes
constexpr uint64_t kMostStride = 4096;

} // namespace

MemoryDescriptors::MemoryDescriptors(Firmware& firmware) : services_(firmware.services()) {
    uint64_t key = 0;
    const Status status = services_.get_memory_map(&bytes_, nullptr, &key, &stride_, &version_);
    if (status != kBufferTooSmall || bytes_ == 0)
        refuse("GetMemoryMap does not tell the map's size: status, bytes", status, bytes_);
    if (stride_ < kLeastDescriptorBytes || stride_ > kMostStride || stride_ % 8 != 0 ||
        bytes_ > kMostBytes)
        refuse("the firmware's memory map makes no sense: bytes, bytes of a descriptor", bytes_,
               stride_);
    room_ = page_up(bytes_ + kMoreDescriptors * stride_);
    start_ = firmware.allocate(kNoLowMemory, room_, 4 * kGiB);
}

void MemoryDescriptors::read(uint64_t& key) {
    const uint64_t told = stride_;
    bytes_ = room_;
    const Status status = services_.get_memory_map(&bytes_, reinterpret_cast<void*>(start_), &key,
                                                   &stride_, &version_);
    if (status != kSuccess)
        refuse("the firmware's memory map is not to be had: status, bytes", status, bytes_);
    if (bytes_ > room_ || stride_ != told)
        refuse("the firmware's memory map changes its form: bytes, bytes of a descriptor", bytes_,
               stride_);
    bytes_ -= bytes_ % stride_;
}

} // namespace prologue::efi
