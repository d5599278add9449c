// Memory as a guest sees it by its page tables: its own, and what it shares with the host.
#pragma once

#include "guest.h"

constexpr Word kPageBytes = 4096;
constexpr Word kLargePageBytes = 2 << 20;

// How far above its private mapping a page has its shared one.
constexpr Word kSharedAlias = kLong ? static_cast<Word>(uint64_t{4} << 30) : Word{1} << 30;

// 32-bit mode: PAE tables and paging on, with the first GiB private, then the same shared, and
// the last GiB (devices) where it is. In 64-bit mode they are there from the start.
void turn_paging_on();

template <typename T>
T* shared(T* pointer) {
    return reinterpret_cast<T*>(reinterpret_cast<Word>(pointer) + kSharedAlias);
}
template <typename T>
Word address_of(T* pointer) {
    return reinterpret_cast<Word>(pointer);
}

// The large page's entry that maps an address, and the forgetting of what the processor knows.
uint64_t& entry_of(Word address);
void flush(Word address);

// Maps the 2 MiB around an address by 4 KiB pages, and gives the entry of one of them.
uint64_t& small_entry_of(Word address);

constexpr uint64_t kEntryPresent = 1, kEntryWritable = 2, kEntryUser = 4, kEntryLarge = 0x80;
constexpr uint64_t kEntryNoExecute = uint64_t{1} << 63;
constexpr uint64_t kEntryAddress = 0x000ffffffffff000;

// Makes a page of the guest's shared: as ES, it is so by its mapping; as SNP, the host and the
// page's validation take part.
void share_page(void* page);
