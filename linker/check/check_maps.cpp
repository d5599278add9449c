// What becomes of the wishes for mappings: what arch/x86/stage64/wished_maps.cpp
// would refuse at boot, as far as that does not depend on the machine.
#include "checks.h"

#include <algorithm>

#include "image.h"
#include "kernel_map.h"
#include "prologue/handoff.h"

namespace check {
namespace {

using prologue::kGiB;
using prologue::kMiB;
using prologue::kMostPhysical;
using prologue::kPage;
using prologue::Span;

constexpr uint64_t kMostIdentity = 512 * kGiB;
constexpr uint64_t kLeastDirectMap = 4 * kGiB;
constexpr uint64_t kDefaultLowIdentity = 4 * kGiB;
constexpr unsigned kEarlyWindowEntry = 1; // in the top-level table
constexpr uint64_t kMostCaching = 5;

constexpr unsigned top_index(uint64_t virt, unsigned levels) {
    return virt >> (3 + 9 * levels) & 511;
}

// Bytes up to the end of the half of the addresses that this one lies in.
constexpr uint64_t room_in_half(uint64_t address, unsigned levels) {
    return (address >> 63 != 0 ? 0 : uint64_t{1} << (11 + 9 * levels)) - address;
}

// From the ELF header, which begins it, to the end of its highest page.
Span image_span(const ElfFile& file, bool physical) {
    Span span = {~uint64_t{0}, 0};
    for (const Segment& segment : file.loads) {
        span.start = std::min(span.start, physical ? segment.phys : segment.virt);
        span.end = std::max(span.end, physical ? segment.phys_end() : segment.virt_end());
    }
    return {prologue::page_down(span.start), prologue::page_up(span.end)};
}

// Where memory is going to be seen.
class Plan {
public:
    Plan(const Kernel& kernel, unsigned levels)
        : wishes_(kernel.wishes),
          levels_(levels),
          image_(image_span(kernel.file, false)),
          ram_(image_span(kernel.file, true)) {
        direct_map_ = levels == 5 ? PROLOGUE_DIRECT_MAP_5_LEVEL : PROLOGUE_DIRECT_MAP_4_LEVEL;
        room_ = prologue::direct_map_room(levels);
        if (wishes_.direct_map) {
            direct_map_ = *wishes_.direct_map;
            room_ = direct_map_ == PROLOGUE_NO_DIRECT_MAP ? 0 : std::min(room_, wished_room());
        }
        if (wishes_.identity_map)
            identity_ = {wishes_.identity_map->second & ~uint64_t{PROLOGUE_WITH_DEVICES},
                         wishes_.identity_map->first};
        else if (wishes_.direct_map || top_index(image_.start, levels) == 0)
            identity_ = {kPage, kDefaultLowIdentity};
        else
            shares_tables_ = true;
    }

    // Where the image cannot be.
    Span direct_map() const {
        return image_in_direct_map() ? Span{} : Span{direct_map_, direct_map_ + room_};
    }

    void check(Findings& findings) const {
        const bool good = check_identity_map(findings) && check_direct_map(findings);
        if (good)
            check_windows(findings);
    }

private:
    // Is the image where the direct map shows it?
    bool image_in_direct_map() const {
        return wishes_.direct_map && *wishes_.direct_map == image_.start - ram_.start;
    }

    bool with_devices() const {
        return wishes_.identity_map && wishes_.identity_map->second & PROLOGUE_WITH_DEVICES;
    }

    // From where the direct map is wished for, up to the image or the half's end.
    uint64_t wished_room() const {
        if (image_in_direct_map())
            return room_in_half(direct_map_, levels_);
        if (!prologue::is_canonical(direct_map_, levels_) ||
            (direct_map_ >= image_.start && direct_map_ < image_.end))
            return 0;
        return std::min(image_.start - direct_map_, room_in_half(direct_map_, levels_));
    }

    bool check_identity_map(Findings& findings) const {
        if (!wishes_.identity_map)
            return true;
        const auto [end, start] = *wishes_.identity_map;
        if (end % kPage == 0 && end <= kMostIdentity &&
            (identity_.start == 0 || identity_.start == kPage))
            return true;
        findings.add(Rule::identity_map_impossible, every_loader(),
                     sentence("wished for is 0x%lx to 0x%lx", start, end));
        return false;
    }

