// Sorting in place: cheap where little is out of order, and never more than some n log n steps,
// whatever order a hostile loader chooses.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

// Sinks `value` from `at`, whose children are heaps, in the heap of `count` elements.
template <class T, class Less>
void sink(T* heap, uint64_t count, uint64_t at, T value, Less less) {
    for (uint64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && less(heap[child], heap[child + 1]))
            ++child;
        if (!less(value, heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = value;
}

template <class T, class Less>
void heap_sort(T* first, uint64_t count, Less less) {
    for (uint64_t at = count / 2; at-- != 0;)
        sink(first, count, at, first[at], less);
    for (uint64_t left = count - 1; left != 0; --left) {
        const T value = first[left];
        first[left] = first[0];
        sink(first, left, 0, value, less);
    }
}

// By insertion, as long as elements move a few places in the mean; then as a heap.
template <class T, class Less>
void sort(T* first, uint64_t count, Less less) {
    constexpr uint64_t kMostMovesEach = 8;
    uint64_t moves_left = kMostMovesEach * count;
    for (uint64_t next = 1; next < count; ++next) {
        const T value = first[next];
        uint64_t at = next;
        for (; at != 0 && moves_left != 0 && less(value, first[at - 1]); --at, --moves_left)
            first[at] = first[at - 1];
        first[at] = value;
        if (moves_left == 0)
            return heap_sort(first, count, less);
    }
}

} // namespace prologue

#pragma GCC visibility pop
