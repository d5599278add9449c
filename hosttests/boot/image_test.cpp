// The kernel's own headers: where its segments lie, and what is refused.

#include "image.h"

#include "elf_image.h"

#include <gtest/gtest.h>

namespace prologue {

// For gtest, which looks in the type's own namespace.
bool operator==(const Segment& a, const Segment& b) {
    return a.virt == b.virt && a.phys == b.phys && a.bytes == b.bytes && a.writable == b.writable &&
           a.executable == b.executable;
}
std::ostream& operator<<(std::ostream& out, const Segment& segment) {
    return out << std::hex << segment.virt << " at " << segment.phys << ", " << segment.bytes
               << " bytes" << (segment.writable ? " w" : "") << (segment.executable ? " x" : "")
               << std::dec;
}

} // namespace prologue

namespace prologue::test {
namespace {

constexpr uint64_t kLinked = 0x100000;
constexpr uint64_t kHigh = 0xffffffff80000000;
constexpr uint64_t kText = kRead | kExecute, kData = kRead | kWrite;

// As linker/prologue.ld lays a kernel out: the segments are rounded to pages by
// nobody but us, and notes are no segments.
const std::vector<LinkedSegment> kKernel = {
    {kHigh + kLinked, kLinked, 0x5432, kText},
    {kHigh + kLinked + 0x6000, kLinked + 0x6000, 0x800, kRead},
    {kHigh + kLinked + 0x6000, kLinked + 0x6000, 0x20, kRead, kNote},
    {kHigh + kLinked + 0x7000, kLinked + 0x7000, 0x1000, kData},
    {kHigh + kLinked + 0x8000, kLinked + 0x8000, 0x2001, kData},
};

struct Loaded {
    explicit Loaded(const std::vector<LinkedSegment>& segments, uint64_t where = kLinked)
        : where(where),
          memory(2 * kPage, where) {
        put_elf(memory, where, segments);
    }
    Image image() const { return Image(memory.window(), where); }
    std::optional<Failure> fails() const {
        return failure_of([&] { image(); });
    }
    std::optional<Failure> check_fails(Span direct_map = {}, unsigned levels = 4) const {
        return failure_of([&] { image().check(direct_map, levels); });
    }

