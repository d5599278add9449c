#include "setup_data.h"

#include "bits.h"
#include "msr_protocol.h"

namespace prologue {
namespace {

constexpr uint32_t kBlobAddressAt = 0x13c, kSetupDataAt = 0x250;
constexpr uint32_t kTypeBlob = 7;
constexpr unsigned kMostEntries = 64; // a list that never ends must not hang us

struct SetupData {
    uint32_t next, next_high;
    uint32_t type, bytes;
    uint32_t blob;
};

struct Blob {
    static constexpr uint32_t kMagic = 0x45444d41; // "AMDE"
    uint32_t magic;
    uint16_t version, reserved;
    uint32_t secrets, secrets_high, secrets_bytes, reserved1;
    uint32_t cpuid, cpuid_high, cpuid_bytes, reserved2;
};
static_assert(sizeof(Blob) == 40);

template <class T>
const T* seen(uint32_t address) {
    return reinterpret_cast<const T*>(static_cast<uintptr_t>(address));
}

uint32_t find_blob(uint32_t boot_params) {
    const uint32_t direct = *seen<uint32_t>(boot_params + kBlobAddressAt);
    if (direct != 0)
        return direct;
    uint32_t at = *seen<uint32_t>(boot_params + kSetupDataAt);
    for (unsigned left = kMostEntries; at != 0 && left != 0; --left) {
        const auto* data = seen<SetupData>(at);
        if (data->type == kTypeBlob)
            return data->blob;
        at = data->next_high == 0 ? data->next : 0;
    }
    return 0;
}

}  // namespace

bool find_linux_snp_pages(uint32_t boot_params, uint64_t& cpuid_page, uint64_t& secrets_page) {
    const uint32_t at = find_blob(boot_params);
    if (at == 0)
        return false;
    const auto* blob = seen<Blob>(at);
    if (blob->magic != Blob::kMagic || (blob->cpuid_high | blob->secrets_high) != 0 ||
        ((blob->cpuid | blob->secrets) & (PAGE_BYTES - 1)) != 0 ||
        blob->cpuid_bytes < PAGE_BYTES || blob->secrets_bytes < PAGE_BYTES)
        sev_terminate(PROLOGUE_SEV_CPUID_PAGE);
    cpuid_page = blob->cpuid;
    secrets_page = blob->secrets;
    return true;
}

}  // namespace prologue
