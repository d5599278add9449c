// What leads to SNP's pages: memory that holds anything, by each contract that has a word for them.
#include "confidential.h"
#include "confidential_images.h"
#include "contract_magic.h"
#include "fuzzing.h"
#include "seams.h"

#include <algorithm>

namespace prologue::test {
namespace {

using namespace confidential;

constexpr ImageWithPages kImage = {{0x10000, 0x20000}, 0x1e000, 0x1f000};

// An input is what lies in memory from kInfo on; its first byte says whose it is.
void fuzz_confidential(const uint8_t* data, size_t size) {
    if (size < 2)
        return;
    FakeMemory memory(kMemory);
    memory.put_bytes(kInfo, data + 1, std::min<size_t>(size - 1, kMemory - kInfo));
    const uint32_t magic = (data[0] & 1) != 0 ? LINUX_MAGIC : MULTIBOOT2_MAGIC;
    const ConfidentialPages found = find_confidential_pages(memory.seen, magic, kInfo);
    if (found.wrong)
        return;
    for (const Span& span : {found.blob, found.system_table, found.efi_tables})
        must(span.start <= span.end && (span.bytes() == 0 || span.start < kMostPhysical),
             "what led there lies somewhere");
    must(found.told == (found.blob.bytes() == 40), "a blob that is told of is there");
    must(!found.told || (found.cpuid.start % kPage == 0 && found.cpuid.bytes() == kPage &&
                         found.secrets.start % kPage == 0 && found.cpuid.start < kMostPhysical &&
                         (found.secrets.start == 0 || found.secrets.bytes() == kPage)),
         "pages are pages");
    if (!found.told || !lie_apart(found, kImage))
        return;
    for (const Span& span : {found.blob, found.information, found.system_table, found.efi_tables})
        must(!found.cpuid.overlaps(span) && !found.secrets.overlaps(span),
             "nothing lies on the two");
    must(!found.cpuid.overlaps(found.secrets), "the two are two");
}

Input input_of(const FakeMemory& memory, uint8_t whose) {
    Input input = {whose};
    input.insert(input.end(), memory.at(kInfo), memory.at(kInfo) + (kMemory - kInfo));
    return input;
}

std::vector<Input> seeds() {
    std::vector<Input> seeds;
    for (const unsigned pieces : {1, 3}) {
        FakeMemory by_data(kMemory), by_params(kMemory), by_tag(kMemory);
        for (FakeMemory* memory : {&by_data, &by_params, &by_tag})
            put_blob(*memory);
        put_setup_data(by_data, pieces);
        put_boot_params(by_params);
        put_multiboot2(by_tag);
        put_efi(by_params, pieces);
        put_efi(by_tag, pieces);
        seeds.push_back(input_of(by_data, 1));
        seeds.push_back(input_of(by_params, 1));
        seeds.push_back(input_of(by_tag, 0));
        for (const uint64_t at : {uint64_t{0x10000}, uint64_t{0x1e000}, kCpuidPage, uint64_t{0}}) {
            // On the image, in the other's place, on the other, nowhere.
            by_data.put<uint64_t>(kBlob + kSecrets, at);
            by_data.put<uint32_t>(kBlob + kSecretsBytes, 0x3ffff000);
            seeds.push_back(input_of(by_data, 1));
        }
    }
    return seeds;
}

} // namespace
} // namespace prologue::test

BEGINS_WITH(prologue::test::seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    prologue::test::fuzz_confidential(data, size);
    return 0;
}
