// What SNP firmware puts into a guest: the CPUID page (SNP ABI 56860, 8.17.2.6), the
// secrets page (8.17.2.5); and the blob by which Linux's loaders tell of them.
#include "guest_cpuid.h"
#include "launch.h"
#include "outcome.h"
#include "place.h"
#include "snp_pages.h"

namespace sevhost {
namespace {

// Leaves whose answer depends on ECX, and how many of it there can be.
struct Indexed {
    uint32_t leaf, subleaves;
};
constexpr Indexed kIndexed[] = {{4, 4}, {7, 2}, {0xb, 2}, {kCpuidXsave, 2}, {0x14, 2}};
constexpr uint64_t kXcr0AtReset = 1;

uint32_t subleaves_of(uint32_t leaf) {
    for (const Indexed& indexed : kIndexed)
        if (leaf == indexed.leaf)
            return indexed.subleaves;
    return 1;
}

void add_leaves(const Guest& guest, CpuidPage& page, uint32_t first) {
    const uint32_t last = guest_cpuid(guest, first, 0).eax;
    for (uint32_t leaf = first; leaf <= last; ++leaf) {
        for (uint32_t subleaf = 0; subleaf != subleaves_of(leaf); ++subleaf) {
            const Cpuid r = guest_cpuid(guest, leaf, subleaf);
            if ((r.eax | r.ebx | r.ecx | r.edx) == 0)
                continue; // what the page does not have reads as zeros
            if (page.count == kMaxCpuidEntries)
                fail("the CPUID page has room for ", decimal(kMaxCpuidEntries), " entries only");
            page.entries[page.count++] = {leaf,  subleaf, leaf == kCpuidXsave ? kXcr0AtReset : 0,
                                          0,     r.eax,   r.ebx,
                                          r.ecx, r.edx,   0};
        }
    }
}

template <typename Page>
void place_page(Guest& guest, GuestPhys gpa, const Page& page, const char* what) {
    if (gpa == 0)
        return; // the guest does not ask for it
    if (gpa % kPageBytes != 0)
        fail("the image's note puts ", what, " at ", hex(gpa), ", which is no page's address");
    place_zeros(guest, gpa, kPageBytes, what);
    place_bytes(guest, gpa, &page, sizeof page, what);
}

} // namespace

void place_snp_pages(Guest& guest) {
    static CpuidPage page;
    add_leaves(guest, page, 0);
    add_leaves(guest, page, kCpuidExtendedMax);
    place_page(guest, guest.snp_pages.cpuid, page, "the CPUID page");

    SecretsPage secrets = {};
    secrets.version = kSecretsVersion;
    secrets.family_model_stepping = guest_cpuid(guest, kCpuidFeatures, 0).eax;
    uint64_t random = read_tsc(); // keys of nothing: there is no firmware to talk to
    for (auto& key : secrets.keys)
        for (uint8_t& byte : key) {
            random = random * 6364136223846793005 + 1442695040888963407;
            byte = static_cast<uint8_t>(random >> 56);
        }
    place_page(guest, guest.snp_pages.secrets, secrets, "the secrets page");

    const CcBlob blob = {
        kCcBlobMagic,          0,          0, guest.snp_pages.secrets, kPageBytes, 0,
        guest.snp_pages.cpuid, kPageBytes, 0};
    if (guest.snp_pages.blob != 0)
        place_bytes(guest, guest.snp_pages.blob, &blob, sizeof blob, "the blob of SNP's pages");
}

} // namespace sevhost
