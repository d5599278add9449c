#include "fake_firmware.h"

#include <cstring>
#include <stdexcept>
#include <sys/mman.h>

namespace prologue::test {
namespace {

using namespace efi;

FakeFirmware* running;
alignas(16) uint8_t kernel_bytes[kKernelFileBytes];

Handle handle(uintptr_t number) {
    return reinterpret_cast<Handle>(number);
}
const Handle kImage = handle(0x10), kDevice = handle(0x20), kConsole = handle(0x30),
             kServer = handle(0x40);
constexpr uintptr_t kFirstScreen = 0x1000;

struct FakeFile : File {
    std::string contents;
    uint64_t at = 0;
    bool is_open = true;
};
FakeFile root_file;
std::vector<std::unique_ptr<FakeFile>> open_files;

} // namespace

// The stub's, which its maker would have filled in.
StubHeader fake_efi_header;
asm(".globl prologue_efi_header\n.set prologue_efi_header, _ZN8prologue4test15fake_efi_headerE\n"
    ".globl prologue_efi_end\n.set prologue_efi_end, _ZN8prologue4test15fake_efi_headerE\n");

struct FakeFirmware::Services {
    static void* map_at(uint64_t start, uint64_t bytes, int flags) {
        void* const at = mmap(reinterpret_cast<void*>(start), bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
        return at == MAP_FAILED ? nullptr : at;
    }

    static EFIAPI Status allocate_pages(uint32_t how, uint32_t, uint64_t pages, uint64_t* start) {
        running->must_run("AllocatePages");
        if (pages == 0 || pages > running->memory_left / kPage ||
            (how == kMaxAddress && !running->low_memory))
            return kOutOfResources;
        const bool low = how == kMaxAddress && *start < 4 * kGiB;
        if (low && pages > running->most_low_pages)
            return kOutOfResources;
        const uint64_t bytes = pages * kPage;
        if (how == kAtAddress && running->in_use &&
            running->in_use->overlaps({*start, *start + bytes}))
            return kNotFound;
        void* const at = how == kAtAddress ? map_at(*start, bytes, MAP_FIXED_NOREPLACE)
                                           : map_at(0, bytes, MAP_32BIT);
        if (at == nullptr)
            return kNotFound;
        std::memset(at, 0xa5, bytes); // firmware clears nothing
        running->memory_left -= bytes;
        if (how == kMaxAddress && !low)
            running->taken_high = reinterpret_cast<uint64_t>(at);
        *start = reinterpret_cast<uint64_t>(at);
        running->taken[*start] = pages;
        return kSuccess;
    }

    static EFIAPI Status free_pages(uint64_t start, uint64_t pages) {
        running->must_run("FreePages");
        if (running->taken[start] != pages)
            throw std::logic_error("what is given back was not taken");
        running->taken.erase(start);
        munmap(reinterpret_cast<void*>(start), pages * kPage);
        return kSuccess;
    }

    static EFIAPI Status get_memory_map(uint64_t* bytes, void* map, uint64_t* key, uint64_t* stride,
                                        uint32_t* version) {
        if (running->ended)
            throw std::logic_error("GetMemoryMap after ExitBootServices");
        const bool told = map == nullptr;
        const std::string all = told ? running->map : running->later_map.value_or(running->map);
        *stride = told ? running->stride : running->later_stride.value_or(running->stride);
        *version = 1;
        const uint64_t room = *bytes;
        *bytes = all.size() + (told ? 0 : running->map_grows);
        if (*bytes > room || told)
            return kBufferTooSmall;
        std::memcpy(map, all.data(), all.size());
        *key = ++running->maps_read;
        return kSuccess;
    }

    static EFIAPI Status free_pool(void* start) {
        running->must_run("FreePool");
        if (running->pool.erase(start) == 0)
            throw std::logic_error("what is freed was not lent");
        if (start != running->handles_.data())
            delete static_cast<GraphicsInfo*>(start);
        return kSuccess;
    }

    static FakeScreen& screen_of(GraphicsOutput* output) {
        return running->shown_.at(output - running->outputs_.data());
    }

    static EFIAPI Status query_mode(GraphicsOutput* output, uint32_t number, uint64_t* bytes,
                                    const GraphicsInfo** info) {
        running->must_run("QueryMode");
        const FakeScreen& screen = screen_of(output);
        if (number > screen.modes.size())
            return kInvalidParameter;
        *bytes = sizeof **info;
        *info = new GraphicsInfo(number == 0 ? screen.info : screen.modes[number - 1]);
        running->pool.insert(*info);
        return kSuccess;
    }

    static EFIAPI Status set_mode(GraphicsOutput* output, uint32_t number) {
        running->must_run("SetMode");
        FakeScreen& screen = screen_of(output);
        if (!screen.sets || number > screen.modes.size())
            return kInvalidParameter;
        running->modes_set.push_back(number);
        GraphicsMode& mode = running->modes_[output - running->outputs_.data()];
        mode.mode = number;
        mode.info = number == 0 ? &screen.info : &screen.modes[number - 1];
        return kSuccess;
    }

    static EFIAPI Status handle_protocol(Handle handle, const Guid* guid, void** interface) {
        running->must_run("HandleProtocol");
        *interface = running->interface_of(handle, *guid);
        return *interface != nullptr ? kSuccess : kNotFound;
    }

    static EFIAPI Status locate_device_path(const Guid* guid, const DevicePath** path,
                                            Handle* device) {
        running->must_run("LocateDevicePath");
        if (!running->served || !(*guid == kLoadFile2Protocol))
            return kNotFound;
        const auto* const bytes = reinterpret_cast<const uint8_t*>(*path);
        if (bytes[0] != 4 || bytes[1] != 3 || bytes[2] != 20 || bytes[3] != 0 ||
            std::memcmp(bytes + 4, &kInitrdMedia, 16) != 0 || bytes[20] != 0x7f)
            throw std::logic_error("that is not the initrd's path");
        *path = reinterpret_cast<const DevicePath*>(bytes + 20);
        *device = kServer;
        return kSuccess;
    }

    static EFIAPI Status load_file(LoadFile2*, const DevicePath*, uint8_t policy, uint64_t* bytes,
                                   void* buffer) {
        running->must_run("LoadFile");
        if (policy != 0)
            throw std::logic_error("LoadFile2 has no boot policy");
        const uint64_t room = *bytes;
        if (running->served_fails && buffer == nullptr)
            return *running->served_fails;
        const uint64_t size = running->served->size();
        *bytes = size + (buffer != nullptr ? running->served_grows : running->served_tells);
        if (buffer == nullptr || *bytes > room)
            return kBufferTooSmall;
        std::memcpy(buffer, running->served->data(), size);
        return kSuccess;
    }

    static EFIAPI Status exit_boot_services(Handle image, uint64_t key) {
        if (image != kImage || running->ended)
            throw std::logic_error("ExitBootServices by a stranger, or again");
        running->ending = true;
        if (key != running->maps_read)
            throw std::logic_error("ExitBootServices with an older key");
        if (running->stale_keys != 0) {
            --running->stale_keys;
            return kInvalidParameter;
        }
        running->ended = true;
        return kSuccess;
    }

    static EFIAPI Status set_watchdog_timer(uint64_t seconds, uint64_t, uint64_t, const Char16*) {
        running->must_run("SetWatchdogTimer");
        running->watchdog_off = seconds == 0;
        return kSuccess;
    }

    static EFIAPI Status locate_handle_buffer(uint32_t how, const Guid* guid, const void*,
                                              uint64_t* count, Handle** handles) {
        running->must_run("LocateHandleBuffer");
        if (how != kSearchByProtocol || !(*guid == kGraphicsOutputProtocol))
            throw std::logic_error("only outputs are looked for");
        if (running->handles_.empty())
            return kNotFound;
        *count = running->handles_.size();
        *handles = running->handles_.data();
        running->pool.insert(*handles);
        return kSuccess;
    }

    static EFIAPI Status locate_protocol(const Guid* guid, void*, void** interface) {
        static RandomGenerator generator = {0, get_random};
        running->must_run("LocateProtocol");
        if (!(*guid == kRandomProtocol))
            throw std::logic_error("only a generator is looked for");
        if (!running->random)
            return kNotFound;
        *interface = &generator;
        return kSuccess;
    }

    static EFIAPI Status get_random(RandomGenerator*, const Guid* algorithm, uint64_t bytes,
                                    uint8_t* to) {
        running->must_run("GetRNG");
        const std::string& random = *running->random;
        const uint64_t given = std::min<uint64_t>(bytes, random.size());
        std::memcpy(to, random.data(), given);
        return algorithm == nullptr && given == bytes ? kSuccess : kError | 7; // a device's error
    }

    static EFIAPI Status open_volume(FileSystem*, File** root) {
        running->must_run("OpenVolume");
        *root = &root_file;
        return kSuccess;
    }

    static EFIAPI Status open(File*, File** file, const Char16* name, uint64_t mode, uint64_t) {
        running->must_run("Open");
        const auto found = running->files.find(name);
        if (found == running->files.end() || mode != kFileRead)
            return kNotFound;
        auto opened = std::make_unique<FakeFile>(root_file);
        opened->contents = found->second;
        found->second.append(running->files_grow, '+');
        *file = opened.get();
        open_files.push_back(std::move(opened));
        return kSuccess;
    }

    static EFIAPI Status close(File* file) {
        running->must_run("Close");
        auto& closed = *static_cast<FakeFile*>(file);
        if (!closed.is_open)
            throw std::logic_error("a file is closed twice");
        closed.is_open = &closed == &root_file;
        return kSuccess;
    }

    static EFIAPI Status read(File* file, uint64_t* bytes, void* buffer) {
        running->must_run("Read");
        auto& from = *static_cast<FakeFile*>(file);
        const uint64_t end = from.contents.size() - running->files_read_short;
        *bytes = std::min(*bytes, from.at < end ? end - from.at : 0);
        std::memcpy(buffer, from.contents.data() + from.at, *bytes);
        from.at += *bytes;
        return kSuccess;
    }

    static EFIAPI Status get_position(File* file, uint64_t* position) {
        *position = static_cast<FakeFile*>(file)->at;
        return kSuccess;
    }

    static EFIAPI Status set_position(File* file, uint64_t position) {
        auto& moved = *static_cast<FakeFile*>(file);
        moved.at = position == kFileEnd ? moved.contents.size() : position;
        return kSuccess;
    }
};

namespace {

FileSystem file_system;
LoadFile2 initrd_server;

} // namespace

FakeFirmware::FakeFirmware() {
    running = this;
    open_files.clear();
    services_.allocate_pages = Services::allocate_pages;
    services_.free_pages = Services::free_pages;
    services_.get_memory_map = Services::get_memory_map;
    services_.free_pool = Services::free_pool;
    services_.handle_protocol = Services::handle_protocol;
    services_.locate_device_path = Services::locate_device_path;
    services_.exit_boot_services = Services::exit_boot_services;
    services_.set_watchdog_timer = Services::set_watchdog_timer;
    services_.locate_handle_buffer = Services::locate_handle_buffer;
    services_.locate_protocol = Services::locate_protocol;
    file_system.open_volume = Services::open_volume;
    initrd_server.load_file = Services::load_file;
    static_cast<File&>(root_file) = {.open = Services::open,
                                     .close = Services::close,
                                     .read = Services::read,
                                     .get_position = Services::get_position,
                                     .set_position = Services::set_position};
    for (uint64_t i = 0; i != kKernelFileBytes; ++i)
        kernel_bytes[i] = static_cast<uint8_t>(i * 7 + 3);
    header() = {.magic = STUB_MAGIC,
                .data_end = 0x2000,
                .kernel_bytes = kKernelFileBytes,
                .load_start = kKernelAt,
                .memory_bytes = kKernelMemory,
                .kernel_entry = 0x200,
                .flags = STUB_RELOCATABLE};
    header().kernel = static_cast<int32_t>(kernel_bytes - reinterpret_cast<uint8_t*>(&header()));
}

FakeFirmware::~FakeFirmware() {
    for (const auto& [start, pages] : taken)
        munmap(reinterpret_cast<void*>(start), pages * kPage);
    running = nullptr;
}

StubHeader& FakeFirmware::header() {
    return fake_efi_header;
}

void FakeFirmware::must_run(const char* what) const {
    if (ending)
        throw std::logic_error(std::string(what) + " once the boot services have begun to end");
}

void* FakeFirmware::interface_of(Handle of, const Guid& guid) {
    if (of == kImage && guid == kLoadedImageProtocol)
        return loaded_image ? &image_ : nullptr;
    if (of == kImage && guid == kShellParametersProtocol)
        return shell ? this : nullptr;
    if (of == kDevice && guid == kFileSystemProtocol)
        return files.empty() ? nullptr : &file_system;
    if (of == kServer && guid == kLoadFile2Protocol)
        return &initrd_server;
    if (guid == kGraphicsOutputProtocol && of == kConsole && console)
        return &outputs_.back();
    for (size_t i = 0; i != handles_.size(); ++i)
        if (guid == kGraphicsOutputProtocol && of == handles_[i])
            return &outputs_[i];
    return nullptr;
}

void FakeFirmware::describe(uint32_t type, uint64_t start, uint64_t pages, uint64_t attributes) {
    std::string bytes(stride, '\0');
    const Descriptor descriptor = {type, 0, start, 0, pages, attributes};
    std::memcpy(bytes.data(), &descriptor, sizeof descriptor);
    map += bytes;
}

Entered FakeFirmware::start() {
    shown_ = screens;
    if (console)
        shown_.push_back(*console);
    modes_.resize(shown_.size());
    outputs_.resize(shown_.size());
    for (size_t i = 0; i != shown_.size(); ++i) {
        const FakeScreen& screen = shown_[i];
        const auto modes = static_cast<uint32_t>(screen.modes.size() + 1);
        modes_[i] = {.modes = screen.mode_count.value_or(modes),
                     .info = &screen.info,
                     .framebuffer = screen.framebuffer,
                     .framebuffer_bytes = screen.framebuffer_bytes};
        outputs_[i] = {.query_mode = Services::query_mode,
                       .set_mode = Services::set_mode,
                       .mode = screen.has_mode ? &modes_[i] : nullptr};
        if (i < screens.size())
            handles_.push_back(handle(kFirstScreen + 16 * i));
    }
    // Of exactly their sizes, so that a read beyond them is seen.
    exact_options_.assign(options.begin(), options.end());
    exact_tables_.resize(tables.size() * sizeof(ConfigurationTable));
    if (!tables.empty())
        std::memcpy(exact_tables_.data(), tables.data(), exact_tables_.size());
    image_.device = kDevice;
    image_.file_path = file_path.empty() ? nullptr
                                         : reinterpret_cast<const DevicePath*>(file_path.data());
    image_.load_options = options.empty() ? nullptr : exact_options_.data();
    image_.load_options_bytes = options_bytes.value_or(
        static_cast<uint32_t>(exact_options_.size()));
    system_.console_out_handle = kConsole;
    system_.boot_services = &services_;
    system_.table_count = table_count.value_or(tables.size());
    system_.tables = reinterpret_cast<const ConfigurationTable*>(exact_tables_.data());
    try {
        prologue_efi_main(kImage, &system_);
    } catch (const Entered& entered) {
        return entered;
    }
    throw std::logic_error("the stub has returned");
}

std::string utf16(std::u16string_view text, bool ended) {
    std::u16string all(text);
    if (ended)
        all += u'\0';
    return {reinterpret_cast<const char*>(all.data()), 2 * all.size()};
}

std::string path_of_file(std::u16string_view name) {
    const std::string text = utf16(name);
    const auto bytes = static_cast<uint16_t>(4 + text.size());
    std::string path = {4, 4, static_cast<char>(bytes & 0xff), static_cast<char>(bytes >> 8)};
    return path + text + std::string("\x7f\xff\x04\0", 4);
}

} // namespace prologue::test

namespace prologue::efi {

void take_over_faults(Firmware&) {}

void forget_firmware() {
    test::running->forgotten = true;
}

void give_faults_back() {}

void prologue_efi_enter_running(uint64_t entry, uint64_t boot_params) {
    if (test::running->ending || !test::running->watchdog_off)
        throw std::logic_error("the boot services do not run as they should");
    throw test::Entered{0, entry, boot_params};
}

CpuState cpu_state() {
    return test::running->cpu;
}

void prologue_efi_enter(uint64_t cr3, uint64_t entry, uint64_t boot_params) {
    if (!test::running->ended)
        throw std::logic_error("the boot services run still");
    throw test::Entered{cr3, entry, boot_params};
}

} // namespace prologue::efi
