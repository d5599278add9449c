// A PE image with anything in it: prologue-check has a word for it, and for what is right an entry.
#include "fuzzing.h"

#include "checks.h"
#include "pe_image.h"

namespace prologue::test {
namespace {

void try_file(const uint8_t* data, size_t size) {
    const check::PeFile file(std::vector<uint8_t>(data, data + size));
    const check::Findings findings = check::check_pe(file, std::nullopt);
    if (findings.refused(findings.asked()))
        return;
    must(file.entry(check::efi_firmware).has_value(), "what is taken is entered somewhere");
    for (const check::PeSection& section : file.sections)
        must(section.file_end() <= size && section.end() <= file.image_bytes,
             "what is taken is all there");
}

std::vector<Input> seeds() {
    const check::test::PeImage image;
    return {image.bytes, {image.bytes.begin(), image.bytes.begin() + check::test::kHeaders}};
}

} // namespace
} // namespace prologue::test

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    prologue::test::write_seeds_if_asked(*argc, *argv, prologue::test::seeds);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    prologue::test::try_file(data, size);
    return 0;
}
