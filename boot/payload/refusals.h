// Every way in which the loader image can refuse its payload, with the sentence that says
// so: %x prints a number in hexadecimal, %u in decimal, in order, and %s what refuse_in names.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

#define PROLOGUE_PAYLOAD_REFUSALS(X)                                                               \
    X(no_module, "payload: no module is there to start: QEMU's -initrd, or GRUB's module2")        \
    X(sev_guest, "payload: by the contract %s none is started in an SEV guest (SEV_STATUS is %x)") \
    X(unknown_format, "payload: %x bytes at %x are no ELF file and no bzImage (%x, %x)")           \
    X(contract_unknown, "payload: contract=%s is none that is known")                              \
    X(contract, "payload: contract=%s: the payload has no header, note or request of it")          \
    X(elf_header, "payload: elf: %s is %x, not %x")                                                \
    X(elf_cut, "payload: elf: %s ends at %x, the file at %x")                                      \
    X(elf_segment, "payload: elf: segment %u %s (%x, %x)")                                         \
    X(elf_entry, "payload: elf: e_entry %x is in no executable segment")                           \
    X(elf_contract, "payload: elf: no note says by which contract it is to be started")            \
    X(elf_relocation, "payload: elf: relocation: %s (%x, %x)")                                     \
    X(limine, "payload: limine: %s is not served (%x, %x)")                                        \
    X(processors, "payload: limine: %u of %u processors have left the loader image")               \
    X(levels, "payload: it needs five levels of paging, and this CPU knows four")                  \
    X(multiboot2, "payload: multiboot2: %s %u is not served (%x)")                                 \
    X(multiboot_address, "payload: multiboot: %s is %x, which does not fit to %x")                 \
    X(multiboot_flat,                                                                              \
      "payload: multiboot: no ELF file, and its header has no address fields (%x)")                \
    X(multiboot_screen, "payload: multiboot2: its header requires a screen, and none was told")    \
    X(multiboot_place, "payload: multiboot2: no room from %x to %x, where it may lie")             \
    X(multiboot_modules, "payload: multiboot: a module lies above 4 GiB")                          \
    X(linux_cut, "payload: linux: %s ends at %x, the file at %x")                                  \
    X(linux_header, "payload: linux: %s (%x, %x)")                                                 \
    X(packed, "payload: packed: %s does not fit (%x, %x)")                                         \
    X(gzip, "payload: gzip: %s (%x, %x)")                                                          \
    X(lz4, "payload: lz4: %s (%x, %x)")                                                            \
    X(too_many_moves, "payload: more than %u pieces must be moved")                                \
    X(same_place, "payload: %x to %x and %x to %x belong at one place")                            \
    X(no_scratch,                                                                                  \
      "payload: %x to %x is in the way of %x to %x, and no memory is free to put it aside")        \
    X(no_room, "payload: %x free bytes below %x are wanted for what must move")                    \
    X(not_ram, "payload: %x to %x belongs where no RAM is, or what must stay: %x to %x")

namespace prologue {

enum class Refusal : uint32_t {
#define PROLOGUE_REFUSAL_NAME(name, sentence) name,
    PROLOGUE_PAYLOAD_REFUSALS(PROLOGUE_REFUSAL_NAME)
#undef PROLOGUE_REFUSAL_NAME
};

// Ends the boot with that line. As fail() of errors.h, each environment brings its own.
[[noreturn]] void refuse(Refusal refusal, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0,
                         uint64_t d = 0);
[[noreturn]] void refuse_in(const char* what, Refusal refusal, uint64_t a = 0, uint64_t b = 0,
                            uint64_t c = 0);

} // namespace prologue

#pragma GCC visibility pop
