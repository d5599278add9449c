// The funnel's normal form: what any loader said, before anything is allocated
// or copied. A contract's parser fills it; nothing after it asks which loader
// it was, except to report it.
#pragma once
#pragma GCC visibility push(hidden)

#include "image.h"
#include "phys_memory.h"
#include "prologue/handoff.h"
#include "ranges.h"

namespace prologue {

// A text of the loader's, seen through the window, without its NUL. Where the
// loader gave none, `start` is null.
struct Text {
    const char* start = nullptr;
    uint64_t bytes = 0;
};

inline constexpr uint32_t kE820Usable = 1;
inline constexpr uint32_t kE820SoftReserved = 0xefffffff; // Linux's number for it
// Numbers of our own: memory that is free once UEFI's boot services are ended, and what it
// calls unaccepted.
inline constexpr uint32_t kInFirmwaresUse = 0x69666575;
inline constexpr uint32_t kE820Unaccepted = 0x61666575;

// A range of memory as all contracts state it: with the e820's type numbers.
struct RawRange {
    uint64_t start;
    uint64_t bytes;
    uint32_t e820_type;
} __attribute__((packed));
static_assert(sizeof(RawRange) == 20);

// A loader's memory map: RawRanges `stride` bytes apart, each after `prefix`
// bytes of its own. Where the stride is 0, the prefix is a u32 that gives the
// size of the rest (Multiboot 1). All of it lies in mapped memory, and entries
// end where the map ends.
struct RawMap {
    const uint8_t* entries = nullptr;
    uint64_t bytes = 0;
    uint32_t stride = 0;
    uint32_t prefix = 0;

    class Iterator {
    public:
        Iterator(const RawMap& map, const uint8_t* at)
            : at_(at),
              stride_(map.stride),
              prefix_(map.prefix) {}
        const RawRange& operator*() const {
            return *reinterpret_cast<const RawRange*>(at_ + prefix_);
        }
        Iterator& operator++() {
            at_ += stride_ != 0 ? stride_ : prefix_ + uint64_t{read_unaligned<uint32_t>(at_)};
            return *this;
        }
        bool operator!=(const Iterator& other) const { return at_ != other.at_; }

    private:
        const uint8_t* at_;
        uint64_t stride_;
        uint64_t prefix_;
    };
    Iterator begin() const { return {*this, entries}; }
    Iterator end() const { return {*this, entries + bytes}; }

    // No more entries than this; exact where there is a stride.
    uint64_t most_entries() const {
        return stride != 0 ? bytes / stride : bytes / (prefix + sizeof(RawRange));
    }
};

// More modules than this are taken for a lie.
inline constexpr uint32_t kMostModules = 4096;

// Where a contract's list of modules is to be read on.
struct ModuleCursor {
    uint64_t at = 0;
    uint64_t end = 0;
};

struct LoaderModule {
    Span bytes;
    Text cmdline;
    bool text_is_lost = false; // it was said to be somewhere where it cannot be read

    // The text at a physical address. Some loaders leave what they have no text for as it
    // was in memory: QEMU's qboot does.
    void set_cmdline(PhysMemory& memory, uint64_t phys);
};

// One for each piece of Linux's setup_data and what it leads to, and some more.
inline constexpr unsigned kMaxStructures = 144;

struct LoaderInfo {
    uint32_t loader = 0; // enum prologue_loader
    bool efi = false;    // the firmware is known to be EFI: there is no BIOS
    RawMap memory;
    RawMap more_memory; // a second piece of it (Linux)
    Text cmdline;
    ModuleCursor modules;
    uint64_t module_count = 0;
    uint64_t rsdp_phys = 0;
    uint64_t smbios_phys = 0;
    Text seed;      // random bytes, from those that give some
    Text rsdp_copy; // where the loader gave a copy and no address
    prologue_framebuffer framebuffer = {};
    prologue_boot boot = {}; // as the handoff has them, with the loader's own texts
    prologue_efi uefi = {};
    uint64_t unaccepted_count = 0; // ranges of the firmware's map, in an SNP guest

    // What the loader has put right behind the image, as symbols, ends here.
    uint64_t kernel_end = 0;

    uint32_t left_out = 0; // PROLOGUE_LEFT_OUT_*: what was no good, and can be done without

    // Where the image lies, for which nothing that is read may lie. Set before a parse.
    const Image* image = nullptr;

    // Where the loader's structures and texts lie, modules' texts apart, each up to
    // its last page's end. Neighbours are one span: most loaders need one or two.
    // Where there are too many, the least that lies between two of them is taken
    // for theirs.
    Span structures[kMaxStructures];
    unsigned structure_count = 0;

    // What has been read, or will be. It fails where that cannot be, since the image's
    // .bss has been written to.
    void occupies(uint64_t start, uint64_t bytes) {
        const Span span = {start, page_up(start + bytes)};
        if (image != nullptr && span.overlaps(image->span())) [[unlikely]]
            check_clear_of_image({start, start + bytes});
        add(span);
    }

    // What something points to and the boot does not read: no lie about it is an error.
    void may_occupy(uint64_t start, uint64_t bytes);

private:
    void add(Span span);
    void join_nearest(Span span);
    void check_clear_of_image(Span span) const;
};

using ParseLoaderInfo = void(PhysMemory& memory, uint64_t info, LoaderInfo& loader);
// The module at the cursor, which moves on; false where there is none left.
using NextModule = bool(PhysMemory& memory, ModuleCursor& cursor, LoaderModule& module);

extern "C" {
ParseLoaderInfo prologue_parse_pvh, prologue_parse_multiboot1, prologue_parse_multiboot2,
    prologue_parse_linux, prologue_parse_vmd, prologue_parse_freebsd, prologue_parse_igvm;
NextModule prologue_next_pvh_module, prologue_next_multiboot1_module,
    prologue_next_multiboot2_module, prologue_next_linux_module, prologue_next_vmd_module,
    prologue_next_freebsd_module, prologue_next_igvm_module;
}

// The longest string that is believed: the bound on a search for its end.
inline constexpr uint64_t kLongestText = 64 * 1024;

// The string at a physical address, ended by a NUL. Physical 0 means none. `what` names
// it in an error; where it is null the text is one to do without: out of reach, or without
// an end, it is none.
Text text_at(PhysMemory& memory, const char* what, uint64_t phys);

// A Multiboot command line without the image's path. By the custom of Multiboot 1 that is
// its first word, as a program's name is. GRUB 2 and Limine have done away with it; a loader
// without a name is taken for one that puts none, and an option is no path.
Text without_image_path(Text cmdline, Text loader_name);

// The sections of the image's file that are no part of it in memory, but were loaded
// all the same: symbols and debug information. Entries are ELF's, of 32 or 64 bits.
void mark_elf_sections(const uint8_t* entries, uint64_t count, uint32_t entry_bytes,
                       LoaderInfo& loader);

// The confidential computing blob of an SNP guest, and the pages that it names: marked
// where one is there.
void mark_confidential_blob(PhysMemory& memory, uint64_t blob, LoaderInfo& loader);

// Both Multiboots describe direct colours by {shift, bits} of red, green, blue.
inline constexpr uint8_t kDirectColour = 1;
inline constexpr uint64_t kColourBytes = 6;
void set_colours(prologue_framebuffer& framebuffer, const uint8_t* colours);

// A module of the loader's, or a failure if it lies where no memory can be.
Span module_span(const char* contract, uint64_t start, uint64_t bytes);

} // namespace prologue

#pragma GCC visibility pop
