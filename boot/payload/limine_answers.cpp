#include "limine.h"
#include "limine_requests.h"

namespace prologue {
namespace {

struct MapEntry {
    uint64_t start, bytes, type;
};

struct File {
    uint64_t revision, address, bytes, path, string;
    uint32_t medium, unused, tftp_ip, tftp_port, partition, mbr_disk;
    uint8_t uuids[48];
};
static_assert(sizeof(File) == 112);

struct Screen {
    uint64_t address, width, height, pitch;
    uint16_t bits;
    uint8_t model, colours[6]; // bits and shift of red, green, blue
    uint8_t unused[7];
    uint64_t edid_bytes, edid;
};
static_assert(sizeof(Screen) == 64);
constexpr uint8_t kDirectColour = 1;

constexpr uint64_t kFramebufferType = 7;

uint64_t type_of(uint32_t type) {
    switch (type) {
    case PROLOGUE_MEMORY_USABLE:
        return 0;
    case PROLOGUE_MEMORY_ACPI:
        return 2;
    case PROLOGUE_MEMORY_NVS:
        return 3;
    case PROLOGUE_MEMORY_BAD:
        return 4;
    case PROLOGUE_MEMORY_LOADER:
    case PROLOGUE_MEMORY_PROLOGUE:
        return 5; // the bootloader's, to be reclaimed
    case PROLOGUE_MEMORY_MODULE:
    case PROLOGUE_MEMORY_KERNEL:
        return 6;
    }
    return 1;
}

// Writes answers one behind the other.
class Answers {
public:
    Answers(const LimineFacts& facts, uint8_t* room) : facts_(facts), room_(room) {}

    uint64_t answer(Feature feature) {
        const prologue_handoff& handoff = facts_.handoff;
        switch (feature) {
        case kBootloader: {
            constexpr char kName[] = "Prologue", kVersion[] = "1";
            const uint64_t name = text(kName, sizeof kName),
                           version = text(kVersion, sizeof kVersion);
            return words({0, name, version});
        }
        case kCmdline:
            return words({0, moved(handoff.cmdline)});
        case kStack:
            return words({0});
        case kHhdm:
            return words({0, handoff.direct_map});
        case kFramebuffer:
            return framebuffer();
        case kPaging:
            return words({0, uint64_t{handoff.paging_levels == 5}});
        case kMap:
            return map();
        case kModules:
            return modules();
        case kRsdp: // of this base revision physical
            return handoff.rsdp_phys != 0 ? words({0, handoff.rsdp_phys}) : 0;
        case kAddress:
            return words({0, facts_.image_phys, facts_.image_virt});
        case kProcessors:
            return processors();
        case kEntry:
            return words({0});
        case kFile:
            return words({0, file(facts_.file.start, facts_.file.bytes(), handoff.cmdline)});
        case kFirmware: // 32 bits are 1, 64 are 2
            return words({0, handoff.efi.system_table_phys == 0 ? 0u : handoff.efi.bits / 32u});
        case kSmbios: // of this base revision physical
            return handoff.smbios_phys == 0 ? 0
                   : facts_.smbios_is_3     ? words({0, 0, handoff.smbios_phys})
                                            : words({0, handoff.smbios_phys, 0});
        case kEfiTable: // this too
            return handoff.efi.system_table_phys != 0 ? words({0, handoff.efi.system_table_phys})
                                                      : 0;
        case kEfiMap:
            return handoff.efi.memory_map
                       ? words({0, moved(handoff.efi.memory_map), handoff.efi.memory_map_bytes,
                                handoff.efi.descriptor_bytes, handoff.efi.descriptor_version})
                       : 0;
        case kTime:
            return facts_.time != 0 ? words({0, static_cast<uint64_t>(facts_.time)}) : 0;
        case kFeatures:
            break;
        }
        return 0;
    }

private:
    uint64_t moved(const void* pointer) const {
        return reinterpret_cast<uint64_t>(pointer) - facts_.window + facts_.handoff.direct_map;
    }

    template <class T>
    T* take(uint64_t count) {
        T* const taken = reinterpret_cast<T*>(room_);
        room_ += (count * sizeof(T) + 7) & ~uint64_t{7};
        return taken;
    }
    template <uint64_t N>
    uint64_t words(const uint64_t (&values)[N]) {
        auto* const to = take<uint64_t>(N);
        __builtin_memcpy(to, values, sizeof values);
        return moved(to);
    }
    uint64_t text(const char* from, uint64_t bytes) {
        char* const to = take<char>(bytes);
        __builtin_memcpy(to, from, bytes);
        return moved(to);
    }
    // How many there are, and a list of pointers to them.
    template <class T>
    uint64_t list(const T* things, uint64_t count) {
        auto* const pointers = take<uint64_t>(count);
        for (uint64_t i = 0; i != count; ++i)
            pointers[i] = moved(things + i);
        return words({0, count, moved(pointers)});
    }

