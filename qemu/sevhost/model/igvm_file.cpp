#include "igvm_file.h"

namespace sevhost::igvm {
namespace {

constexpr uint32_t kMagic = 0x4d564749; // "IGVM"
struct FixedHeader {
    uint32_t magic, version, headers_offset, headers_bytes, file_bytes, checksum;
};
struct FixedHeader2 { // what version 2 has behind it
    uint32_t architecture, page_bytes;
};
constexpr uint64_t kChecksumAt = 20;
constexpr uint64_t kMostFixedBytes = sizeof(FixedHeader) + sizeof(FixedHeader2);

struct HeaderHead {
    uint32_t kind, bytes;
};
constexpr uint64_t kAlignment = 8;
constexpr uint32_t kOptional = 1u << 31; // may be left out by who does not know it

template <typename T>
bool read(const File& file, uint64_t offset, T& to) {
    if (offset > file.bytes || file.bytes - offset < sizeof to)
        return false;
    __builtin_memcpy(&to, file.data + offset, sizeof to);
    return true;
}

File wrong_at(File file, uint64_t at, const char* wrong) {
    file.wrong = wrong;
    file.at = at;
    return file;
}

// CRC-32 as zip has it (polynomial 0xedb88320, reflected).
uint32_t crc32(uint32_t crc, uint8_t byte) {
    crc ^= byte;
    for (unsigned bit = 0; bit != 8; ++bit)
        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    return crc;
}

uint32_t checksum_of(const File& file, uint64_t fixed_bytes) {
    uint32_t crc = ~0u;
    for (uint64_t i = 0; i != fixed_bytes; ++i)
        crc = crc32(crc, i - kChecksumAt < sizeof(uint32_t) ? 0 : file.data[i]);
    for (uint64_t i = file.headers; i != file.headers_end; ++i)
        crc = crc32(crc, file.data[i]);
    return ~crc;
}

File read_fixed(File file) {
    FixedHeader fixed;
    if (!read(file, 0, fixed) || fixed.magic != kMagic)
        return wrong_at(file, 0, "no header that begins with IGVM");
    FixedHeader2 more = {0, kPageBytes};
    if (fixed.version == 0 || fixed.version > 2 ||
        (fixed.version == 2 && !read(file, sizeof fixed, more)))
        return wrong_at(file, 4, "a version that is neither 1 nor 2");
    if (more.architecture != 0 || more.page_bytes != kPageBytes)
        return wrong_at(file, sizeof fixed, "not x86-64, or pages that have not 4096 bytes");
    const uint64_t fixed_bytes = fixed.version == 2 ? kMostFixedBytes : sizeof fixed;
    if (fixed.file_bytes != file.bytes)
        return wrong_at(file, 16, "another size of the file than it has");
    file.headers = fixed.headers_offset;
    file.headers_end = file.headers + fixed.headers_bytes;
    if (file.headers < fixed_bytes || file.headers % kAlignment != 0 ||
        file.headers_end > file.bytes)
        return wrong_at(file, 8, "headers that do not lie in the file");
    if (checksum_of(file, fixed_bytes) != fixed.checksum)
        return wrong_at(file, kChecksumAt, "another checksum than its headers have");
    return file;
}

// How many bytes a header of that kind has; 0 for those that this host does not know.
uint32_t bytes_of(uint32_t kind) {
    switch (static_cast<Kind>(kind)) {
    case Kind::supported_platform:
        return sizeof(SupportedPlatform);
    case Kind::guest_policy:
    case Kind::parameter_area:
        return sizeof(ParameterArea);
    case Kind::page_data:
        return sizeof(PageData);
    case Kind::parameter_insert:
        return sizeof(ParameterInsert);
    case Kind::vp_context:
        return sizeof(VpContext);
    case Kind::memory_map:
        return sizeof(Parameter);
    }
    return 0;
}

// Platforms, initialization, directives: none goes back.
unsigned section_of(uint32_t kind) {
    return (kind & ~kOptional) <= 0x100 ? 0 : (kind & ~kOptional) <= 0x200 ? 1 : 2;
}

bool page_is_there(const File& file, uint32_t offset) {
    return offset == 0 || (offset >= file.headers_end && offset <= file.bytes &&
                           file.bytes - offset >= kPageBytes);
}

const char* wrong_in(const File& file, const Header& header) {
    switch (header.kind) {
    case Kind::page_data: {
        const auto page = header.as<PageData>();
        if (page.gpa % kPageBytes != 0 || page.flags != 0)
            return "a page at no page's address, or with flags that are not served";
        return page_is_there(file, page.file_offset) ? nullptr : "a page that is not in the file";
    }
    case Kind::vp_context: {
        const auto context = header.as<VpContext>();
        if (context.index != 0)
            return "registers of another processor than the first";
        return context.file_offset != 0 && page_is_there(file, context.file_offset)
                   ? nullptr
                   : "registers that are not in the file";
    }
    case Kind::parameter_area: {
        const auto area = header.as<ParameterArea>();
        return area.bytes % kPageBytes == 0 && area.file_offset == 0
                   ? nullptr
                   : "a parameter area that is not whole pages of zeros";
    }
    case Kind::parameter_insert:
        return header.as<ParameterInsert>().gpa % kPageBytes == 0
                   ? nullptr
                   : "a parameter area at no page's address";
    default:
        return nullptr;
    }
}

File check_headers(File file) {
    unsigned section = 0;
    for (uint64_t at = file.headers; at != file.headers_end;) {
        HeaderHead head;
        const uint64_t left = file.headers_end - at;
        if (left < sizeof head || !read(file, at, head) || left - sizeof head < head.bytes)
            return wrong_at(file, at, "a header that is longer than what is left");
        const uint32_t due = bytes_of(head.kind);
        if (due == 0 && (head.kind & kOptional) == 0)
            return wrong_at(file, at, "a header of a kind that this host does not know");
        if (due != 0 && head.bytes != due)
            return wrong_at(file, at, "a header of another length than its kind has");
        if (section_of(head.kind) < section)
            return wrong_at(file, at, "a header behind those that it should stand before");
        section = section_of(head.kind);
        const Header header = {static_cast<Kind>(head.kind), file.data + at + sizeof head};
        if (const char* wrong = due != 0 ? wrong_in(file, header) : nullptr)
            return wrong_at(file, at, wrong);
        const uint64_t step = (sizeof head + head.bytes + kAlignment - 1) & ~(kAlignment - 1);
        if (step > left)
            return wrong_at(file, at, "a header without its padding");
        at += step;
    }
    return file;
}

} // namespace

File read_file(const uint8_t* data, uint64_t bytes) {
    const File file = read_fixed({data, bytes});
    return file.wrong != nullptr ? file : check_headers(file);
}

bool next_header(const File& file, uint64_t& at, Header& header) {
    if (at == file.headers_end)
        return false;
    HeaderHead head;
    read(file, at, head);
    header = {static_cast<Kind>(head.kind), file.data + at + sizeof head};
    at += (sizeof head + head.bytes + kAlignment - 1) & ~(kAlignment - 1);
    return true;
}

uint32_t mask_for(const File& file, Platform platform) {
    Header header;
    for (uint64_t at = file.headers; next_header(file, at, header);)
        if (header.kind == Kind::supported_platform) {
            const auto supported = header.as<SupportedPlatform>();
            if (supported.type == static_cast<uint8_t>(platform))
                return supported.mask;
        }
    return 0;
}

} // namespace sevhost::igvm