    uint64_t where;
    FakeMemory memory;
};

std::vector<Segment> segments_of(const Image& image) {
    return {image.begin(), image.end()};
}

TEST(Image, HasItsSegmentsWhereItWasLinked) {
    const Loaded loaded(kKernel);
    const Image image = loaded.image();
    EXPECT_EQ(
        segments_of(image),
        (std::vector<Segment>{{kHigh + kLinked, kLinked, 0x6000, false, true},
                              {kHigh + kLinked + 0x6000, kLinked + 0x6000, 0x1000, false, false},
                              {kHigh + kLinked + 0x7000, kLinked + 0x7000, 0x1000, true, false},
                              {kHigh + kLinked + 0x8000, kLinked + 0x8000, 0x3000, true, false}}));
    EXPECT_EQ(image.span().start, kLinked);
    EXPECT_EQ(image.span().end, kLinked + 0xb000);
    EXPECT_EQ(image.virtual_span().start, kHigh + kLinked);
    EXPECT_EQ(image.virtual_span().end, kHigh + kLinked + 0xb000);
    EXPECT_EQ(image.virtual_offset(), kHigh);
    EXPECT_EQ(loaded.check_fails(), std::nullopt);
}

TEST(Image, HasThemWhereverItWasLoaded) {
    for (const uint64_t where : {kPage, 0x345 * kPage, 4 * kGiB - kMiB, 5 * kGiB}) {
        const Loaded loaded(kKernel, where);
        const Image image = loaded.image();
        EXPECT_EQ(segments_of(image),
                  (std::vector<Segment>{
                      {kHigh + kLinked, where, 0x6000, false, true},
                      {kHigh + kLinked + 0x6000, where + 0x6000, 0x1000, false, false},
                      {kHigh + kLinked + 0x7000, where + 0x7000, 0x1000, true, false},
                      {kHigh + kLinked + 0x8000, where + 0x8000, 0x3000, true, false}}));
        EXPECT_EQ(image.span().start, where);
        EXPECT_EQ(image.span().end, where + 0xb000);
        EXPECT_EQ(image.virtual_offset(), kHigh + kLinked - where);
        EXPECT_EQ(image.virtual_span().start, kHigh + kLinked);
        EXPECT_EQ(loaded.check_fails(), std::nullopt);
    }
}

TEST(Image, MayBeLinkedLow) {
    const Loaded loaded({{0x400000, 0x400000, 0x1800, kText}, {0x402000, 0x402000, 1, kData}},
                        0x700000);
    const Image image = loaded.image();
    EXPECT_EQ(image.virtual_offset(), uint64_t{0} - 0x300000);
    EXPECT_EQ(image.virtual_span().start, 0x400000u);
    EXPECT_EQ(image.virtual_span().end, 0x403000u);
    EXPECT_EQ(loaded.check_fails(), std::nullopt);
}

TEST(Image, SegmentsMayBeginWithinAPage) {
    const Loaded loaded(
        {{kHigh + 0x100040, 0x100040, 0xf00, kText}, {kHigh + 0x101fff, 0x101fff, 2, kData}});
    EXPECT_EQ(segments_of(loaded.image()),
              (std::vector<Segment>{{kHigh + 0x100000, 0x100000, 0x1000, false, true},
                                    {kHigh + 0x101000, 0x101000, 0x2000, true, false}}));
    EXPECT_EQ(loaded.check_fails(), std::nullopt);
}

TEST(Image, MayReachTheEndOfAllAddresses) {
    const Loaded loaded({{uint64_t{0} - 0x3000, 0x100000, 0x1000, kText},
                         {uint64_t{0} - 0x2000, 0x101000, 0x2000, kData}});
    EXPECT_EQ(segments_of(loaded.image()).back().bytes, 0x2000u);
    EXPECT_EQ(loaded.check_fails(), std::nullopt);
}

TEST(Image, ProgramHeadersMayLieFurtherBack) {
    Loaded loaded(kKernel);
    std::memmove(loaded.memory.at(kLinked + 0x200), loaded.memory.at(kLinked + elf::kHeaderBytes),
                 kKernel.size() * elf::kSegmentBytes);
    loaded.memory.put<uint64_t>(kLinked + elf::kProgramHeaders, 0x200);
    EXPECT_EQ(segments_of(loaded.image()).size(), 4u);
}

// --- What is refused ------------------------------------------------------------------------

TEST(Image, HeadersOfNoElf64AreRefused) {
    const Failure refused = failure(Error::image_header, {kLinked});
    Loaded no_magic(kKernel);
    no_magic.memory.put<uint8_t>(kLinked + elf::kMagic + 3, 'G');
    EXPECT_EQ(no_magic.fails(), refused);

    Loaded other_size(kKernel);
    other_size.memory.put<uint16_t>(kLinked + elf::kProgramHeaderBytes, 32);
    EXPECT_EQ(other_size.fails(), refused);

    Loaded far_away(kKernel);
    far_away.memory.put<uint64_t>(kLinked + elf::kProgramHeaders, kPage + 1);
    EXPECT_EQ(far_away.fails(), refused);
}

TEST(Image, ProgramHeadersBeyondTheFirstPageAreRefused) {
    Loaded many(kKernel);
    many.memory.put<uint16_t>(kLinked + elf::kProgramHeaderCount, 100);
    EXPECT_EQ(many.fails(), failure(Error::image_header, {kLinked}));

    Loaded last(kKernel);
    last.memory.put<uint64_t>(kLinked + elf::kProgramHeaders, kPage - elf::kSegmentBytes);
    EXPECT_EQ(last.fails(), failure(Error::image_header, {kLinked}));
}

TEST(Image, AsManyProgramHeadersAsAreReadAndNoMore) {
    std::vector<LinkedSegment> segments = {kKernel[0]};
    segments.resize(kMostHeaders, {kHigh + kLinked + 0x6000, kLinked + 0x6000, 0x20, kRead, kNote});
    EXPECT_EQ(segments_of(Loaded(segments).image()).size(), 1u);
    segments.push_back(segments.back());
    EXPECT_EQ(Loaded(segments).fails(), failure(Error::image_header, {kLinked}));
}

TEST(Image, WithoutALoadableSegmentIsRefused) {
    const Loaded none({});
    EXPECT_EQ(none.fails(), failure(Error::image_header, {kLinked}));
    const Loaded notes({{kHigh, 0, 0x20, kRead, kNote}});
    EXPECT_EQ(notes.fails(), failure(Error::image_header, {kLinked}));
}

TEST(Image, WithMoreSegmentsThanThereIsRoomForIsRefused) {
    std::vector<LinkedSegment> segments;
    for (uint64_t i = 0; i != kMostSegments; ++i)
        segments.push_back({kHigh + kLinked + i * kPage, kLinked + i * kPage, kPage, kData});
    EXPECT_EQ(Loaded(segments).check_fails(), std::nullopt);
    segments.push_back({kHigh + 2 * kLinked, 2 * kLinked, kPage, kData});
    EXPECT_EQ(Loaded(segments).fails(), failure(Error::image_header, {kLinked}));
}

// A second segment beside a sound first one; what check() says of it.
std::optional<Failure> check_of(const LinkedSegment& second, Span direct_map = {}) {
    const Loaded loaded({{kHigh + kLinked, kLinked, 0x2000, kText}, second});
    return loaded.check_fails(direct_map);
}

TEST(ImageCheck, RefusesASegmentThatIsNotPageAligned) {
    EXPECT_EQ(check_of({kHigh + 0x103010, 0x103020, 0x1000, kData}),
              failure(Error::image_segment, {1, kHigh + 0x103000, 0x2000}));
}

TEST(ImageCheck, RefusesASegmentThatWraps) {
    EXPECT_EQ(check_of({kHigh + 0x103000, 0x103000, 2 * kGiB, kData}),
              failure(Error::image_segment, {1, kHigh + 0x103000, 2 * kGiB}));
}

TEST(ImageCheck, RefusesASegmentAtAnotherOffset) {
    EXPECT_EQ(check_of({kHigh + 0x103000, 0x104000, 0x1000, kData}),
              failure(Error::image_offset, {1, kHigh + 0x103000, 0x104000}));
}

TEST(ImageCheck, RefusesASegmentThatIsWritableAndExecutable) {
    EXPECT_EQ(check_of({kHigh + 0x103000, 0x103000, 0x1000, kWrite | kExecute}),
              failure(Error::image_writable_text, {1, kHigh + 0x103000}));
}

TEST(ImageCheck, RefusesASegmentOfOtherRightsOnAPageOfTheOneBefore) {
    EXPECT_EQ(check_of({kHigh + 0x101000, 0x101000, 0x1000, kData}),
              failure(Error::image_order, {1, kHigh + 0x101000, kHigh + 0x102000}));
    EXPECT_EQ(check_of({kHigh + 0x101fff, 0x101fff, 0x1000, kData}),
              failure(Error::image_order, {1, kHigh + 0x101000, kHigh + 0x102000}));
}

TEST(Image, JoinsSegmentsOfTheSameRightsOnOnePage) {
    const Loaded loaded({{kHigh + 0x100000, 0x100000, 0x1000, kText},
                         {kHigh + 0x101000, 0x101000, 0x1234, kData},
                         {kHigh + 0x102240, 0x102240, 0x1000, kData},
                         {kHigh + 0x103300, 0x103300, 0x40, kData}});
    EXPECT_EQ(segments_of(loaded.image()),
              (std::vector<Segment>{{kHigh + 0x100000, 0x100000, 0x1000, false, true},
                                    {kHigh + 0x101000, 0x101000, 0x3000, true, false}}));
    EXPECT_EQ(loaded.check_fails(), std::nullopt);
    EXPECT_EQ(loaded.image().loaded_span().end, 0x103340u);
}

TEST(Image, PassesOverSegmentsWithoutMemoryAndCountsThem) {
    std::vector<LinkedSegment> segments = {{kHigh + 0x100000, 0x100000, 0x1000, kText},
                                           {kHigh + 0x101000, 0x101000, 0, kData},
                                           {0, 0, 0, 0},
                                           {kHigh + 0x102000, 0x102000, 0x1000, kData}};
    EXPECT_EQ(segments_of(Loaded(segments).image()),
              (std::vector<Segment>{{kHigh + 0x100000, 0x100000, 0x1000, false, true},
                                    {kHigh + 0x102000, 0x102000, 0x1000, true, false}}));
    segments[3].flags = kWrite | kExecute;
    EXPECT_EQ(Loaded(segments).check_fails(),
              failure(Error::image_writable_text, {3, kHigh + 0x102000}))
        << "as readelf counts";
}

TEST(Image, LiesWhereItsSegmentsAreToTheByte) {
    const Image image = Loaded({{kHigh + 0x100000, 0x100000, 0xf01, kText},
                                {kHigh + 0x102010, 0x102010, 0x123, kData}})
                            .image();
    EXPECT_TRUE(image.lies_on({0x100f00, 0x100f10}));
    EXPECT_FALSE(image.lies_on({0x100f01, 0x102010}));
    EXPECT_TRUE(image.lies_on({0x100f01, 0x102011}));
    EXPECT_FALSE(image.lies_on({0x102133, 0x103000}));
    EXPECT_EQ(image.loaded_span().end, 0x102133u);
}

TEST(Image, RunsFromWhatIsExecutableOnAStackThatIsWritable) {
    const auto failing = [](uint32_t text, uint32_t data) {
        const Loaded loaded({{kHigh + 0x100000, 0x100000, 0x1000, text},
                             {kHigh + 0x101000, 0x101000, 0x1000, data}});
        return failure_of([&] { loaded.image().check_rights(kHigh + 0x100800, kHigh + 0x101800); });
    };
    EXPECT_EQ(failing(kText, kData), std::nullopt);
    EXPECT_EQ(failing(kRead, kData), failure(Error::image_code, {0, kHigh + 0x100000}));
    EXPECT_EQ(failing(0, kData), failure(Error::image_code, {0, kHigh + 0x100000}));
    EXPECT_EQ(failing(kText, kRead), failure(Error::image_stack, {1, kHigh + 0x101000}));
}

TEST(ImageCheck, RefusesAddressesThatAreNotCanonical) {
    struct {
        uint64_t virt;
        bool four, five; // levels that have it
    } const cases[] = {
        {0x00007ffffffff000, true, true},   {0x0000800000000000, false, true},
        {0x00fffffffffff000, false, true},  {0x0100000000000000, false, false},
        {0xfeff000000000000, false, false}, {0xff00000000000000, false, true},
        {0xffff7ffffffff000, false, true},  {0xffff800000000000, true, true},
    };
    for (const auto& at : cases) {
        const Loaded loaded({{at.virt, kLinked, 0x1000, kText}});
        const auto expected = [&](bool fine, unsigned levels) -> std::optional<Failure> {
            if (fine)
                return std::nullopt;
            return failure(Error::image_not_canonical, {0, at.virt, levels});
        };
        EXPECT_EQ(loaded.check_fails({}, 4), expected(at.four, 4)) << at.virt;
        EXPECT_EQ(loaded.check_fails({}, 5), expected(at.five, 5)) << at.virt;
    }
}

TEST(ImageCheck, RefusesASegmentInTheDirectMap) {
    const LinkedSegment second = {kHigh + 0x103000, 0x103000, 0x1000, kData};
    const auto refused = failure(Error::image_in_window, {1, kHigh + 0x103000});
    EXPECT_EQ(check_of(second, {kHigh + 0x103000, kHigh + 0x104000}), refused);
    EXPECT_EQ(check_of(second, {kHigh + 0x103fff, kHigh + 0x105000}), refused);
    EXPECT_EQ(check_of(second, {kHigh + 0x104000, kHigh + 0x105000}), std::nullopt);
    EXPECT_EQ(check_of(second, {kHigh + 0x102000, kHigh + 0x103000}), std::nullopt);
}

} // namespace
} // namespace prologue::test
