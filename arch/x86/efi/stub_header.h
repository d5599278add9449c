// What stands at the stub's beginning: what the maker of the image must know of
// the stub, and what the stub must know of the kernel, which the maker fills in.
// linker/prologue-bzimage has the same offsets.
#pragma once

#define STUB_MAGIC 0x62757453676c7250 // "PrlgStub"

// Flags.
#define STUB_RELOCATABLE 1
#define STUB_QEMU_EXIT 2
#define STUB_BOOT_SERVICES 4
#define STUB_FRAMEBUFFER 8

#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)

#include <stddef.h>
#include <stdint.h>

namespace prologue::efi {

struct StubHeader {
    uint64_t magic;
    uint32_t bytes;      // of code and constants, from this header on
    uint32_t data_start; // memory that is zero and written to, and its end: from this header,
    uint32_t data_end;
    uint32_t entry; // as is the firmware's way in

    // The maker's.
    int32_t kernel;        // from this header to the kernel's bytes, as loaded
    uint32_t kernel_bytes; // what there is of them; the rest of its memory is zero
    uint64_t load_start;   // where it is linked to lie
    uint64_t memory_bytes;
    uint32_t kernel_entry; // from its start, for 64-bit mode: RSI = boot_params
    uint32_t flags;
    struct {
        uint32_t width, height, bits; // 0: any
    } framebuffer;                    // with its flag
    uint32_t reserved;

    const void* kernel_image() const { return reinterpret_cast<const char*>(this) + kernel; }
    bool leaves_boot_services() const { return (flags & STUB_BOOT_SERVICES) != 0; }
    bool wishes_for_mode() const {
        return (flags & STUB_FRAMEBUFFER) != 0 && framebuffer.width != 0;
    }
    bool relocatable() const { return (flags & STUB_RELOCATABLE) != 0; }
};
static_assert(sizeof(StubHeader) == 72);
static_assert(offsetof(StubHeader, kernel) == 24 && offsetof(StubHeader, framebuffer) == 56);

extern "C" const StubHeader prologue_efi_header;

} // namespace prologue::efi

#pragma GCC visibility pop
#endif
