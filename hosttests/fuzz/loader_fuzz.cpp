#include "loader_fuzz.h"

#include "free_memory.h"
#include "fuzzing.h"
#include "memory_map.h"
#include "range_model.h"
#include "seams.h"

#include <algorithm>
#include <sstream>

namespace prologue::test {
namespace {

constexpr Span kImage = {kMiB, kMiB + 64 * kPage};
constexpr Span kAllowed = {kMiB, 4 * kGiB};
constexpr uint64_t kLeast = 16 * kPage;

std::string str(const Ranges& ranges) {
    std::ostringstream out;
    for (const prologue_range& range : ranges)
        out << range << ", ";
    return out.str();
}

// One boot: the loader's word, as far as the memory map and a place to write to.
class Boot {
public:
    Boot(const FuzzedContract& contract, FakeMemory& memory, uint64_t info)
        : contract_(contract),
          memory_(memory.seen),
          phys_bytes_(memory.end()) {
        contract.parse(memory_, info, loader_);
    }

    void go() {
        must(loader_.structure_count <= kMaxStructures, "structures fit");
        look_at(loader_.cmdline);
        look_at(loader_.rsdp_copy);
        look_at({loader_.boot.environment, loader_.boot.environment_bytes});
        look_at({static_cast<const char*>(loader_.uefi.memory_map), loader_.uefi.memory_map_bytes});
        const Marks marks = mark_all();
        const uint64_t marked = stated_.size();
        for (const RawMap* piece : {&loader_.memory, &loader_.more_memory})
            for (const RawRange& range : *piece)
                stated_.push_back({Statement::kAdd, range.start, range.bytes, range.e820_type});
        const uint64_t ranges = stated_.size() - marked;
        const uint64_t most = loader_.memory.most_entries() + loader_.more_memory.most_entries();
        must(ranges != 0 && ranges <= most, "entries are counted");

        const uint64_t capacity = MemoryMap::storage_for(most + most_marks());
        std::vector<prologue_range> storage(capacity);
        MemoryMap map(storage.data(), capacity);
        map.add(loader_.memory, marks);
        map.add(loader_.more_memory, Marks(nullptr));
        compare(map);

        find_memory_without(map);
        const prologue_range home = map.largest_usable(kAllowed, kLeast);
        const Span given = {std::max(home.start, kAllowed.start),
                            std::max(home.start, kAllowed.start) + kLeast};
        map.carve(*std::find(map.begin(), map.end(), home), given, PROLOGUE_MEMORY_PROLOGUE);
        stated_.push_back({Statement::kOverlay, given.start, kLeast, PROLOGUE_MEMORY_PROLOGUE});
        compare(map);
    }

private:
    uint64_t most_marks() const { return 1 + loader_.structure_count + 2 * loader_.module_count; }

    // Every byte of it lies in memory: a read that does not is ASan's to see.
    void look_at(Text text) {
        unsigned sum = 0;
        for (uint64_t i = 0; i != text.bytes; ++i)
            sum += static_cast<uint8_t>(text.start[i]);
        must(sum != 1u << 31, "never so large"); // so that the bytes are read
        must(text.bytes <= phys_bytes_, "no text is longer than memory");
    }

    // As the 64-bit stage marks them. A mark is all of the pages that it touches:
    // none, if it is empty.
    Marks mark_all() {
        marked_.resize(most_marks());
        Marks marks(marked_.data());
        const auto mark = [&](Span span, uint32_t type) {
            if (span.start == span.end)
                return;
            marks.add(span, type);
            const unsigned __int128 end = (static_cast<unsigned __int128>(span.end) + 4095) & ~4095;
            const uint64_t start = span.start / 4096 * 4096;
            const auto last = static_cast<unsigned __int128>(kLastPageStart);
            stated_.push_back({Statement::kOverlay, start,
                               static_cast<uint64_t>(std::min(end, last)) - start, type});
        };
        mark(kImage, PROLOGUE_MEMORY_KERNEL);
        for (unsigned i = 0; i != loader_.structure_count; ++i)
            mark(loader_.structures[i], PROLOGUE_MEMORY_LOADER);
        ModuleCursor cursor = loader_.modules;
        uint64_t modules = 0;
        for (LoaderModule module; contract_.next_module(memory_, cursor, module); ++modules) {
            must(modules != loader_.module_count, "modules are counted");
            must(module.bytes.start <= module.bytes.end, "a module is no less than nothing");
            mark(module.bytes, PROLOGUE_MEMORY_MODULE);
            look_at(module.cmdline);
            if (module.cmdline.start != nullptr)
                mark(memory_.span_of(module.cmdline.start, module.cmdline.bytes + 1),
                     PROLOGUE_MEMORY_LOADER);
        }
        must(modules == loader_.module_count, "all modules are there");
        return marks;
    }

