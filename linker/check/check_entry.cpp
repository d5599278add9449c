// e_entry: GRUB enters there by Multiboot 2, others look at it or cut bits off.
#include "checks.h"

#include "ranges.h"

namespace check {
namespace {

// For loaders that look for no header: nothing else would say so.
void check_carried(const Kernel& kernel, LoaderId loader, const char* why, Findings& findings) {
    if (!kernel.carries(kLoaders[loader].contract))
        findings.add(Rule::contract_not_carried, set_of(loader), why);
}

// A contract without a magic, by a loader that keeps some bits of e_entry alone.
void check_masked(const Kernel& kernel, LoaderId loader, Findings& findings) {
    check_carried(kernel, loader, "it enters with no magic, and Prologue would not know it",
                  findings);
    const std::optional<uint64_t> physical = kernel.file.physical(kernel.file.entry);
    const std::optional<uint64_t> kept = kernel.entry(loader);
    if (physical && kept != physical)
        findings.add(Rule::entry_changed_by_mask, set_of(loader),
                     sentence("of 0x%lx is left 0x%lx; the entry lies at 0x%lx", kernel.file.entry,
                              *kept, *physical));
}

// kexec goes where e_entry says, whatever the segments' physical addresses are.
void check_kexec(const Kernel& kernel, Findings& findings) {
    check_carried(kernel, kexec_elf,
                  "it has neither boot_params nor Multiboot 2's information to take", findings);
    const std::optional<uint64_t> physical = kernel.file.physical(kernel.file.entry);
    if (physical && kernel.file.entry != *physical)
        findings.add(
            Rule::entry_not_physical, set_of(kexec_elf),
            sentence("e_entry is 0x%lx; the entry lies at 0x%lx", kernel.file.entry, *physical));
}

// Those that enter there, since no header names another entry.
Loaders users_of_e_entry(const Kernel& kernel) {
    Loaders users = set_of(grub_multiboot2, grub_efi, openbsd_vmd, freebsd_userboot);
    if (const auto header = kernel.multiboot2_header())
        users[grub_multiboot2] = users[grub_efi] = !multiboot2_fields(kernel.file, *header).entry;
    if (const auto header = kernel.multiboot1_header(grub_multiboot1))
        users[grub_multiboot1] = !multiboot1_fields(kernel.file, *header).has_addresses();
    return users;
}

} // namespace

void check_entry(const Kernel& kernel, Findings& findings) {
    const ElfFile& file = kernel.file;
    const Loaders users = users_of_e_entry(kernel);
    const std::optional<Segment> segment = file.holding_virtual(file.entry);
    const auto start = file.symbol("prologue_start");
    if (!segment)
        findings.add(Rule::entry_outside, users, sentence("e_entry is 0x%lx", file.entry));
    else if (!segment->executable)
        findings.add(Rule::entry_not_executable, users,
                     sentence("e_entry, 0x%lx, is in segment %u", file.entry, segment->index));
    else if (start && file.entry != *start)
        findings.add(Rule::entry_elsewhere, users,
                     sentence("e_entry is 0x%lx, prologue_start 0x%lx", file.entry, *start));
    if (file.entry < prologue::kMiB)
        findings.add(Rule::entry_below_1m, set_of(cloud_hypervisor, firecracker),
                     sentence("e_entry is 0x%lx", file.entry));
    check_masked(kernel, openbsd_vmd, findings);
    check_masked(kernel, freebsd_userboot, findings);
    check_kexec(kernel, findings);
    check_carried(kernel, efi_firmware, "prologue-bzimage makes no PE image of it", findings);
    check_carried(kernel, igvm_host, "prologue-igvm makes no file of it", findings);
}

} // namespace check
