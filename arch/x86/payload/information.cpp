#include "information.h"

#include "contract_magic.h"
#include "payload/pvh_info.h"
#include "payload/refusals.h"
#include "peephole.h"
#include "prologue/multiboot.h"

namespace prologue {
namespace {

constexpr uint64_t kMostRsdpBytes = 1024, kRsdp1Bytes = 20, kRsdp2Bytes = 36;

uint64_t bytes_for(const prologue_handoff& handoff, uint64_t most_ranges) {
    uint64_t bytes = pvh_info_bytes(handoff.module_count, most_ranges) + handoff.cmdline_bytes +
                     handoff.efi.memory_map_bytes + kMostRsdpBytes + kPage;
    for (uint64_t i = 0; i != handoff.module_count; ++i)
        bytes += handoff.modules[i].cmdline_bytes + 1;
    return bytes;
}

// A copy of ACPI's root pointer; null where its length is none that it can have.
const uint8_t* read_rsdp(const prologue_handoff& handoff) {
    static uint8_t rsdp[kMostRsdpBytes];
    const uint64_t phys = handoff.rsdp_phys;
    if (!read_firmware(handoff, phys, rsdp, kRsdp1Bytes))
        return nullptr;
    if (rsdp[15] < 2) // its revision
        return rsdp;
    if (!read_firmware(handoff, phys, rsdp, kRsdp2Bytes))
        return nullptr;
    const uint64_t bytes = prologue_multiboot2_rsdp_bytes_(rsdp);
    return bytes >= kRsdp2Bytes && bytes <= sizeof rsdp && read_firmware(handoff, phys, rsdp, bytes)
               ? rsdp
               : nullptr;
}

} // namespace

Information::Information(Way& way, const ElfPayload& elf, const prologue_module& file,
                         const prologue_handoff& handoff)
    : way_(way),
      file_(file),
      contract_(elf.contract) {
    if (contract_ == Contract::handoff || contract_ == Contract::limine)
        return;
    if (contract_ == Contract::multiboot2 || contract_ == Contract::multiboot2_64)
        sections_ = read_sections(way.seen(file.start), file.bytes);
    const uint64_t unloaded = unloaded_bytes(sections_, file.bytes);
    if (unloaded != 0)
        unloaded_ = way.room(unloaded);
    bytes_ = bytes_for(handoff, 2 * (way.handoff().memory_count + Rooms::kMost)) +
             sections_.bytes();
    at_ = way.objects<uint8_t>(bytes_);
}

void Information::add_sections() const {
    if (sections_.count != 0)
        put_sections(sections_, way_.seen(file_.start), file_.bytes,
                     add_tag(at_, kElfSectionsTag, kSectionsHead + sections_.bytes()),
                     way_.seen(unloaded_.start), unloaded_.start);
}

void Information::add_smbios() const {
    uint8_t entry[kMostSmbios];
    if (!read_firmware(way_.handoff(), way_.handoff().smbios_phys, entry, sizeof entry))
        return;
    const uint64_t bytes = smbios_bytes(entry);
    if (bytes != 0)
        put_smbios(entry, add_tag(at_, kSmbiosTag, kSmbiosHead + bytes));
}

void Information::fill(const prologue_handoff& handoff, Departure& departure) const {
    const uint64_t phys = way_.phys_of(at_);
    uint64_t made = 1;
    if (contract_ == Contract::multiboot1) {
        made = prologue_make_multiboot1(&handoff, at_, bytes_, phys);
        departure.rax = MULTIBOOT1_MAGIC;
    } else if (contract_ == Contract::pvh || contract_ == Contract::pvh64) {
        make_pvh_info(handoff, way_.handoff().direct_map, at_, phys);
    } else {
        made = prologue_make_multiboot2(&handoff, at_, bytes_, read_rsdp(way_.handoff()));
        departure.rax = MULTIBOOT2_MAGIC;
        if (made != 0) {
            add_sections();
            add_smbios();
        }
    }
    if (made == 0)
        refuse(Refusal::multiboot_modules);
    departure.rbx = phys;
}

void check_wishes(const ElfPayload& elf, const prologue_handoff& handoff) {
    if (elf.multiboot.wants_screen && handoff.framebuffer.phys == 0)
        refuse(Refusal::multiboot_screen);
}

bool read_firmware(const prologue_handoff& handoff, uint64_t phys, void* to, uint64_t bytes) {
    const prologue_cpus cpus = {.handoff = &handoff};
    Peephole peephole(tables_of(cpus));
    return phys != 0 && peephole.is_there() && peephole.read(phys, to, bytes);
}

} // namespace prologue
