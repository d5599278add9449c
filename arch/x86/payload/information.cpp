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

// A copy of ACPI's root pointer, which need not lie in memory that is mapped; null where its
// length is none that it can have.
const uint8_t* read_rsdp(const prologue_handoff& handoff) {
    static uint8_t rsdp[kMostRsdpBytes];
    const prologue_cpus cpus = {.handoff = &handoff};
    Peephole peephole(tables_of(cpus));
    if (handoff.rsdp_phys == 0 || !peephole.is_there() ||
        !peephole.read(handoff.rsdp_phys, rsdp, kRsdp1Bytes))
        return nullptr;
    if (rsdp[15] < 2) // its revision
        return rsdp;
    if (!peephole.read(handoff.rsdp_phys, rsdp, kRsdp2Bytes))
        return nullptr;
    const uint64_t bytes = prologue_multiboot2_rsdp_bytes_(rsdp);
    return bytes >= kRsdp2Bytes && bytes <= sizeof rsdp &&
                   peephole.read(handoff.rsdp_phys, rsdp, bytes)
               ? rsdp
               : nullptr;
}

} // namespace

Information::Information(Way& way, Contract contract, const prologue_handoff& handoff)
    : way_(way),
      contract_(contract) {
    if (contract == Contract::handoff || contract == Contract::limine)
        return;
    bytes_ = bytes_for(handoff, 2 * (way.handoff().memory_count + Rooms::kMost));
    at_ = way.objects<uint8_t>(bytes_);
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
    }
    if (made == 0)
        refuse(Refusal::multiboot_modules);
    departure.rbx = phys;
}

void check_wishes(const ElfPayload& elf, const prologue_handoff& handoff) {
    if (elf.multiboot.wants_screen && handoff.framebuffer.phys == 0)
        refuse(Refusal::multiboot_screen);
}

} // namespace prologue
