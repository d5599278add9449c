// Where a bzImage's kernel may be moved to, by what a loader says.
#include "linux32/move_image.h"
#include "seams.h"

#include <gtest/gtest.h>

#include <sys/mman.h>

namespace prologue::test {
namespace {

constexpr uint32_t kStart = 0x2000000, kMemory = 0x30000, kEnd = kStart + kMemory;

class MovedImageTest : public testing::Test {
protected:
    // Below 4 GiB, as all that a loader says is for 32-bit code.
    MovedImageTest()
        : room_(static_cast<char*>(mmap(nullptr, kRoomBytes, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0))),
          params_(*reinterpret_cast<BootParams*>(room_)),
          image_(*reinterpret_cast<MovedImage*>(room_ + 0x2000)) {
        image_ = {.load_start = kStart, .bytes = 0x20000, .memory_bytes = kMemory, .qemu_exit = 0};
        memory({{0x100000, 0x7f00000, 1}});
    }
    ~MovedImageTest() override { munmap(room_, kRoomBytes); }

    void memory(std::initializer_list<RawRange> ranges) {
        params_.e820_count = static_cast<uint8_t>(ranges.size());
        std::copy(ranges.begin(), ranges.end(), params_.e820);
    }

    // A piece of setup_data, put before the others.
    template <class Payload>
    void add_piece(uint32_t type, const Payload& payload, uint32_t bytes = sizeof(Payload)) {
        char* const at = room_ + pieces_at_;
        pieces_at_ += 0x100;
        const SetupData piece = {params_.setup_data, type, bytes};
        std::memcpy(at, &piece, sizeof piece);
        std::memcpy(at + sizeof piece, &payload, sizeof payload);
        params_.setup_data = reinterpret_cast<uintptr_t>(at);
    }

    void lie_at(uint64_t start) { image_.load_start = static_cast<uint32_t>(start); }

    void expect_refusal(const char* whose, uint64_t start, uint64_t end) {
        const uint64_t at = image_.load_start;
        EXPECT_EQ(failure_of([&] { check_place(params_, image_); }),
                  failure(Error::moved, {at, at + kMemory, start, end}, whose));
    }
    void expect_place() {
        EXPECT_EQ(failure_of([&] { check_place(params_, image_); }), std::nullopt);
    }

    static constexpr size_t kRoomBytes = 0x10000;
    char* const room_;
    BootParams& params_;
    MovedImage& image_;
    uint64_t pieces_at_ = 0x4000;
};

TEST_F(MovedImageTest, MayLieInMemory) {
    expect_place();
    memory({{0x100000, kEnd - 0x100000, 1}, {kEnd, 0x1000, 2}});
    expect_place();
}

TEST_F(MovedImageTest, MayLieInRangesOfAnyOrder) {
    memory({{kStart + 0x20000, 0x10000, 1}, {kStart + 0x8000, 0x18000, 1}, {kStart, 0x9000, 1}});
    expect_place();
}

TEST_F(MovedImageTest, MayLieInMemoryThatSetupDataTells) {
    memory({{0x100000, 0x1000, 1}});
    add_piece(kE820Extension, RawRange{kStart, kMemory, 1});
    add_piece(kImaLog, uint64_t{0});
    expect_place();
}

TEST_F(MovedImageTest, IsRefusedWhereMemoryEnds) {
    memory({{0x100000, kEnd - 1 - 0x100000, 1}});
    expect_refusal("the memory map has nothing at", kEnd - 1, kEnd);
    memory({{kStart + 1, 0x7f00000, 1}});
    expect_refusal("the memory map has nothing at", kStart, kEnd);
    memory({});
    expect_refusal("the memory map has nothing at", kStart, kEnd);
}

TEST_F(MovedImageTest, IsRefusedWhereARangeIsReservedBesides) {
    memory({{0x100000, 0x7f00000, 1}, {kEnd - 1, 1, 2}});
    expect_refusal("the memory map reserves", kEnd - 1, kEnd);
}

TEST_F(MovedImageTest, IsRefusedByAnExtensionThatMakesNoSense) {
    memory({});
    add_piece(kE820Extension, RawRange{kStart, kMemory, 1}, 0xffffffff);
    expect_refusal("the memory map has nothing at", kStart, kEnd);
}

TEST_F(MovedImageTest, IsRefusedOnWhatTheLoaderSays) {
    memory({{0, uint64_t{1} << 32, 1}});
    const auto phys_of = [](const void* at) { return reinterpret_cast<uintptr_t>(at); };
    lie_at(phys_of(&params_) - kMemory + 1);
    expect_refusal("boot_params are at", phys_of(&params_), phys_of(&params_) + 4096);

    params_.ramdisk_start = kEnd - 1;
    params_.ramdisk_bytes = 5;
    lie_at(kStart);
    expect_refusal("the initial RAM disk is at", kEnd - 1, kEnd + 4);
    params_.ramdisk_bytes = 0;
    expect_place();

    std::strcpy(room_ + 0xf000, "a b");
    params_.cmdline = static_cast<uint32_t>(phys_of(room_ + 0xf000));
    expect_place();
    lie_at(phys_of(room_ + 0xf003));
    expect_refusal("the command line is at", phys_of(room_ + 0xf000), phys_of(room_ + 0xf004));

    add_piece(kImaLog, uint64_t{0});
    params_.cmdline = 0;
    lie_at(params_.setup_data + 23);
    expect_refusal("a piece of setup_data is at", params_.setup_data, params_.setup_data + 24);
}

TEST_F(MovedImageTest, DoesNotFollowAListWithoutAnEnd) {
    add_piece(kImaLog, uint64_t{0});
    reinterpret_cast<SetupData*>(params_.setup_data)->next = params_.setup_data;
    expect_place();
}

} // namespace
} // namespace prologue::test
