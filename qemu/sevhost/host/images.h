// The guest's image, and what comes with it: the modules of the host.
#pragma once

#include <stdint.h>

#include "host_memory.h"
#include "text.h"

namespace sevhost {

// A module's string is "<file> <kind> <the rest>".
struct Module {
    const uint8_t* data = nullptr; // nullptr: there is none of this kind
    uint64_t bytes = 0;
    Text rest; // of the image: the guest's command line

    explicit operator bool() const { return data != nullptr; }
};

enum class ImageKind : uint8_t { bzimage, elf, flat, igvm };

struct Images {
    ImageKind kind = ImageKind::bzimage;
    Module image;
    Module initrd;
    Module kernel; // for a firmware to start; its rest is the kernel's command line
    Module hashes; // of what the firmware is handed
    Module state;  // a description of the guest's first state, and the files that it places
    static constexpr unsigned kMaxFiles = 8;
    Module files[kMaxFiles];
    unsigned file_count = 0;
};

// Ends the run where there is no image, or a module that is none of these.
Images find_images(const HostMemory& host);

} // namespace sevhost
