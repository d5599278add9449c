// Linux: by its 64-bit protocol, entered 0x200 behind its start, with all RAM at its own address; or
// by the 32-bit one, at its start, without paging. RSI, or ESI, has boot_params. Source: Linux,
// Documentation/arch/x86/boot.rst.
#include "bits.h"
#include "payload/linux_image.h"
#include "payload/refusals.h"
#include "way.h"

namespace prologue {
namespace {

constexpr uint64_t kStackBytes = 4096;
constexpr unsigned kBootCs = 0x10, kBootDs = 0x18; // as the protocols say
constexpr unsigned kTask = 0x28;

// Where it prefers to lie, or, where that is taken, anywhere.
uint64_t claim_place(Way& way, const LinuxImage& image) {
    const Span preferred = {image.preferred, page_up(image.preferred + image.init_bytes)};
    if (way.can_claim(preferred) || !image.is_relocatable) {
        way.claim(preferred);
        return preferred.start;
    }
    const Span room = way.room(page_up(image.init_bytes) + image.alignment);
    return (room.start + image.alignment - 1) & ~(image.alignment - 1);
}

void fill_descriptors(Way& way, bool is_32_bit, Departure& departure) {
    departure.descriptors[kBootCs / 8] = is_32_bit ? kCode32 : kCode64;
    departure.descriptors[kBootDs / 8] = kData;
    departure.descriptors[kTask / 8] = kTask32;
    departure.gdt = {sizeof departure.descriptors - 1, way.phys_of(departure.descriptors), {}};
    departure.code = kBootCs;
    departure.data = kBootDs;
    if (is_32_bit) {
        departure.code32 = kBootCs;
        departure.tss = kTask;
    }
}

// More than one initrd is one behind the other: Linux wants each archive at a multiple of four, and
// skips zeroes (Documentation/driver-api/early-userspace/buffer-format.rst).
Span join_initrds(Way& way, uint64_t limit) {
    const prologue_module* const initrds = way.handoff().modules + 1;
    const auto padded = [](uint64_t bytes) { return (bytes + 3) & ~uint64_t{3}; };
    uint64_t bytes = 0;
    for (uint64_t i = 0; i != way.module_count(); ++i)
        bytes += padded(initrds[i].bytes);
    Span joined = {way.room(bytes, limit).start, 0};
    joined.end = joined.start;
    for (uint64_t i = 0; i != way.module_count(); ++i) {
        way.move({initrds[i].start, joined.end, initrds[i].bytes});
        joined.end += padded(initrds[i].bytes);
    }
    return joined;
}

// One initrd stays where it is if it may be there.
Span place_initrd(Way& way, uint64_t limit, const prologue_module*& modules) {
    modules = way.handoff().modules + 1;
    const Span first = {modules->start, modules->start + modules->bytes};
    if (way.module_count() > 1 ||
        (way.module_count() == 1 && (first.end > limit || way.is_claimed(first))))
        return join_initrds(way, limit < 4 * kGiB ? limit : 4 * kGiB);
    modules = way.place_modules();
    return way.module_count() == 0 ? Span{} : first;
}

// Linux uses these pages, and knows by the memory map alone that nobody else may.
Confidential keep_confidential(Way& way) {
    const prologue_sev& sev = way.handoff().sev;
    if ((sev.status & PROLOGUE_SEV_STATUS_SNP) == 0)
        return {};
    if (sev.cpuid_page_phys == 0 || sev.secrets_page_phys == 0)
        refuse_in("SNP's launch has filled no CPUID and secrets pages for it",
                  Refusal::linux_header, sev.cpuid_page_phys, sev.secrets_page_phys);
    Confidential kept = {sev.cpuid_page_phys, sev.secrets_page_phys};
    way.keep_snp_page(kept.cpuid_phys, false);
    way.keep_snp_page(kept.secrets_phys, true);
    kept.blob = way.objects<ConfidentialBlob>();
    kept.blob_phys = way.phys_of(kept.blob);
    kept.piece = way.objects<ConfidentialComputingPiece>();
    kept.piece_phys = way.phys_of(kept.piece);
    return kept;
}

void reserve(MemoryMap& memory, const Confidential& kept) {
    const uint64_t pages[] = {kept.cpuid_phys, kept.secrets_phys, kept.blob_phys};
    for (const uint64_t page : pages)
        if (page != 0)
            memory.overlay({page, page + kPage}, PROLOGUE_MEMORY_RESERVED);
}

} // namespace

void start_linux(Way& way, const prologue_module& file, Contract wished) {
    const uint8_t* const bytes = way.seen(file.start);
    const LinuxImage image = read_linux(bytes, file.bytes, wished);
    way.check_contract(image.contract);
    const prologue_handoff& from = way.handoff();
    if (from.cmdline_bytes > image.most_cmdline)
        refuse_in("the command line is longer than it takes", Refusal::linux_header,
                  from.cmdline_bytes, image.most_cmdline);

    const uint64_t start = claim_place(way, image);
    way.move({file.start + image.kernel_offset, start, image.kernel_bytes});
    const prologue_module* modules;
    const Span initrd = place_initrd(way, image.initrd_limit, modules);

    const char* const cmdline = way.copy(from.cmdline, from.cmdline_bytes + 1);
    auto* const params = way.objects<BootParams>();
    const uint64_t most_entries = from.memory_count + Rooms::kMost;
    auto* const more_e820 = reinterpret_cast<SetupData*>(
        way.objects<uint8_t>(sizeof(SetupData) + most_entries * sizeof(RawRange)));
    const Span stack = way.room(kStackBytes);
    const Confidential confidential = keep_confidential(way);
    way.accept_bios_memory();
    way.give_back_ghcb();
    Departure& departure = way.departure();
    const uint64_t tables = way.moving_tables();
    MemoryMap memory = way.memory(modules);
    reserve(memory, confidential);
    const LinuxGuest guest = {memory.begin(), memory.size(),          way.phys_of(cmdline), initrd,
                              more_e820,      way.phys_of(more_e820), confidential};
    fill_boot_params(*params, bytes, from, guest);

    fill_descriptors(way, image.is_32_bit(), departure);
    departure.cr3 = tables;
    departure.entry = start + image.entry;
    departure.rsp = stack.end;
    departure.rsi = way.phys_of(params);
    way.go(tables);
}

} // namespace prologue
