// Source: UEFI 2.10, section 12.9.
#include "screen.h"

#include "bytes.h"

namespace prologue::efi {
namespace {

constexpr uint32_t kMostModes = 1024;
constexpr uint32_t kMostSide = 0xffff; // screen_info has 16 bits, as it has for the pitch

// Bits, then shift, of what a mask selects.
void put_colour(uint8_t* to, uint32_t mask) {
    if (mask == 0)
        return;
    for (; (mask & 1) == 0; mask >>= 1)
        ++to[1];
    for (; (mask & 1) != 0; mask >>= 1)
        ++to[0];
}

// In the order of screen_info: red, green, blue, none.
bool put_colours(const GraphicsInfo& info, ScreenInfo& screen) {
    constexpr uint32_t kFirst = 0xff, kThird = 0xff0000;
    uint32_t red = info.masks[0], green = info.masks[1], blue = info.masks[2], none = info.masks[3];
    if (info.format == kRgbx || info.format == kBgrx) {
        red = info.format == kRgbx ? kFirst : kThird;
        blue = info.format == kRgbx ? kThird : kFirst;
        green = 0xff00;
        none = 0xff000000;
    } else if (info.format != kBitMask) {
        return false;
    }
    const uint32_t all = red | green | blue | none;
    if ((red | green | blue) == 0)
        return false;
    screen.depth = static_cast<uint16_t>(32 - __builtin_clz(all));
    const uint32_t masks[] = {red, green, blue, none};
    for (unsigned i = 0; i != 4; ++i)
        put_colour(screen.colours + 2 * i, masks[i]);
    return true;
}

// How well a mode is what is wished for: not at all, its size, or its depth too.
unsigned likeness(const GraphicsInfo& info, const StubHeader& header) {
    const auto& wish = header.framebuffer;
    ScreenInfo screen = {};
    if (info.width != wish.width || info.height != wish.height || !put_colours(info, screen))
        return 0;
    return wish.bits == 0 || screen.depth == wish.bits ? 2 : 1;
}

// Sets the mode that is wished for, unless what is shown is no less like it.
void set_mode(const Firmware& firmware, const StubHeader& header, GraphicsOutput& output) {
    const GraphicsMode& mode = *output.mode;
    unsigned most = likeness(*mode.info, header);
    uint32_t best = mode.mode;
    for (uint32_t i = 0; i != mode.modes && i != kMostModes; ++i) {
        uint64_t bytes = 0;
        const GraphicsInfo* info = nullptr;
        if (output.query_mode(&output, i, &bytes, &info) != kSuccess || info == nullptr)
            continue;
        if (bytes >= sizeof *info && likeness(*info, header) > most) {
            most = likeness(*info, header);
            best = i;
        }
        firmware.services().free_pool(const_cast<GraphicsInfo*>(info));
    }
    if (best != mode.mode)
        output.set_mode(&output, best);
}

bool has_mode(const GraphicsOutput* output) {
    return output != nullptr && output->mode != nullptr && output->mode->info != nullptr;
}

bool put_screen(const GraphicsOutput* output, ScreenInfo& screen) {
    if (!has_mode(output))
        return false;
    const GraphicsMode& mode = *output->mode;
    const GraphicsInfo& info = *mode.info;
    ScreenInfo found = {};
    if (mode.framebuffer == 0 || !put_colours(info, found))
        return false;
    const uint64_t pitch = uint64_t{info.pixels_per_line} * ((found.depth + 7) / 8);
    if (info.width == 0 || info.width > info.pixels_per_line || info.height == 0 ||
        info.height > kMostSide || pitch > kMostSide)
        return false;
    // What has no last line is none. Some firmware does not tell the size.
    const uint64_t bytes = mode.framebuffer_bytes;
    if (bytes != 0 && bytes < pitch * info.height)
        return false;
    found.kind = kEfiFramebuffer;
    found.width = static_cast<uint16_t>(info.width);
    found.height = static_cast<uint16_t>(info.height);
    found.pitch = static_cast<uint16_t>(pitch);
    found.base = static_cast<uint32_t>(mode.framebuffer);
    found.base_high = static_cast<uint32_t>(mode.framebuffer >> 32);
    found.size = static_cast<uint32_t>(mode.framebuffer_bytes);
    found.capabilities = found.base_high != 0 ? kBaseIs64Bits : 0;
    copy_bytes(&screen, &found, sizeof found);
    return true;
}

} // namespace

// There may be several, one for what the console is shown on besides: that on the console's
// own handle comes first.
void find_screen(const Firmware& firmware, const StubHeader& header, ScreenInfo& screen) {
    const auto shows = [&](Handle handle) {
        auto* const output = firmware.protocol<GraphicsOutput>(handle, kGraphicsOutputProtocol);
        if (header.wishes_for_mode() && has_mode(output))
            set_mode(firmware, header, *output);
        return put_screen(output, screen);
    };
    if (const Handle console = firmware.system().console_out_handle;
        console != nullptr && shows(console))
        return;
    uint64_t count = 0;
    Handle* handles = nullptr;
    const BootServices& services = firmware.services();
    if (services.locate_handle_buffer(kSearchByProtocol, &kGraphicsOutputProtocol, nullptr, &count,
                                      &handles) != kSuccess)
        return;
    for (uint64_t i = 0; i != count; ++i)
        if (shows(handles[i]))
            break;
    services.free_pool(handles);
}

} // namespace prologue::efi
