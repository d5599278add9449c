// Every way in which a boot can end before the kernel, with the sentence that
// says so. %x prints a number in hexadecimal, %u in decimal, in order.
#pragma once
#pragma GCC visibility push(hidden)

// Those that the entry's assembly raises have their numbers named here.
// A row an entry.
// clang-format off
#define ERROR_SEV 0
#define ERROR_NO_EXTENDED_LEAF 1
#define ERROR_NO_LONG_MODE 2
#define ERROR_WISH_PAGING 3
#define ERROR_NESTED_FAULT 5

// Raised in 32-bit mode only, and in 32-bit mode and later.
#define PROLOGUE_ERRORS_OF_32(X)                                                                   \
    X(sev, "sev: reason %x of docs/sev.md (SEV_STATUS is %x)")                                     \
    X(no_extended_leaf, "cpu: no CPUID leaf 80000001 (the highest is %x): no long mode")           \
    X(no_long_mode, "cpu: long mode or NX is missing (CPUID 80000001 EDX lacks %x)")               \
    X(wish_paging, "wish: paging with %u levels: this CPU has no LA57")                            \
    X(early_tables, "paging: the image ends at %x: too high for early tables of 2 MiB pages")
#define PROLOGUE_SHARED_ERRORS(X)                                                                  \
    X(nested_fault, "exception %u (error %x) at %x while an exception was reported")               \
    X(image_header, "image: the ELF header at %x is not that of this kernel")
#define PROLOGUE_ENTRY_ERRORS(X) PROLOGUE_ERRORS_OF_32(X) PROLOGUE_SHARED_ERRORS(X)

#define PROLOGUE_BOOT_ERRORS(X)                                                                    \
    X(unknown_loader, "entry: no contract is known by magic %x (information at %x)")               \
    X(contract_left_out, "entry: magic %x is of a contract that this kernel does not carry")       \
    X(out_of_reach, "%s: %x bytes at %x cannot be reached before the kernel's tables stand")       \
    X(on_the_image, "%s: %x to %x lies on the kernel image (%x to %x)")                            \
    X(bad_wish, "wish: paging %u is none of 0 (best), 4 and 5")                                    \
    X(too_many_entries, "%s has %x entries, more than %x")                                         \
    X(text_not_ended, "%s: the string at %x does not end within %x bytes")                         \
    X(pvh_magic, "pvh: start info at %x says magic %x, not 336ec578")                              \
    X(pvh_memory, "pvh: start info of version %u has no memory map (%u entries at %x)")            \
    X(pvh_version_0, "pvh: start info of version 0 has no memory map: %s (%x, %x)")                \
    X(multiboot1_memory, "multiboot1: information at %x has flags %x: no memory map, or none in it")            \
    X(multiboot1_entry, "multiboot1: memory map entry at %x claims %x bytes, has %x")              \
    X(multiboot2_size, "multiboot2: information at %x claims %x bytes")                            \
    X(multiboot2_tag, "multiboot2: tag %u at %x claims %x bytes, needs %x")                        \
    X(multiboot2_past_end, "multiboot2: tag %u at %x claims %x bytes, but %x are left")            \
    X(multiboot2_no_end, "multiboot2: no end tag before %x, where the information ends")           \
    X(multiboot2_memory, "multiboot2: no memory map (tag 6) in the information at %x")             \
    X(multiboot2_entry_size, "multiboot2: memory map tag at %x has entries of %x bytes")           \
    X(multiboot2_boot_services, "multiboot2: EFI boot services are still running (tag 18 at %x)")  \
    X(module_backwards, "%s: a module ends (%x) before it starts (%x)")                              \
    X(module_too_high, "%s: module at %x of %x bytes lies beyond all physical memory")             \
    X(range_too_high, "memory map: what lies at %x to %x is in use; the CPU addresses less than %x") \
    X(too_many_ranges, "memory map: %x ranges, more than %x")                                      \
    X(no_free_memory, "memory: %x free bytes below 4 GiB are wanted, the largest piece has %x")    \
    X(no_room_for_map, "memory: a map of so many ranges takes %x free bytes below 4 GiB")          \
    X(image_segment, "image: segment %u (%x, %x bytes) is not page-aligned, or wraps")             \
    X(image_writable_text, "image: segment %u (%x) is writable and executable")          \
    X(image_code, "image: segment %u (%x) has this code, and is not executable")                   \
    X(image_stack, "image: segment %u (%x) has the stack, and is not writable")                    \
    X(image_order, "image: segment %u (%x) begins before the one before it ends (%x)")                       \
    X(image_not_canonical, "image: segment %u (%x) is no address with %u levels of paging")        \
    X(image_in_window, "image: segment %u (%x) lies in the direct map")                            \
    X(no_table_memory, "paging: no memory is left for tables that map %x to %x (%x bytes)")        \
    X(kernel_returned, "kernel_main has returned")                                                 \
    X(image_offset, "image: segment %u (%x at %x) is not at the first segment's offset")           \
    X(map_conflict, "paging: %x cannot map to %x (%x bytes)")                                      \
    X(image_moved, "image: linked for %x, loaded at %x: no wish to be relocatable")                \
    X(wish, "wish: %s (%x, %x)")                                                                   \
    X(linux_info, "linux: %s (%x, %x)")                                                            \
    X(vmd_info, "vmd: %s (%x, %x)")                                                                \
    X(freebsd_info, "freebsd: %s (%x, %x)")                                                        \
    X(no_long_mode_contract, "entry: in 64-bit mode, for which this kernel has no contract")       \
    X(entry, "entry: %s (%x, %x)")                                                                 \
    X(igvm_info, "igvm: %s (%x, %x)")

