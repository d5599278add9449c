// What grants PROLOGUE_WISH_RANDOM; linked only where it is wished for, as the part
// RANDOM_PLACES_MAGIC. See prologue/wishes.h.
#pragma once
#pragma GCC visibility push(hidden)

#include "image.h"
#include "kernel_map.h"
#include "loader_info.h"
#include "memory_map.h"
#include "prologue/handoff.h"
#include "random.h"

namespace prologue {

// Chooses where the image and the direct map will be. The image's new place, if it has one, is
// the kernel's in `memory` from then on, and what it leaves is the loader's.
using ChoosePlaces = void(uint64_t window, unsigned levels, const LoaderInfo& loader,
                          const Image& image, MemoryMap& memory, KernelMap& map);

// Makes all that is known of the image what holds at its new place. Its bytes are relocated and
// lie where they were: FinishMaps carries them.
using SlideImage = void(uint64_t window, unsigned levels, const KernelMap& map, Image& image,
                        prologue_handoff& handoff);

extern "C" {
ChoosePlaces prologue_choose_places;
SlideImage prologue_slide_image;

// All that this boot has of randomness, for who wants more of it; and where it came from: a sum
// of RandomSources.
extern Random prologue_random;
extern unsigned prologue_random_sources;
}

} // namespace prologue

#pragma GCC visibility pop
