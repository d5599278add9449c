// A firmware that lies to the EFI stub. An input is a few choices, and then the bytes of what
// the firmware shows: load options, a device path, a memory map. To refuse by name is as good
// as to enter the kernel with what its own parser takes, or refuses by name.
#include "fuzzing.h"

#include "fake_firmware.h"
#include "loader_info.h"

#include <algorithm>
#include <sys/mman.h>

namespace prologue::test {
namespace {

// Takes the input from its beginning on.
class Bytes {
public:
    Bytes(const uint8_t* data, size_t size) : at_(data), left_(size) {}

    uint64_t number(unsigned bytes) {
        uint64_t value = 0;
        for (; bytes != 0 && left_ != 0; --bytes, --left_)
            value = value << 8 | *at_++;
        return value;
    }
    std::string text(size_t most) {
        const size_t bytes = std::min(most, left_);
        std::string taken(reinterpret_cast<const char*>(at_), bytes);
        at_ += bytes;
        left_ -= bytes;
        return taken;
    }

private:
    const uint8_t* at_;
    size_t left_;
};

FakeScreen screen_of(Bytes& bytes) {
    FakeScreen screen;
    screen.info.format = static_cast<uint32_t>(bytes.number(1));
    screen.info.width = static_cast<uint32_t>(bytes.number(4));
    screen.info.pixels_per_line = static_cast<uint32_t>(bytes.number(4));
    for (uint32_t& mask : screen.info.masks)
        mask = static_cast<uint32_t>(bytes.number(4));
    screen.framebuffer = bytes.number(8);
    const uint64_t choice = bytes.number(1);
    screen.has_mode = choice % 8 != 0;
    screen.sets = (choice & 8) != 0;
    if ((choice & 16) != 0) {
        screen.modes = {screen.info, screen.info};
        screen.modes[0].format = static_cast<uint32_t>(bytes.number(1));
        screen.modes[1].height = static_cast<uint32_t>(bytes.number(2));
        screen.mode_count = static_cast<uint32_t>(bytes.number(4));
    }
    return screen;
}

// The kernel looks into the blob, so that one is somewhere; of what is in it the input decides.
uint64_t blob_of(Bytes& bytes) {
    static auto* const room = static_cast<char*>(mmap(
        nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
    const std::string contents = bytes.text(bytes.number(1));
    std::memset(room, 0, 8192);
    std::memcpy(room, contents.data(), contents.size());
    return reinterpret_cast<uintptr_t>(room) + bytes.number(1) % 4096;
}

void choose(FakeFirmware& firmware, Bytes& bytes) {
    const uint64_t flags = bytes.number(2);
    firmware.shell = (flags & 1) != 0;
    firmware.low_memory = (flags & 2) == 0;
    firmware.stale_keys = flags >> 2 & 3;
    if ((flags & 0x10) != 0)
        firmware.in_use = Span{kKernelAt, kKernelAt + 1};
    if ((flags & 0x20) != 0)
        firmware.header().flags = static_cast<uint32_t>(bytes.number(1)) & STUB_FRAMEBUFFER;
    firmware.header().framebuffer.height = static_cast<uint32_t>(bytes.number(1));
    firmware.header().framebuffer.width = 800;
    if ((flags & 0x40) != 0) {
        firmware.served = std::string(bytes.number(2), 's');
        firmware.served_tells = bytes.number(1);
        firmware.served_grows = bytes.number(1);
    }
    if ((flags & 0x80) != 0) {
        firmware.files = {{u"\\a", std::string(bytes.number(2), 'a')}, {u"\\b", "b"}};
        firmware.files_read_short = bytes.number(1) % 2;
    }
    if ((flags & 0x100) != 0)
        firmware.console = screen_of(bytes);
    if ((flags & 0x200) != 0)
        firmware.screens = {screen_of(bytes), screen_of(bytes)};
    if ((flags & 0x400) != 0)
        firmware.tables = {{efi::kAcpi2Table, bytes.number(8)},
                           {efi::kSmbios3Table, bytes.number(8)},
                           {efi::kConfidentialComputingBlob, blob_of(bytes)}};
    firmware.memory_left = (flags & 0x800) != 0 ? bytes.number(3) : firmware.memory_left;
    firmware.stride = (flags & 0x1000) != 0 ? bytes.number(1) : 48;
    firmware.map_grows = (flags & 0x2000) != 0 ? bytes.number(2) : 0;
    firmware.options = bytes.text(bytes.number(2) % 1024);
    // A path that ends: the firmware's own is believed to.
    if ((flags & 0x4000) != 0)
        firmware.file_path = bytes.text(bytes.number(1)) + std::string(4096, '\x7f');
    firmware.map = bytes.text(8192);
}

void try_firmware(const uint8_t* data, size_t size) {
    FakeFirmware firmware;
    Bytes bytes(data, size);
    choose(firmware, bytes);
    try {
        const Entered entered = firmware.start();
        PhysMemory memory{0, uint64_t{1} << 47};
        LoaderInfo loader;
        prologue_parse_linux(memory, entered.boot_params, loader);
        must(loader.loader == PROLOGUE_LOADER_EFI, "the kernel knows its loader");
        must(loader.memory.most_entries() <= 128, "boot_params have room for no more");
    } catch (const Failure& failure) {
        must(!firmware.ended || failure.error != Error::efi, "nothing is refused after the end");
    }
}

std::vector<Input> seeds() {
    std::vector<Input> all;
    for (unsigned flags = 0; flags < 0x8000; flags += 0x333) {
        Input input = {static_cast<uint8_t>(flags >> 8), static_cast<uint8_t>(flags)};
        for (const char c : std::string(40, '\0') + utf16(u"k.efi initrd=\\a \u20ac"))
            input.push_back(static_cast<uint8_t>(c));
        input.resize(256, 7);
        all.push_back(input);
    }
    return all;
}

} // namespace
} // namespace prologue::test

BEGINS_WITH(prologue::test::seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    prologue::test::try_firmware(data, size);
    return 0;
}
