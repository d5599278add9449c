#include "file_bytes.h"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace check {

std::vector<uint8_t> read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream)
        throw Unreadable(path + ": " + std::strerror(errno));
    std::vector<uint8_t> contents;
    char buffer[65536];
    while (stream.read(buffer, sizeof buffer), stream.gcount() > 0)
        contents.insert(contents.end(), buffer, buffer + stream.gcount());
    if (stream.bad() || !stream.eof())
        throw Unreadable(path + ": cannot be read");
    return contents;
}

} // namespace check