    void compare(const MemoryMap& map) {
        const Ranges ranges = {map.begin(), map.end()};
        const std::string flaw = flaw_of(map.begin(), map.end());
        must(flaw.empty(), flaw);
        const Ranges due = map_by_sweep(stated_);
        must(ranges == due, [&] { return "the map is " + str(ranges) + "not " + str(due); });
    }

    // What is found without a map is free by the map.
    void find_memory_without(const MemoryMap& map) {
        Span free;
        try {
            free = find_free_memory(memory_, loader_, contract_.next_module, kImage, kAllowed,
                                    kLeast);
        } catch (const Failure& failure) {
            must(failure.error == Error::no_room_for_map, failure.sentence);
            return;
        }
        must(free.start % kPage == 0, "free memory begins with a page");
        must(free.start >= kAllowed.start && free.end <= kAllowed.end, "free memory is low");
        must(free.bytes() == kLeast, "free memory is as much as was asked for");
        must(std::any_of(map.begin(), map.end(),
                         [&](const prologue_range& range) {
                             return range.type == PROLOGUE_MEMORY_USABLE &&
                                    range.start <= free.start && free.end <= range.end;
                         }),
             "free memory is nobody's");
    }

    const FuzzedContract& contract_;
    PhysMemory memory_;
    uint64_t phys_bytes_;
    LoaderInfo loader_;
    std::vector<Mark> marked_;
    std::vector<Statement> stated_;
};

std::vector<Input> loader_seeds(const FuzzedContract& contract) {
    const Stated some[] = {
        {},
        {.modules = {{0x400000, 0x10000, "initrd"}, {0x800000, 0x1234, std::nullopt}},
         .cmdline = "kernel console=ttyS0",
         .loader_name = "qemu",
         .rsdp = 0xf5a40,
         .boot = {.howto = 2,
                  .device = 0xa0000400,
                  .console = {.device = 0x800, .speed = 9600, .address = 0x3f8},
                  .mac = {1, 2, 3, 4, 5, 6},
                  .mac_bytes = 6},
         .environment = {"a=b", "console=c"}},
        {.memory = {{0x100000, 0x7f00000, 1}, {0x200000, 0x1001, 2}, {0x180000, 0x200000, 4}},
         .modules = {{0x7f00000, 0x100000, "a"}},
         .framebuffer = prologue_framebuffer{.phys = 0xfd000000,
                                             .pitch = 4096,
                                             .width = 1024,
                                             .height = 768,
                                             .bits_per_pixel = 32,
                                             .kind = 1,
                                             .red_shift = 16,
                                             .red_bits = 8,
                                             .green_shift = 8,
                                             .green_bits = 8,
                                             .blue_shift = 0,
                                             .blue_bits = 8},
         .sections = {{0x200000, 0x1000, 2}, {0x300010, 0x2000}, {0x400000, 1}}},
        {.efi_descriptors = 5},
    };
    std::vector<Input> seeds;
    const auto add = [&](const Stated& stated, Quirk* quirk) {
        FakeMemory memory(kPage);
        const auto info = static_cast<uint32_t>(contract.put(memory, stated, kPacked));
        if (quirk != nullptr)
            quirk(memory, info);
        const uint8_t* const start = memory.at(0);
        const uint8_t* end = start + kPage;
        while (end[-1] == 0)
            --end;
        Input seed(sizeof info);
        std::memcpy(seed.data(), &info, sizeof info);
        seed.insert(seed.end(), start, end);
        if (contract.answer != nullptr)
            contract.answer(stated, seed);
        seeds.push_back(seed);
    };
    for (const Stated& stated : some) {
        add(stated, nullptr);
        for (Quirk* const* quirk = contract.quirks; *quirk != nullptr; ++quirk)
            add(stated, *quirk);
    }
    return seeds;
}

} // namespace

void fuzz_loader(const FuzzedContract& contract, const uint8_t* data, size_t size) {
    uint32_t info;
    if (size < sizeof info)
        return;
    std::memcpy(&info, data, sizeof info);
    if (contract.ask != nullptr)
        size = sizeof info + contract.ask(data + sizeof info, size - sizeof info);
    const uint64_t bytes = size - sizeof info;
    FakeMemory memory(std::max((bytes + kPage - 1) / kPage, uint64_t{1}) * kPage);
    memory.put_bytes(0, data + sizeof info, bytes);
    try {
        Boot(contract, memory, info).go();
    } catch (const Failure&) {
    }
}

void write_loader_seeds_if_asked(const FuzzedContract& contract, int argc, char** argv) {
    write_seeds_if_asked(argc, argv, [&] { return loader_seeds(contract); });
}

} // namespace prologue::test
