// What a guest writes to shared memory: the GHCB page, and a list of page state changes in it.
#include "fuzzing.h"
#include "ghcb_request.h"
#include "page_state.h"
#include "sevhost/ghcb_fields.h"

#include <algorithm>

namespace sevhost::test {
namespace {

using prologue::test::Input;
using prologue::test::must;

constexpr GuestPhys kPage = 0x7000;
constexpr unsigned kBytesOfPage = 4096;

bool same(const GhcbRequest& a, const GhcbRequest& b) {
    return a.code == b.code && a.info1 == b.info1 && a.info2 == b.info2 && a.rax == b.rax &&
           a.rcx == b.rcx && a.rdx == b.rdx && a.rbx == b.rbx && a.xcr0 == b.xcr0 &&
           a.scratch == b.scratch && a.cpl == b.cpl && a.version == b.version &&
           a.has_scratch == b.has_scratch;
}

// The page with everything flipped that no bit of the bitmap vouches for.
Input scrambled(Input page) {
    for (unsigned at = 0; at != kFieldBuffer; ++at) {
        const unsigned bit = at / 8;
        const bool valid = bit < 128 && page[kFieldBitmap + bit / 8] >> bit % 8 & 1;
        const bool bitmap = at >= kFieldBitmap && at < kFieldBitmap + 16;
        if (!valid && !bitmap)
            page[at] = static_cast<uint8_t>(~page[at]);
    }
    for (unsigned at = kFieldBuffer; at != kFieldVersion; ++at)
        page[at] = static_cast<uint8_t>(~page[at]);
    return page;
}

void check_scratch(const GhcbRequest& request, uint64_t bytes) {
    if (scratch_place(request, kPage, bytes) == ScratchPlace::inside)
        must(request.scratch >= kPage + kFieldBuffer &&
                 request.scratch + bytes <= kPage + kFieldVersion,
             "what is inside the page is inside its buffer");
    if (scratch_place(request, kPage, bytes) == ScratchPlace::elsewhere)
        must(request.scratch >= kPage + kBytesOfPage || request.scratch + bytes <= kPage,
             "what is elsewhere is not in the page");
}

void check_request(Input page) {
    const Input before = page;
    GhcbRequest request;
    const Malformed why = read_ghcb_request(GhcbPage(page.data()), request);
    must(page == before, "the page is not written");
    must(why <= Malformed::invalid_event, "the reason is one of the specification");
    Input other = scrambled(page);
    GhcbRequest again;
    const Malformed why_again = read_ghcb_request(GhcbPage(other.data()), again);
    must(why == why_again || why == Malformed::missing_input || why == Malformed::invalid_event,
         "what is not marked valid decides nothing");
    if (why != Malformed::nothing)
        return;
    must(same(request, again), "what is not marked valid is not read");
    const PortRequest port = port_request(request);
    if (request.code == 0x7b) {
        must(port.bytes == 1 || port.bytes == 2 || port.bytes == 4, "a port has 1, 2, 4 bytes");
        must(!port.string || port.count * port.bytes <= 16384, "strings are bounded");
        check_scratch(request, port.string ? port.count * port.bytes : 1);
    }
    check_scratch(request, request.info2);
}

class Owner final : public PageOwner {
public:
    bool change(GuestPhys page, PageOperation operation, uint64_t bytes) override {
        must(bytes == 0x1000 || bytes == 0x200000, "pages are of two sizes");
        must(page % bytes == 0, "pages are aligned");
        must(page < uint64_t{1} << 52, "addresses have 52 bits");
        return static_cast<unsigned>(operation) % 8 != 7;
    }
};

// How many pages the entry says are done, of how many.
bool is_done(const Input& list, unsigned entry) {
    uint64_t word;
    std::memcpy(&word, &list[8 + entry * sizeof word], sizeof word);
    const bool large = word >> 56 & 1;
    return (word & 0xfff) == (large ? 512 : 1);
}

void check_list(Input list) {
    Owner owner;
    const unsigned first = list[0] | list[1] << 8;
    const uint64_t result = change_page_states(owner, list.data());
    const unsigned current = list[0] | list[1] << 8;
    must(current >= first, "the list does not go back");
    for (unsigned entry = first; entry < current; ++entry)
        must(is_done(list, entry), "the header counts what was done");
    const unsigned end = list[2] | list[3] << 8;
    must(result != 0 || current == std::max(first, end + 1), "all was done, or it is told");
}

// The input: a byte that says which of both it is, then the page, or the list; zeros follow.
enum Kind : uint8_t { kPageInput, kListInput };

void fuzz_ghcb(const uint8_t* data, size_t size) {
    if (size == 0)
        return;
    const bool is_list = data[0] % 2 == kListInput;
    Input bytes(is_list ? kPageStateListBytes : kBytesOfPage);
    std::copy_n(data + 1, std::min(size - 1, bytes.size()), bytes.begin());
    if (is_list)
        check_list(bytes);
    else
        check_request(bytes);
}

std::vector<Input> seeds() {
    std::vector<Input> seeds;
    const struct {
        uint64_t code, info1, info2;
    } events[] = {
        {0x72, 0, 0},
        {0x7b, 0x00e90010, 0},
        {0x7b, 0x00e9021c, 64},
        {0x7c, 1, 0},
        {0x80000001, 0x1000, 8},
        {0x80000010, 0, 0},
        {0x80000011, 0x1000, 0x2000},
        {0x6e, 0, 0},
        {0x80000013, 1, 0},
    };
    for (const auto& event : events)
        for (const bool complete : {true, false}) {
            FilledPage page(event.code, event.info1, event.info2);
            for (const Field field : {kFieldRax, kFieldRcx, kFieldRdx, kFieldCpl})
                if (complete)
                    page.set(field, 1);
            page.set(kFieldScratch, kPage + kFieldBuffer);
            Input seed = {kPageInput};
            seed.insert(seed.end(), page.bytes.begin(), page.bytes.end());
            seeds.push_back(seed);
        }
    for (uint8_t end = 0; end != 4; ++end) {
        Input seed = {kListInput, 0, 0, end, 0, 0, 0, 0, 0};
        for (uint8_t entry = 0; entry <= end; ++entry) { // every other one of 2 MiB
            const auto address = static_cast<uint8_t>(entry << 5);
            const auto operation = static_cast<uint8_t>((entry + 1) << 4);
            const uint8_t large = entry & 1;
            seed.insert(seed.end(), {0, 0, address, 0, 0, 0, operation, large});
        }
        seeds.push_back(seed);
    }
    return seeds;
}

} // namespace
} // namespace sevhost::test

BEGINS_WITH(sevhost::test::seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    sevhost::test::fuzz_ghcb(data, size);
    return 0;
}
