// Whether the kernel's place is memory, and nobody else's, by what the loader says. Paging is
// off: physical addresses are pointers.
// Sources: Linux Documentation/arch/x86/boot.rst, zero-page.rst.
#include "boot_params.h"
#include "errors.h"
#include "linux_note.h"
#include "move_image.h"

namespace prologue {
namespace {

constexpr uint32_t kRam = 1;
constexpr unsigned kMostPieces = 64; // as the parser has it
constexpr uint32_t kMostPieceBytes = 16 * kMiB;
constexpr uint64_t kReach = 4 * kGiB;

template <class T>
const T* seen(uint64_t phys) {
    return reinterpret_cast<const T*>(static_cast<uintptr_t>(phys));
}

// Who is in the way, and where.
class Place {
public:
    explicit Place(Span wanted) : wanted_(wanted) {}

    void keep_off(const char* whose, uint64_t start, uint64_t bytes) const {
        const Span taken = {start, start + bytes};
        if (bytes != 0 && taken.overlaps(wanted_))
            refuse(whose, taken);
    }

    // The map's ranges in any order: what is no RAM counts before what is.
    template <class Ranges>
    void check_memory(const Ranges& each_range) const {
        each_range([&](const RawRange& range) {
            if (range.e820_type != kRam)
                keep_off("the memory map reserves", range.start, range.bytes);
        });
        uint64_t at = wanted_.start, before;
        do {
            before = at;
            each_range([&](const RawRange& range) {
                if (range.e820_type == kRam && range.start <= at && range.start + range.bytes > at)
                    at = range.start + range.bytes;
            });
        } while (at != before && at < wanted_.end);
        if (at < wanted_.end)
            refuse("the memory map has nothing at", {at, wanted_.end});
    }

private:
    [[noreturn]] void refuse(const char* whose, Span taken) const {
        fail_in(whose, Error::moved, wanted_.start, wanted_.end, taken.start, taken.end);
    }

    Span wanted_;
};

// Calls `use` with each piece of setup_data that can be seen from here.
template <class Use>
void each_piece(const BootParams& params, Use use) {
    uint64_t at = params.setup_data;
    for (unsigned left = kMostPieces; at != 0 && at < kReach && left != 0; --left) {
        use(at, *seen<SetupData>(at));
        at = seen<SetupData>(at)->next;
    }
}

uint64_t text_bytes(uint64_t phys) {
    uint64_t bytes = 0;
    while (bytes != CMDLINE_MOST && seen<char>(phys)[bytes] != 0)
        ++bytes;
    return bytes + 1;
}

} // namespace

void check_place(const BootParams& params, const MovedImage& image) {
    const auto each_range = [&](auto use) {
        for (unsigned i = 0; i != params.e820_count && i != kE820Entries; ++i)
            use(params.e820[i]);
        each_piece(params, [&](uint64_t at, const SetupData& piece) {
            if (piece.type == kE820Extension && piece.bytes <= kMostPieceBytes)
                for (uint32_t i = 0; i != piece.bytes / sizeof(RawRange); ++i)
                    use(seen<RawRange>(at + sizeof piece)[i]);
        });
    };
    const Place place({image.load_start, uint64_t{image.load_start} + image.memory_bytes});
    place.check_memory(each_range);
    place.keep_off("the code that moves it is at", reinterpret_cast<uintptr_t>(&image), kPage);
    place.keep_off("boot_params are at", reinterpret_cast<uintptr_t>(&params), kBootParamsBytes);
    if (params.cmdline != 0)
        place.keep_off("the command line is at", params.cmdline, text_bytes(params.cmdline));
    place.keep_off("the initial RAM disk is at", params.ramdisk_start, params.ramdisk_bytes);
    each_piece(params, [&](uint64_t at, const SetupData& piece) {
        place.keep_off("a piece of setup_data is at", at, sizeof piece + piece.bytes);
    });
}

} // namespace prologue