    // All but those that did not come.
    uint64_t processors() {
        const LimineProcessors& from = facts_.processors;
        if (from.count == 0)
            return 0;
        auto* const pointers = take<uint64_t>(from.count);
        uint64_t count = 0;
        for (uint32_t i = 0; i != from.count; ++i)
            if (from.list[i].reserved == 0)
                pointers[count++] = moved(from.list + i);
        const uint64_t flags_and_own = from.x2apic | uint64_t{from.list->apic_id} << 32;
        return words({0, flags_and_own, count, moved(pointers)});
    }

    uint64_t file(uint64_t phys, uint64_t bytes, const char* string) {
        const uint64_t no_path = text("", 1);
        File* const file = take<File>(1);
        file->address = facts_.handoff.direct_map + phys;
        file->bytes = bytes;
        file->path = no_path;
        file->string = moved(string);
        return moved(file);
    }

    bool has_screen() const {
        return facts_.handoff.framebuffer.phys != 0 &&
               facts_.handoff.framebuffer.kind == kDirectColour;
    }

    uint64_t framebuffer() {
        if (!has_screen())
            return 0;
        const prologue_framebuffer& from = facts_.handoff.framebuffer;
        auto* const screen = take<Screen>(1);
        *screen = {facts_.handoff.direct_map + from.phys,
                   from.width,
                   from.height,
                   from.pitch,
                   from.bits_per_pixel,
                   kDirectColour,
                   {from.red_bits, from.red_shift, from.green_bits, from.green_shift,
                    from.blue_bits, from.blue_shift},
                   {},
                   0,
                   0};
        return list(screen, 1);
    }

    uint64_t modules() {
        const prologue_handoff& handoff = facts_.handoff;
        if (handoff.module_count == 0)
            return 0;
        const uint64_t no_path = text("", 1);
        auto* const files = take<File>(handoff.module_count);
        for (uint64_t i = 0; i != handoff.module_count; ++i) {
            const prologue_module& module = handoff.modules[i];
            files[i].address = handoff.direct_map + module.start;
            files[i].bytes = module.bytes;
            files[i].path = no_path;
            files[i].string = moved(module.cmdline);
        }
        return list(files, handoff.module_count);
    }

    // The framebuffer is in it once, by its place: what the map says there is cut.
    uint64_t map() {
        const prologue_handoff& handoff = facts_.handoff;
        const prologue_framebuffer& screen = handoff.framebuffer;
        const Span shown = has_screen()
                               ? Span{page_down(screen.phys),
                                      page_up(screen.phys + uint64_t{screen.pitch} * screen.height)}
                               : Span{kMostPhysical, kMostPhysical};
        auto* const entries = take<MapEntry>(2 * handoff.memory_count + 1);
        MapEntry* to = entries;
        bool is_told = !has_screen();
        const auto put = [&](Span span, uint64_t type) {
            if (span.start < span.end)
                *to++ = {span.start, span.bytes(), type};
        };
        for (uint64_t i = 0; i != handoff.memory_count; ++i) {
            const prologue_range& range = handoff.memory[i];
            put({range.start, range.end < shown.start ? range.end : shown.start},
                type_of(range.type));
            if (!is_told && range.end > shown.start) {
                put(shown, kFramebufferType);
                is_told = true;
            }
            put({range.start > shown.end ? range.start : shown.end, range.end},
                type_of(range.type));
        }
        if (!is_told)
            put(shown, kFramebufferType);
        return list(entries, static_cast<uint64_t>(to - entries));
    }

    const LimineFacts& facts_;
    uint8_t* room_;
};

} // namespace

uint64_t limine_bytes(uint64_t modules, uint64_t ranges, uint64_t processors) {
    return kPage + modules * (sizeof(File) + 8) + (2 * ranges + 1) * (sizeof(MapEntry) + 8) +
           processors * 8;
}

void answer_limine(uint8_t* file, const ElfPayload& elf, const LimineFacts& facts, uint8_t* room) {
    Answers answers(facts, room);
    const auto put = [](uint8_t* at, uint64_t value) {
        __builtin_memcpy(at, &value, sizeof value);
    };
    for_each_request(
        file, elf,
        [&](uint8_t* tag) { // the revision that it is loaded by; and 0 if that was asked for
            put(tag + 8, kServedRevision);
            if (read_unaligned<uint64_t>(tag + 16) == kServedRevision)
                put(tag + 16, 0);
        },
        [&](uint8_t* at, uint64_t) {
            const Feature feature = feature_of(read_unaligned<LimineRequest>(at));
            const uint64_t response = answers.answer(feature);
            if (response != 0)
                put(at + kResponseAt, response);
        });
}

} // namespace prologue
