#include "mmio.h"

#include "local_apic.h"

#include <string.h>

namespace sevhost {
namespace {

// A device sees one access of the guest's size.
template <typename T>
void read_as(volatile uint8_t* from, uint8_t* to) {
    const T value = *reinterpret_cast<volatile T*>(from);
    memcpy(to, &value, sizeof value);
}

template <typename T>
void write_as(volatile uint8_t* to, const uint8_t* from) {
    T value;
    memcpy(&value, from, sizeof value);
    *reinterpret_cast<volatile T*>(to) = value;
}

bool accessible(const Guest& guest, GuestPhys at, unsigned bytes) {
    return at % kPageBytes + bytes <= kPageBytes && is_device(guest, at);
}

} // namespace

bool is_device(const Guest& guest, GuestPhys at) {
    return guest.memory.find(at) == nullptr &&
           !guest.host.overlaps_ram(at & ~(kPageBytes - 1), kPageBytes);
}

bool mmio_read(Guest& guest, GuestPhys at, uint8_t* to, unsigned bytes) {
    if (!accessible(guest, at, bytes))
        return false;
    volatile uint8_t* from = guest.host.window(at);
    switch (bytes) {
    case 1:
        read_as<uint8_t>(from, to);
        return true;
    case 2:
        read_as<uint16_t>(from, to);
        return true;
    case 4:
        read_as<uint32_t>(from, to);
        return true;
    case 8:
        read_as<uint64_t>(from, to);
        return true;
    }
    return false;
}

bool mmio_write(Guest& guest, GuestPhys at, const uint8_t* from, unsigned bytes) {
    if (!accessible(guest, at, bytes))
        return false;
    if (apic_takes_write(guest, at, from, bytes))
        return true;
    volatile uint8_t* to = guest.host.window(at);
    switch (bytes) {
    case 1:
        write_as<uint8_t>(to, from);
        return true;
    case 2:
        write_as<uint16_t>(to, from);
        return true;
    case 4:
        write_as<uint32_t>(to, from);
        return true;
    case 8:
        write_as<uint64_t>(to, from);
        return true;
    }
    return false;
}

} // namespace sevhost
