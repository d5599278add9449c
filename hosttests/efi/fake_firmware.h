// A UEFI that says what a test wants it to, for the EFI stub as it stands: its tables are
// real ones, and its memory is the test's own, below 4 GiB. What the stub must not do (call
// anything that has ended, give back what it has not taken) is an error of the test.
#pragma once

#include "loader_info.h"
#include "machine.h"
#include "seams.h"
#include "stub_header.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace prologue::test {

inline constexpr uint64_t kKernelAt = 0x40000000, kKernelMemory = 0x6000;
inline constexpr uint64_t kKernelFileBytes = 0x2345;

struct FakeScreen {
    efi::GraphicsInfo info = {
        .width = 800, .height = 600, .format = efi::kBgrx, .pixels_per_line = 832};
    uint64_t framebuffer = 0xc0000000, framebuffer_bytes = 0;
    bool has_mode = true;
    std::vector<efi::GraphicsInfo> modes = {}; // others that it can show
    bool sets = true;
    std::optional<uint32_t> mode_count = {}; // if it says another
};

// What the stub enters the kernel with.
struct Entered {
    uint64_t cr3, entry, boot_params;
};

class FakeFirmware {
public:
    FakeFirmware();
    ~FakeFirmware();
    FakeFirmware(const FakeFirmware&) = delete;

    // What it says.
    std::string options;                   // load options, bytes
    std::optional<uint32_t> options_bytes; // of them, if not all
    std::string file_path;                 // a device path, or nothing
    bool shell = false;
    bool loaded_image = true;
    std::optional<std::string> served; // by LoadFile2
    uint64_t served_grows = 0, served_tells = 0;
    std::optional<efi::Status> served_fails; // with that, where it is asked for the size
    std::map<std::u16string, std::string> files;
    uint64_t files_read_short = 0; // reads end so much early
    uint64_t files_grow = 0;       // once opened
    std::vector<efi::ConfigurationTable> tables;
    std::optional<uint64_t> table_count;
    std::optional<std::string> random; // what its generator gives; it fails where that is short
    std::optional<FakeScreen> console;
    std::vector<FakeScreen> screens;
    std::string map;                      // descriptors, as bytes
    std::optional<std::string> later_map; // what it is when it is read, and its descriptors' size
    uint64_t stride = 48, map_grows = 0;
    std::optional<uint64_t> later_stride;
    unsigned stale_keys = 0;
    uint64_t memory_left = uint64_t{1} << 28;
    bool low_memory = true;
    uint64_t most_low_pages = ~uint64_t{0}; // that can be had at once below 4 GiB
    std::optional<Span> in_use;             // an address in it cannot be had
    efi::StubHeader& header();
    efi::CpuState cpu = {.levels = 4, .has_1g_pages = true, .c_bit_mask = 0, .stack = 0x50000000};

    // Adds a descriptor to the map.
    void describe(uint32_t type, uint64_t start, uint64_t pages, uint64_t attributes = 0xf);

    Entered start(); // or throws what the stub has refused

    // What has become of it.
    bool ended = false, ending = false;
    unsigned maps_read = 0;
    std::map<uint64_t, uint64_t> taken; // address, pages
    uint64_t taken_high = 0;            // what might lie above 4 GiB: ASan leaves no memory there
    bool forgotten = false, watchdog_off = false;
    std::vector<uint32_t> modes_set;
    std::set<const void*> pool; // what has been lent from it

    struct Services;

private:
    friend struct Services;
    void* interface_of(efi::Handle handle, const efi::Guid& guid);
    void must_run(const char* what) const;

    efi::BootServices services_ = {};
    efi::SystemTable system_ = {};
    efi::LoadedImage image_ = {};
    std::vector<FakeScreen> shown_;
    std::vector<efi::GraphicsMode> modes_;
    std::vector<efi::GraphicsOutput> outputs_;
    std::vector<efi::Handle> handles_;
    std::vector<uint8_t> exact_options_, exact_tables_;
};

// "text" as UTF-16's bytes, and a NUL if it is to end in one.
std::string utf16(std::u16string_view text, bool ended = true);
// A device path of one file's name.
std::string path_of_file(std::u16string_view name);

} // namespace prologue::test
