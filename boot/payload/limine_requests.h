// Where the Limine protocol's requests lie in a payload's file, and what each is for.
#pragma once
#pragma GCC visibility push(hidden)

#include "limine.h"
#include "phys_memory.h"

namespace prologue {

constexpr uint64_t kLimineRequest[] = {0xc7b1dd30df4c8b88, 0x0a82e883a194f07b};
constexpr uint64_t kLimineRevision[] = {0xf9562b2d5c95a6c8, 0x6a7b384944536bdc};
constexpr uint64_t kServedRevision = 3;
// Between these requests are looked for alone, if they are there.
constexpr uint64_t kLimineStart[] = {0xf6b8f4b39de7d1ae, 0xfab91a6940fcb9cf, 0x785c6ed015d3e316,
                                     0x181e920a7852b9d9};
constexpr uint64_t kLimineEnd[] = {0xadc0e0531bb10d03, 0x9572709f31764c62};

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
    kProcessors,
    kEntry,
    kFile,
    kFirmware,
    kSmbios,
    kEfiTable,
    kEfiMap,
    kTime,
    kFeatures
};
constexpr uint64_t kLimineIds[kFeatures][2] = {
    {0xf55038d8e2a1202f, 0x279426fcf5f59740}, {0x4b161536e598651e, 0xb390ad4a2f1f303a},
    {0x224ef0460a8e8926, 0xe1cb0fc25f46ea3d}, {0x48dcf1cb8ad2b852, 0x63984e959a98244b},
    {0x9d5827dcd881dd75, 0xa3148604f6fab11b}, {0x95c1a0edab0944cb, 0xa4e5cb3842f7488a},
    {0x67cf3d9d378a806f, 0xe304acdfc50c3c62}, {0x3e7e279702be32af, 0xca1c4f3bd1280cee},
    {0xc5e77b6b397e7b43, 0x27637845accdcf3c}, {0x71ba76863cc55f63, 0xb2644a48c516a487},
    {0x95a67b819a1b857e, 0xa0b61b723b6a73e0}, {0x13d86c035a1cd3e1, 0x2b0caa89d8f3026a},
    {0xad97e90e83f1ed67, 0x31eb5d1c5ff23b69}, {0x8c2f75d90bef28a8, 0x7045a4688eac00c3},
    {0x9e9046f11e095391, 0xaa4a520fefbde5ee}, {0x5ceba5163eaaf6d6, 0x0a6981610cf65fcc},
    {0x7df62a431d6872d5, 0xa4fcdfb3e57306c8}, {0x502746e184c088aa, 0xfbc5ec83e6327893}};

struct LimineRequest {
    uint64_t id[4], revision, response;
};
static_assert(sizeof(LimineRequest) == 48);
constexpr uint64_t kResponseAt = 40;

template <uint64_t N>
bool begins_with(const uint8_t* at, const uint64_t (&words)[N]) {
    for (uint64_t i = 0; i != N; ++i)
        if (read_unaligned<uint64_t>(at + 8 * i) != words[i])
            return false;
    return true;
}

Feature feature_of(const LimineRequest& request);

// Calls `each` with each multiple of 8 in the segments, and how many bytes are left there: three
// words at least.
template <class Bytes, class Each>
void for_each_word(Bytes* file, const ElfPayload& elf, Each each) {
    for (const PayloadSegment& segment : elf)
        for (uint64_t at = -segment.virt % 8; at + sizeof(uint64_t[3]) <= segment.file_bytes;
             at += 8)
            each(file + segment.file_offset + at, segment.file_bytes - at);
}

// Calls `tag` with the place of the base revision's tag, and `request` with each request, and how
// many bytes of its segment are left there.
template <class Bytes, class Tag, class Request>
void for_each_request(Bytes* file, const ElfPayload& elf, Tag tag, Request request) {
    const Bytes *start = nullptr, *end = nullptr;
    for_each_word(file, elf, [&](Bytes* at, uint64_t left) {
        if (begins_with(at, kLimineRevision))
            tag(at);
        else if (!start && left >= sizeof kLimineStart && begins_with(at, kLimineStart))
            start = at;
        else if (start && !end && begins_with(at, kLimineEnd))
            end = at;
    });
    for_each_word(file, elf, [&](Bytes* at, uint64_t left) {
        const bool is_meant = !start || (at > start && (!end || at < end));
        if (is_meant && left >= sizeof(LimineRequest) && begins_with(at, kLimineRequest))
            request(at, left);
    });
}

} // namespace prologue

#pragma GCC visibility pop
