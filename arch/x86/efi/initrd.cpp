// Sources: UEFI 2.10, sections 13.2, 13.4 and 13.5; Linux Documentation/admin-guide/efi-stub.rst,
// for `initrd=`, and drivers/firmware/efi/libstub/efi-stub-helper.c, for the device path.
#include "initrd.h"

namespace prologue::efi {
namespace {

constexpr char kNoMemory[] = "no memory for the initrd: status, bytes";

struct InitrdPath {
    DevicePath vendor = {kMediaPath, kVendorMedia, {sizeof(DevicePath) + sizeof(Guid), 0}};
    Guid guid = kInitrdMedia;
    DevicePath end = {kPathEnd, kWholePathEnd, {sizeof(DevicePath), 0}};
};
static_assert(sizeof(InitrdPath) == 24);

// By LoadFile2, which is called for the size first. What has grown in between does not fit.
bool load_served(Firmware& firmware, Span& initrd) {
    const InitrdPath whole;
    const DevicePath* path = &whole.vendor;
    Handle device;
    if (firmware.services().locate_device_path(&kLoadFile2Protocol, &path, &device) != kSuccess)
        return false;
    auto* const loads = firmware.protocol<LoadFile2>(device, kLoadFile2Protocol);
    if (loads == nullptr)
        return false;
    uint64_t bytes = 0;
    Status status = loads->load_file(loads, path, 0, &bytes, nullptr);
    const bool told_it = status == kBufferTooSmall || status == kSuccess;
    if (status == kNotFound || (told_it && bytes == 0))
        return false;
    if (!told_it)
        refuse("LoadFile2 does not tell the initrd's size: status, bytes", status, bytes);
    const uint64_t told = bytes;
    initrd.start = firmware.allocate(kNoMemory, bytes);
    status = loads->load_file(loads, path, 0, &bytes, reinterpret_cast<void*>(initrd.start));
    if (status != kSuccess)
        refuse("LoadFile2 does not load the initrd: status, bytes", status, bytes);
    if (bytes > told)
        refuse("LoadFile2 loads more than it told: bytes told, bytes", told, bytes);
    initrd.end = initrd.start + bytes;
    return true;
}

constexpr uint64_t kMostName = 512;

// As Open wants it: ended by a NUL, with the firmware's separators.
struct FileName {
    Char16 text[kMostName + 1];

    explicit FileName(Text16 from) {
        if (from.units > kMostName)
            refuse("initrd= names a file by too many characters: characters, at most", from.units,
                   kMostName);
        for (uint64_t i = 0; i != from.units; ++i)
            text[i] = from.at(i) == '/' ? '\\' : from.at(i);
        text[from.units] = 0;
    }
};

// Open files are the firmware's to close where a boot is refused: it ends with the image.
class InitrdFile {
public:
    InitrdFile(File* root, Text16 path) {
        const FileName name(path);
        Status status = root->open(root, &file_, name.text, kFileRead, 0);
        if (status == kSuccess)
            status = file_->set_position(file_, kFileEnd);
        if (status == kSuccess)
            status = file_->get_position(file_, &bytes_);
        if (status == kSuccess)
            status = file_->set_position(file_, 0);
        if (status != kSuccess)
            refuse("a file that initrd= names cannot be opened: status, characters of its name",
                   status, path.units);
    }

    uint64_t bytes() const { return bytes_; }

    // In pieces: some firmware fails where much is asked for at once.
    void read_to(uint64_t to) {
        for (uint64_t done = 0; done != bytes_;) {
            uint64_t piece = bytes_ - done < kMiB ? bytes_ - done : kMiB;
            const Status status = file_->read(file_, &piece, reinterpret_cast<void*>(to + done));
            if (status != kSuccess || piece == 0 || piece > bytes_ - done)
                refuse("a file that initrd= names cannot be read: status, bytes of it", status,
                       done);
            done += piece;
        }
    }

    void close() { file_->close(file_); }

private:
    File* file_ = nullptr;
    uint64_t bytes_ = 0;
};

// One behind the other, as Linux takes them; so they are opened twice, for their sizes first.
template <class Use>
void each_file(File* root, Text16 options, Use use) {
    for (Text16 path; next_option(options, "initrd=", path);) {
        InitrdFile file(root, path);
        use(file);
        file.close();
    }
}

Span load_named(Firmware& firmware, const LoadedImage& image, Text16 options) {
    auto* const volume = firmware.protocol<FileSystem>(image.device, kFileSystemProtocol);
    File* root = nullptr;
    const Status status = volume != nullptr ? volume->open_volume(volume, &root) : kNotFound;
    if (status != kSuccess)
        refuse("initrd= names a file, and the image is from no volume: status", status, 0);
    uint64_t bytes = 0;
    each_file(root, options, [&](InitrdFile& file) {
        if (__builtin_add_overflow(bytes, file.bytes(), &bytes) || bytes > kMostPhysical)
            refuse(kNoMemory, kOutOfResources, bytes);
    });
    if (bytes == 0)
        return {};
    Span initrd;
    initrd.start = firmware.allocate(kNoMemory, bytes);
    initrd.end = initrd.start;
    each_file(root, options, [&](InitrdFile& file) {
        if (file.bytes() > bytes - initrd.bytes())
            refuse("a file that initrd= names has grown: bytes, place left", file.bytes(),
                   bytes - initrd.bytes());
        file.read_to(initrd.end);
        initrd.end += file.bytes();
    });
    root->close(root);
    return initrd;
}

} // namespace

Span load_initrd(Firmware& firmware, const LoadedImage& image, Text16 options) {
    Span initrd;
    Text16 rest = options, path;
    if (!load_served(firmware, initrd) && next_option(rest, "initrd=", path))
        initrd = load_named(firmware, image, options);
    return initrd;
}

} // namespace prologue::efi
