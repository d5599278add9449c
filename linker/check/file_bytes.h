// A file as bytes, none of which is believed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace check {

using Bytes = std::span<const uint8_t>;

// A file that cannot be read, or that is none of a kind that is known.
struct Unreadable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Throws Unreadable.
std::vector<uint8_t> read_file(const std::string& path);

// That much of it; nothing if it is not all there.
inline std::optional<Bytes> bytes_at(Bytes file, uint64_t offset, uint64_t count) {
    if (offset > file.size() || count > file.size() - offset)
        return std::nullopt;
    return file.subspan(offset, count);
}

// Little-endian.
inline std::optional<uint64_t> number_at(Bytes file, uint64_t offset, unsigned count) {
    const std::optional<Bytes> bytes = bytes_at(file, offset, count);
    if (!bytes)
        return std::nullopt;
    uint64_t value = 0;
    for (unsigned i = 0; i != count; ++i)
        value |= uint64_t{(*bytes)[i]} << 8 * i;
    return value;
}

} // namespace check
