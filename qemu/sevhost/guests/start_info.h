// What PVH hands over (Xen's public headers: arch-x86/hvm/start_info.h).
#pragma once

#include "guest.h"

struct StartInfo {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, cmdline, rsdp, memory_map;
    uint32_t memory_map_count, reserved;
};
const StartInfo& start_info();

template <typename T>
const T* pointer(uint64_t address) {
    return reinterpret_cast<const T*>(static_cast<Word>(address));
}
