#include "guest.h"

#include "exceptions.h"
#include "ghcb.h"
#include "start_info.h"
#include "tables.h"

namespace {

constexpr uint32_t kMarker = 0x4b52414d; // qemu/sevhost/host/exits.cpp
constexpr uint16_t kExitPort = 0xf4;     // QEMU's exit device, for guests without #VC
constexpr uint8_t kExitSuccess = 0x10, kExitFatal = 0x20;

const StartInfo* info_at_entry;
uint64_t sev_status, ghcb_msr_first;

bool equal(const char* a, const char* b) {
    while (*a && *a == *b)
        ++a, ++b;
    return *a == *b;
}

} // namespace

void mark(Word value) {
    asm volatile("vmmcall" : : "a"(kMarker), "b"(value) : "memory");
}

static void mark_all(uint64_t value) {
    mark(static_cast<Word>(value));
    if (!kLong)
        mark(static_cast<Word>(value >> 32));
}

void note(const char* name, uint64_t value) {
    uint64_t letters = 0;
    for (unsigned i = 0; name[i]; ++i)
        letters |= uint64_t{static_cast<uint8_t>(name[i])} << 8 * i;
    mark_all(letters);
    mark_all(value);
}

void terminate(Reason reason) {
    if (sev_status & kSevStatusEs) {
        write_msr(kMsrGhcb,
                  kGhcbTerminate | kReasonSet << 12 | static_cast<unsigned>(reason) << 16);
        vmgexit();
    }
    asm volatile("outb %0, %1"
                 :
                 : "a"(reason == Reason::done ? kExitSuccess : kExitFatal), "Nd"(kExitPort));
    for (;;)
        asm volatile("cli; hlt");
}

void fail(unsigned line, uint64_t found, uint64_t expected) {
    mark(line);
    mark(static_cast<Word>(found));
    mark(static_cast<Word>(expected));
    if (!kLong) {
        mark(static_cast<Word>(found >> 32));
        mark(static_cast<Word>(expected >> 32));
    }
    terminate(Reason::unexpected);
}

bool encrypted() {
    return sev_status & kSevStatusEs;
}
bool snp() {
    return sev_status & kSevStatusSnp;
}
uint64_t ghcb_msr_at_entry() {
    return ghcb_msr_first;
}

#ifdef __x86_64__
// In CR3, where the entry has put it; the tables lie below 4 GiB.
uint64_t c_bit_mask() {
    uint64_t cr3;
    asm("mov %%cr3, %0" : "=r"(cr3));
    return cr3 & 0xffffffff00000000;
}
#else
// SEV_INFO tells it, or else the one request that every host answers; what the MSR held stays.
uint64_t c_bit_mask() {
    constexpr uint64_t kEncryptionEbx = 0x8000001f'40000004, kSevInfo = 1;
    static uint64_t mask;
    if (mask == 0 && (ghcb_msr_first & kGhcbCode) == kSevInfo)
        mask = uint64_t{1} << (ghcb_msr_first >> 24 & 63);
    if (mask == 0 && encrypted()) {
        const uint64_t held = read_msr(kMsrGhcb);
        mask = uint64_t{1} << (ask_by_msr(kEncryptionEbx) >> 32 & 63);
        write_msr(kMsrGhcb, held);
    }
    return mask;
}
#endif

const StartInfo& start_info() {
    return *info_at_entry;
}

extern "C" [[noreturn]] void guest_main(const StartInfo* info) {
    info_at_entry = info;
    sev_status = read_msr(kMsrSevStatus);
    if (encrypted())
        ghcb_msr_first = read_msr(kMsrGhcb);
    set_up_tables();
    const char* wanted = pointer<char>(info->cmdline);
    for (unsigned i = 0; i != scene_count; ++i) {
        if (equal(scenes[i].name, wanted)) {
            scenes[i].play();
            terminate(Reason::done);
        }
    }
    terminate(Reason::no_such_scene);
}
