#include "limine.h"

#include "phys_memory.h"
#include "refusals.h"

namespace prologue {
namespace {

constexpr uint64_t kRequest[] = {0xc7b1dd30df4c8b88, 0x0a82e883a194f07b};
constexpr uint64_t kBaseRevision[] = {0xf9562b2d5c95a6c8, 0x6a7b384944536bdc};
constexpr uint64_t kServedRevision = 3;
constexpr uint64_t kMostStack = 16 * kMiB;

// What a request asks for: the third and fourth word of its id.
enum Feature {
    kBootloader,
    kCmdline,
    kStack,
    kHhdm,
    kFramebuffer,
    kPaging,
    kMap,
    kModules,
    kRsdp,
    kAddress,
    kFeatures
};
constexpr uint64_t kIds[kFeatures][2] = {
    {0xf55038d8e2a1202f, 0x279426fcf5f59740}, {0x4b161536e598651e, 0xb390ad4a2f1f303a},
    {0x224ef0460a8e8926, 0xe1cb0fc25f46ea3d}, {0x48dcf1cb8ad2b852, 0x63984e959a98244b},
    {0x9d5827dcd881dd75, 0xa3148604f6fab11b}, {0x95c1a0edab0944cb, 0xa4e5cb3842f7488a},
    {0x67cf3d9d378a806f, 0xe304acdfc50c3c62}, {0x3e7e279702be32af, 0xca1c4f3bd1280cee},
    {0xc5e77b6b397e7b43, 0x27637845accdcf3c}, {0x71ba76863cc55f63, 0xb2644a48c516a487}};

struct Request {
    uint64_t id[4], revision, response;
};
static_assert(sizeof(Request) == 48);
constexpr uint64_t kResponseAt = 40;

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

bool begins_with(const uint8_t* at, const uint64_t (&words)[2]) {
    return read_unaligned<uint64_t>(at) == words[0] && read_unaligned<uint64_t>(at + 8) == words[1];
}

Feature feature_of(const Request& request) {
    unsigned feature = 0;
    while (feature != kFeatures &&
           (request.id[2] != kIds[feature][0] || request.id[3] != kIds[feature][1]))
        ++feature;
    return static_cast<Feature>(feature);
}

// Calls `tag` with the place of the base revision's tag, and `request` with each request, and how
// many bytes of its segment are left there.
template <class Bytes, class Tag, class Each>
void for_each(Bytes* file, const ElfPayload& elf, Tag tag, Each request) {
    for (const PayloadSegment& segment : elf)
        for (uint64_t at = -segment.virt % 8; at + sizeof(uint64_t[3]) <= segment.file_bytes;
             at += 8) {
            Bytes* const here = file + segment.file_offset + at;
            const uint64_t left = segment.file_bytes - at;
            if (begins_with(here, kBaseRevision))
                tag(here);
            else if (begins_with(here, kRequest) && left >= sizeof(Request))
                request(here, left);
        }
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

bool asks_limine(const uint8_t* file, uint64_t bytes) {
    for (uint64_t at = 0; at + 16 <= bytes; at += 8)
        if (begins_with(file + at, kRequest) || begins_with(file + at, kBaseRevision))
            return true;
    return false;
}

uint64_t limine_stack(const uint8_t* file, const ElfPayload& elf) {
    uint64_t stack = kLimineStack, seen = 0, revision = 0;
    for_each(
        file, elf,
        [&](const uint8_t* tag) {
            revision = read_unaligned<uint64_t>(tag + sizeof kBaseRevision);
        },
        [&](const uint8_t* at, uint64_t left) {
            const Feature feature = feature_of(read_unaligned<Request>(at));
            if (feature == kFeatures)
                return;
            if ((seen >> feature & 1) != 0)
                refuse_in("a request that stands twice", Refusal::limine, kIds[feature][0],
                          kIds[feature][1]);
            seen |= uint64_t{1} << feature;
            if (feature == kStack && left >= sizeof(Request) + sizeof stack)
                stack = read_unaligned<uint64_t>(at + sizeof(Request));
        });
    if (revision < kServedRevision)
        refuse_in("base revision", Refusal::limine, revision, kServedRevision);
    if (stack > kMostStack)
        refuse_in("a stack's bytes", Refusal::limine, stack, kMostStack);
    return page_up(stack < kLimineStack ? kLimineStack : stack);
}

uint64_t limine_bytes(uint64_t modules, uint64_t ranges) {
    return kPage + modules * (sizeof(File) + 8) + (2 * ranges + 1) * (sizeof(MapEntry) + 8);
}

void answer_limine(uint8_t* file, const ElfPayload& elf, const LimineFacts& facts, uint8_t* room) {
    Answers answers(facts, room);
    const auto put = [](uint8_t* at, uint64_t value) {
        __builtin_memcpy(at, &value, sizeof value);
    };
    for_each(
        file, elf,
        [&](uint8_t* tag) { // the revision that it is loaded by; and 0 if that was asked for
            put(tag + 8, kServedRevision);
            if (read_unaligned<uint64_t>(tag + 16) == kServedRevision)
                put(tag + 16, 0);
        },
        [&](uint8_t* at, uint64_t) {
            const Feature feature = feature_of(read_unaligned<Request>(at));
            const uint64_t response = answers.answer(feature);
            if (response != 0)
                put(at + kResponseAt, response);
        });
}

} // namespace prologue