    bool check_direct_map(Findings& findings) const {
        if (!wishes_.direct_map)
            return true;
        if (top_index(image_.start, levels_) == kEarlyWindowEntry ||
            top_index(image_.end - 1, levels_) == kEarlyWindowEntry)
            findings.add(Rule::image_in_early_window, every_loader(),
                         sentence("the image is at 0x%lx to 0x%lx, with %u levels", image_.start,
                                  image_.end, levels_));
        else if (*wishes_.direct_map == PROLOGUE_NO_DIRECT_MAP && identity_.end <= kMiB)
            findings.add(Rule::no_map_at_all, every_loader(),
                         sentence("the identity map ends at 0x%lx", identity_.end));
        else if (*wishes_.direct_map != PROLOGUE_NO_DIRECT_MAP &&
                 (direct_map_ % kPage != 0 || direct_map_ < identity_.end ||
                  room_ < (image_in_direct_map() ? ram_.end : kLeastDirectMap)))
            findings.add(Rule::direct_map_no_room, every_loader(),
                         sentence("at 0x%lx, with %u levels, it has room for 0x%lx bytes; the "
                                  "identity map ends at 0x%lx",
                                  direct_map_, levels_, room_, identity_.end));
        else
            return true;
        return false;
    }

    void check_windows(Findings& findings) const {
        std::vector<Span> taken = {image_};
        if (room_ != 0) // the image, as RAM
            taken.push_back({direct_map_ + ram_.start, direct_map_ + ram_.end});
        const Span in_identity_map = with_devices() ? identity_ : identity_.shared(ram_);
        if (in_identity_map.bytes() != 0)
            taken.push_back(in_identity_map);
        for (const Window& window : wishes_.windows)
            if (check_window(window, taken, findings))
                taken.push_back({window.virt, window.virt + window.bytes});
    }

    bool check_window(const Window& window, const std::vector<Span>& taken,
                      Findings& findings) const {
        const uint64_t last = window.virt + (window.bytes - 1);
        const uint64_t rights = window.rights % 16, caching = window.rights / 16;
        const std::string where = sentence("0x%lx bytes at 0x%lx show 0x%lx, rights 0x%lx",
                                           window.bytes, window.virt, window.phys, window.rights);
        const auto refuse = [&](Rule rule) {
            findings.add(rule, every_loader(), where);
            return false;
        };
        if (window.bytes == 0 || (window.virt | window.phys | window.bytes) % kPage != 0)
            return refuse(Rule::window_unaligned);
        if (last < window.virt || !prologue::is_canonical(window.virt, levels_) ||
            !prologue::is_canonical(last, levels_) || (window.virt ^ last) >> 63 != 0)
            return refuse(Rule::window_not_canonical);
        if (window.phys >= kMostPhysical || window.bytes > kMostPhysical - window.phys)
            return refuse(Rule::window_physical);
        if (caching > kMostCaching || rights > (PROLOGUE_WINDOW_WRITE | PROLOGUE_WINDOW_EXECUTE))
            return refuse(Rule::window_rights);
        if (rights == (PROLOGUE_WINDOW_WRITE | PROLOGUE_WINDOW_EXECUTE) && !wishes_.writable_text)
            return refuse(Rule::window_writable_executable);
        if (top_index(window.virt, levels_) == 0 && shares_tables_)
            return refuse(Rule::window_needs_identity_map);
        const auto in_the_way = std::find_if(taken.begin(), taken.end(), [&](const Span& span) {
            return window.virt <= span.end - 1 && span.start <= last;
        });
        if (in_the_way == taken.end())
            return true;
        findings.add(Rule::window_overlap, every_loader(),
                     where +
                         sentence("; 0x%lx to 0x%lx is taken", in_the_way->start, in_the_way->end));
        return false;
    }

    const Wishes& wishes_;
    unsigned levels_;
    Span image_; // virtual
    Span ram_;   // physical
    uint64_t direct_map_, room_;
    Span identity_ = {0, 0};
    bool shares_tables_ = false; // the identity map, with the direct map's first entry
};

} // namespace

Span planned_direct_map(const Kernel& kernel, unsigned levels) {
    return Plan(kernel, levels).direct_map();
}

void check_maps(const Kernel& kernel, unsigned levels, Findings& findings) {
    Plan(kernel, levels).check(findings);
}

} // namespace check
