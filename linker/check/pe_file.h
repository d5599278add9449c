// A kernel's PE image, as prologue-bzimage makes it: what firmware looks at, and what
// the stub in it is told of the kernel. Source: Microsoft's PE format.
#pragma once

#include <string>
#include <vector>

#include "file_bytes.h"
#include "loaders.h"

namespace check {

struct PeSection {
    std::string name;
    uint64_t address, bytes, offset, file_bytes; // in the image, and in the file
    bool code, readable, writable, executable;

    uint64_t end() const { return address + bytes; }
    uint64_t file_end() const { return offset + file_bytes; }
};

struct PeDirectory {
    uint64_t start, bytes;
};

// arch/x86/efi/stub_header.h.
struct PeStub {
    uint64_t kernel_address; // in the image; what wraps is outside of it
    uint64_t kernel_bytes, load_start, memory_bytes, kernel_entry;
};

class PeFile : public Candidate {
public:
    // By its first two bytes. A DOS program begins so, too.
    static bool is_one(Bytes contents);
    explicit PeFile(std::vector<uint8_t> contents);

    Bytes contents() const { return contents_; }

    // Where the file has ended before, what is read is 0, and this says what is missing.
    std::string missing;

    uint64_t header; // in the file
    uint64_t signature, machine, section_count, optional_bytes, characteristics;
    uint64_t magic, entry_address, section_alignment, file_alignment, image_bytes, headers_bytes,
        subsystem, dll_characteristics;
    PeDirectory certificates = {}, relocations = {};
    uint64_t table_end; // of the section headers
    std::vector<PeSection> sections;
    std::optional<PeStub> stub;

    // The section that holds so much of the image, with bytes in the file.
    const PeSection* holding(uint64_t address, uint64_t bytes) const;

    bool carries(Contract contract) const override { return contract == Contract::efi; }
    std::optional<uint64_t> entry(LoaderId loader) const override;

private:
    uint64_t field(uint64_t offset, unsigned count, const char* of);
    void read_headers();
    void read_sections();
    void find_stub();

    std::vector<uint8_t> contents_;
};

} // namespace check
