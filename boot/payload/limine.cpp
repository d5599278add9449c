#include "limine.h"

#include "limine_requests.h"
#include "refusals.h"

namespace prologue {
namespace {

constexpr uint64_t kMostStack = 16 * kMiB;

// Of the request for a mode of paging.
struct PagingRequest {
    LimineRequest request;
    uint64_t mode, most, least; // 1: five levels
};

// A request's field behind its response; 0 where its segment ends before.
uint64_t field(const uint8_t* request, uint64_t left) {
    return left >= sizeof(LimineRequest) + 8
               ? read_unaligned<uint64_t>(request + sizeof(LimineRequest))
               : 0;
}

void read_wish(Feature feature, const uint8_t* at, uint64_t left, LimineWishes& wishes) {
    switch (feature) {
    case kStack:
        wishes.stack_bytes = field(at, left);
        break;
    case kEntry:
        wishes.entry = field(at, left);
        break;
    case kPaging:
        wishes.wants_five_levels = field(at, left) == 1;
        if (left >= sizeof(PagingRequest)) {
            const auto paging = read_unaligned<PagingRequest>(at);
            wishes.needs_five_levels = paging.request.revision >= 1 && paging.least == 1;
        }
        break;
    case kProcessors:
        wishes.wants_processors = true;
        break;
    case kFile:
        wishes.wants_file = true;
        break;
    case kTime:
        wishes.wants_time = true;
        break;
    default:
        break;
    }
}

} // namespace

Feature feature_of(const LimineRequest& request) {
    unsigned feature = 0;
    while (feature != kFeatures &&
           (request.id[2] != kLimineIds[feature][0] || request.id[3] != kLimineIds[feature][1]))
        ++feature;
    return static_cast<Feature>(feature);
}

bool asks_limine(const uint8_t* file, uint64_t bytes) {
    for (uint64_t at = 0; at + 16 <= bytes; at += 8)
        if (begins_with(file + at, kLimineRequest) || begins_with(file + at, kLimineRevision))
            return true;
    return false;
}

LimineWishes limine_wishes(const uint8_t* file, const ElfPayload& elf) {
    uint64_t seen = 0, revision = 0;
    LimineWishes wishes;
    for_each_request(
        file, elf,
        [&](const uint8_t* tag) {
            revision = read_unaligned<uint64_t>(tag + sizeof kLimineRevision);
        },
        [&](const uint8_t* at, uint64_t left) {
            const Feature feature = feature_of(read_unaligned<LimineRequest>(at));
            if (feature == kFeatures)
                return;
            if ((seen >> feature & 1) != 0)
                refuse_in("a request that stands twice", Refusal::limine, kLimineIds[feature][0],
                          kLimineIds[feature][1]);
            seen |= uint64_t{1} << feature;
            read_wish(feature, at, left, wishes);
        });
    if (revision < kServedRevision)
        refuse_in("base revision", Refusal::limine, revision, kServedRevision);
    if (wishes.stack_bytes > kMostStack)
        refuse_in("a stack's bytes", Refusal::limine, wishes.stack_bytes, kMostStack);
    wishes.stack_bytes = page_up(wishes.stack_bytes < kLimineStack ? kLimineStack
                                                                   : wishes.stack_bytes);
    return wishes;
}

} // namespace prologue
