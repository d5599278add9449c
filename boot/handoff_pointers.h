// A handoff's pointers, where the direct map that they lie in will begin elsewhere.
#pragma once
#pragma GCC visibility push(hidden)

#include "prologue/handoff.h"

namespace prologue {

template <class T>
void move_pointer(T*& pointer, uint64_t distance) {
    if (pointer != nullptr)
        pointer = reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(pointer) + distance);
}

inline void move_pointers(prologue_handoff& handoff, uint64_t distance) {
    auto* modules = const_cast<prologue_module*>(handoff.modules);
    for (uint64_t i = 0; i != handoff.module_count; ++i)
        move_pointer(modules[i].cmdline, distance);
    move_pointer(handoff.modules, distance);
    move_pointer(handoff.memory, distance);
    move_pointer(handoff.cmdline, distance);
    move_pointer(handoff.boot.environment, distance);
    move_pointer(handoff.efi.memory_map, distance);
}

} // namespace prologue

#pragma GCC visibility pop
