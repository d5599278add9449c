#include "kernel.h"

#include <algorithm>
#include <string_view>

#include <elf.h>

#include "igvm_note.h"

namespace check {
namespace {

// How every fatal line of Prologue's begins: in each image that it is linked to.
constexpr std::string_view kFatalLine = "prologue: fatal: ";

bool holds_fatal_line(Bytes bytes) {
    return std::search(bytes.begin(), bytes.end(), kFatalLine.begin(), kFatalLine.end()) !=
           bytes.end();
}

// In what is loaded, or, if that cannot be told, anywhere.
bool find_prologue(const ElfFile& file) {
    if (file.symbol("prologue_start"))
        return true;
    if (file.loads.empty())
        return holds_fatal_line(file.contents());
    return std::any_of(file.loads.begin(), file.loads.end(), [&](const Segment& segment) {
        const std::optional<Bytes> bytes = file.at(segment.offset, segment.file_bytes);
        return bytes && holds_fatal_line(*bytes);
    });
}

} // namespace

Kernel::Kernel(ElfFile elf)
    : file(std::move(elf)),
      wishes(read_wishes(file)),
      has_prologue(find_prologue(file)),
      pvh_notes(find_pvh_notes(file)),
      multiboot1(find_multiboot1(file)),
      multiboot2(find_multiboot2(file)) {}

std::vector<Note> find_pvh_notes(const ElfFile& file) {
    std::vector<Note> found;
    for (const Note& note : file.notes)
        if (note.owner == "Xen" && note.type == kPvhNote)
            found.push_back(note);
    const std::optional<uint64_t> symbol = file.symbol("prologue_pvh");
    const std::optional<uint64_t> own = symbol ? file.offset_of(*symbol) : std::nullopt;
    std::stable_partition(found.begin(), found.end(),
                          [&](const Note& note) { return own && note.offset == *own; });
    return found;
}

bool Kernel::is_own_header(uint64_t offset, std::string_view symbol) const {
    if (!file.symbol("prologue_start")) // stripped, or without Prologue
        return true;
    const std::optional<uint64_t> own = file.symbol(symbol);
    return own && file.offset_of(*own) == offset;
}

// As prologue-igvm reads the note (igvm_note.h).
static std::optional<uint64_t> igvm_entry(const ElfFile& file) {
    for (const Note& note : file.notes) {
        if (note.owner != PROLOGUE_NOTE_OWNER || note.type != IGVM_NOTE || note.truncated)
            continue;
        const uint64_t field = note.desc_offset + sizeof(uint32_t);
        const std::optional<uint64_t> phys = file.physical_of_file(field);
        const auto to_entry = static_cast<int32_t>(file.word(field));
        return phys ? std::optional(*phys + static_cast<int64_t>(to_entry)) : std::nullopt;
    }
    return std::nullopt;
}

std::optional<uint64_t> Kernel::multiboot1_header(LoaderId loader) const {
    return multiboot1.taken(kMultiboot1Reach, kMultiboot1Alignment,
                            loader == qemu_multiboot1 ? kQemuHeaderBytes : kGrubHeaderBytes);
}

std::optional<uint64_t> Kernel::multiboot2_header() const {
    return multiboot2.taken(kMultiboot2Reach, kMultiboot2Alignment, kGrubHeaderBytes);
}

bool Kernel::carries(Contract contract) const {
    const uint64_t wished = has_prologue ? wishes.headers : 0;
    switch (contract) {
    case Contract::pvh:
        return (wished & PROLOGUE_HEADER_pvh) != 0 || !pvh_notes.empty();
    case Contract::multiboot1:
        return (wished & PROLOGUE_HEADER_multiboot1) != 0 || multiboot1_header(grub_multiboot1) ||
               file.symbol("prologue_multiboot1");
    case Contract::multiboot2:
        return (wished & PROLOGUE_HEADER_multiboot2) != 0 || multiboot2_header();
    case Contract::vmd:
        return (wished & PROLOGUE_HEADER_vmd) != 0 || file.symbol("prologue_vmd");
    case Contract::freebsd:
        return (wished & PROLOGUE_HEADER_freebsd) != 0 || file.symbol("prologue_freebsd");
    case Contract::efi: // the stub enters as a loader of Linux
        return (wished & PROLOGUE_HEADER_linux) != 0 || file.symbol("prologue_linux");
    case Contract::igvm:
        return (wished & PROLOGUE_HEADER_igvm) != 0 || file.symbol("prologue_igvm");
    case Contract::kexec: // Linux's boot_params, or Multiboot 2's information
        return carries(Contract::efi) || carries(Contract::multiboot2);
    }
    return false;
}

Loaders Kernel::carried_loaders() const {
    Loaders set;
    for (unsigned i = 0; i != kLoaderCount; ++i)
        set[i] = carries(kLoaders[i].contract);
    // QEMU looks for Multiboot 1 first.
    if (multiboot1_header(qemu_multiboot1))
        set.reset(qemu_pvh);
    set.reset(kexec_elf); // for which a kernel must lie low: who means that names it
    if (set.none())       // nothing of ours, nor of others': what Prologue would bring
        set = loaders_by(Contract::pvh) | loaders_by(Contract::multiboot2);
    return set;
}

std::optional<uint64_t> Kernel::entry(LoaderId loader) const {
    switch (kLoaders[loader].contract) {
    case Contract::pvh:
        if (pvh_notes.empty())
            return std::nullopt;
        return file.number(pvh_notes[0].desc_offset, 4);
    case Contract::multiboot1:
        if (const auto header = multiboot1_header(loader)) {
            const Multiboot1Header fields = multiboot1_fields(file, *header);
            if (fields.has_addresses())
                return fields.entry_addr;
        }
        return file.physical(file.entry);
    case Contract::multiboot2:
        if (const auto header = multiboot2_header())
            if (const auto entry = multiboot2_fields(file, *header).entry)
                return entry;
        return file.physical(file.entry);
    case Contract::vmd:
        return file.entry & kVmdEntryMask;
    case Contract::freebsd:
        return file.entry & kFreebsdEntryMask;
    case Contract::kexec:
        return file.entry;
    case Contract::efi:
        if (file.loads.empty())
            return std::nullopt;
        return file.loads.front().phys + kLinux64Entry;
    case Contract::igvm:
        return igvm_entry(file);
    }
    return std::nullopt;
}

} // namespace check