// By the EFI stub alone.
#define PROLOGUE_EFI_ERRORS(X)                                                                     \
    X(efi, "efi: %s (%x, %x)")                                                                     \
    X(efi_place, "efi: the kernel must lie at %x to %x, and %s %x to %x")

// By the code alone that moves a bzImage's kernel.
#define PROLOGUE_MOVED_ERRORS(X)                                                                   \
    X(moved, "linux: the kernel must lie at %x to %x, and %s %x to %x")

#ifndef __ASSEMBLER__
#include <stdint.h>

namespace prologue {

enum class Error : uint32_t {
#define PROLOGUE_ERROR_NAME(name, sentence) name,
    PROLOGUE_ENTRY_ERRORS(PROLOGUE_ERROR_NAME) PROLOGUE_BOOT_ERRORS(PROLOGUE_ERROR_NAME)
        PROLOGUE_EFI_ERRORS(PROLOGUE_ERROR_NAME) PROLOGUE_MOVED_ERRORS(PROLOGUE_ERROR_NAME)
#undef PROLOGUE_ERROR_NAME
};

static_assert(static_cast<uint32_t>(Error::sev) == ERROR_SEV);
static_assert(static_cast<uint32_t>(Error::no_extended_leaf) == ERROR_NO_EXTENDED_LEAF);
static_assert(static_cast<uint32_t>(Error::no_long_mode) == ERROR_NO_LONG_MODE);
static_assert(static_cast<uint32_t>(Error::wish_paging) == ERROR_WISH_PAGING);
static_assert(static_cast<uint32_t>(Error::nested_fault) == ERROR_NESTED_FAULT);

// The sentence of `error`: found by counting, since a table of pointers would
// need relocations. `sentences` is all of them, each ended by a NUL.
inline const char* sentence(const char* sentences, Error error) {
    for (auto left = static_cast<uint32_t>(error); left != 0; --left)
        while (*sentences++ != 0) {
        }
    return sentences;
}

#define PROLOGUE_ERROR_SENTENCE(name, sentence) sentence "\0"
#define PROLOGUE_ERROR_ELSEWHERE(name, sentence) "\0"

// Ends the boot with that error's line. Each environment brings its own: the
// target prints and halts, the host tests throw. `what` is for %s.
[[noreturn]] void fail(Error error, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0);
[[noreturn]] void fail_in(const char* what, Error error, uint64_t a = 0, uint64_t b = 0,
                          uint64_t c = 0, uint64_t d = 0);

}  // namespace prologue
#endif

#pragma GCC visibility pop
