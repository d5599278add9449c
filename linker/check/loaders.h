// The loaders that prologue-check knows, and sets of them.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string_view>

namespace check {

// How a loader finds its way into a kernel.
enum class Contract { pvh, multiboot1, multiboot2, vmd, freebsd, efi, igvm, kexec };

enum LoaderId {
    qemu_pvh,
    qemu_multiboot1,
    grub_multiboot1,
    grub_multiboot2,
    grub_efi,
    xen_pvh,
    cloud_hypervisor,
    firecracker,
    openbsd_vmd,
    freebsd_userboot,
    efi_firmware,
    igvm_host,
    kexec_elf,
    kLoaderCount,
};

struct Loader {
    std::string_view name;
    Contract contract;
};

inline constexpr std::array<Loader, kLoaderCount> kLoaders = {{
    {"qemu-pvh", Contract::pvh},
    {"qemu-multiboot1", Contract::multiboot1},
    {"grub-multiboot1", Contract::multiboot1},
    {"grub-multiboot2", Contract::multiboot2},
    {"grub-efi", Contract::multiboot2},
    {"xen-pvh", Contract::pvh},
    {"cloud-hypervisor", Contract::pvh},
    {"firecracker", Contract::pvh},
    {"openbsd-vmd", Contract::vmd},
    {"freebsd-userboot", Contract::freebsd},
    {"efi", Contract::efi},
    {"igvm", Contract::igvm},
    {"kexec-elf", Contract::kexec},
}};

// A file that loaders are asked about.
struct Candidate {
    virtual ~Candidate() = default;
    // Is it there, or ought it to be?
    virtual bool carries(Contract contract) const = 0;
    // The physical address at which a loader enters, if it finds that.
    virtual std::optional<uint64_t> entry(LoaderId loader) const = 0;
};

using Loaders = std::bitset<kLoaderCount>;

constexpr std::string_view name_of(Contract contract) {
    switch (contract) {
    case Contract::pvh:
        return "pvh";
    case Contract::multiboot1:
        return "multiboot1";
    case Contract::multiboot2:
        return "multiboot2";
    case Contract::vmd:
        return "vmd";
    case Contract::freebsd:
        return "freebsd";
    case Contract::efi:
        return "efi";
    case Contract::igvm:
        return "igvm";
    case Contract::kexec:
        return "kexec";
    }
    return "none";
}

template <class... Ids>
Loaders set_of(Ids... ids) {
    Loaders set;
    (set.set(ids), ...);
    return set;
}

inline Loaders loaders_by(Contract contract) {
    Loaders set;
    for (unsigned i = 0; i != kLoaderCount; ++i)
        set[i] = kLoaders[i].contract == contract;
    return set;
}

inline Loaders every_loader() {
    return Loaders().set();
}

inline std::optional<LoaderId> loader_named(std::string_view name) {
    for (unsigned i = 0; i != kLoaderCount; ++i)
        if (kLoaders[i].name == name)
            return static_cast<LoaderId>(i);
    return std::nullopt;
}

} // namespace check
