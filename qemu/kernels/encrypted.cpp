// A payload that knows what SEV guest it is by its handoff alone, and uses nothing of Prologue's:
// it looks at its tables, its memory and SNP's pages, and speaks by the page that it shares with
// the host. A line a look; what is wrong stands there, and "result: ok" does not.
#include "prologue/handoff.h"
#include "prologue/kernel.h"
#include "prologue/payload.h"

PROLOGUE_PAYLOAD;

namespace {

constexpr uint64_t kPage = 0x1000;
constexpr unsigned kEntries = 512;
constexpr uint64_t kPresent = 1, kLarge = 0x80, kAddress = 0x000ffffffffff000;

const prologue_handoff* handoff;
bool wrong;

// So large that a kernel that is linked for 1 MiB belongs where the loader image lies, too.
char padding[0x100000];

bool is_snp() {
    return (handoff->sev.status & PROLOGUE_SEV_STATUS_SNP) != 0;
}

template <class T = uint64_t>
volatile T* seen(uint64_t phys) {
    return reinterpret_cast<volatile T*>(handoff->direct_map + phys);
}

// ---- Speaking: OUT, or what its #VC would have asked for (AMD 56421, 4.1.2) ----

namespace ghcb {
constexpr unsigned kRax = 0x1f8, kExitCode = 0x390, kInfo1 = 0x398, kInfo2 = 0x3a0, kValid = 0x3f0,
                   kVersion = 0xffa;
} // namespace ghcb

void out8_by_page(uint16_t port, uint8_t value) {
    constexpr uint32_t kMsr = 0xc0010130;
    constexpr uint64_t kIoio = 0x7b, kOneByte = 0x10;
    const uint64_t page = handoff->sev.ghcb_virtual;
    const auto put = [&](unsigned offset, uint64_t field) {
        *reinterpret_cast<volatile uint64_t*>(page + offset) = field;
        auto& valid = *reinterpret_cast<volatile uint8_t*>(page + ghcb::kValid + offset / 64);
        valid = static_cast<uint8_t>(valid | 1 << offset / 8 % 8);
    };
    for (unsigned i = 0; i != kPage; i += 8)
        *reinterpret_cast<volatile uint64_t*>(page + i) = 0;
    put(ghcb::kRax, value);
    put(ghcb::kExitCode, kIoio);
    put(ghcb::kInfo1, uint64_t{port} << 16 | kOneByte);
    put(ghcb::kInfo2, 0);
    *reinterpret_cast<volatile uint16_t*>(page + ghcb::kVersion) = is_snp() ? 2 : 1;
    const uint64_t phys = handoff->sev.ghcb_phys;
    asm volatile("wrmsr\n\trep; vmmcall"
                 :
                 : "a"(static_cast<uint32_t>(phys)), "d"(static_cast<uint32_t>(phys >> 32)),
                   "c"(kMsr)
                 : "memory");
}

void out8(uint16_t port, uint8_t value) {
    if ((handoff->sev.status & PROLOGUE_SEV_STATUS_ES) != 0)
        out8_by_page(port, value);
    else
        asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

void print(const char* text) {
    for (; *text != 0; ++text)
        out8(0x3f8, static_cast<uint8_t>(*text));
}

void print_hex(const char* name, uint64_t value) {
    print(name);
    print(": 0x");
    unsigned digits = 1;
    while (digits != 16 && value >> 4 * digits != 0)
        ++digits;
    for (; digits != 0; --digits)
        out8(0x3f8, static_cast<uint8_t>("0123456789abcdef"[value >> 4 * (digits - 1) & 15]));
    print("\n");
}

void tell(const char* what, bool right) {
    print(what);
    print(right ? ": ok\n" : ": wrong\n");
    wrong |= !right;
}

// ---- Looks ----

struct Count {
    unsigned shared, odd; // leaves that the host sees: of its page, and of others
};

// Each entry that is there is private, but for those of the host's page.
void count_entries(uint64_t table, unsigned level, Count& count) {
    const uint64_t c_bit = handoff->sev.c_bit_mask;
    for (unsigned i = 0; i != kEntries; ++i) {
        const uint64_t entry = seen(table)[i];
        if ((entry & kPresent) == 0)
            continue;
        const uint64_t phys = entry & kAddress & ~c_bit;
        const bool is_leaf = level == 1 || (entry & kLarge) != 0;
        if ((entry & c_bit) == 0)
            ++(level == 1 && phys == handoff->sev.ghcb_phys ? count.shared : count.odd);
        if (!is_leaf)
            count_entries(phys, level - 1, count);
    }
}

uint64_t cr3() {
    uint64_t value;
    asm volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

void look_at_tables() {
    Count count = {};
    count_entries(handoff->page_tables_phys, handoff->paging_levels, count);
    tell("the C-bit is in each entry but the host's page's", count.odd == 0);
    tell("the host's page is shared in both maps",
         count.shared == (handoff->sev.ghcb_phys ? 2 : 0));
    tell("CR3 has it", cr3() == (handoff->page_tables_phys | handoff->sev.c_bit_mask));
}

// Of what is not validated, the first word ends the guest.
void look_at_memory() {
    uint64_t bytes = 0;
    for (uint64_t i = 0; i != handoff->memory_count; ++i) {
        const prologue_range& range = handoff->memory[i];
        if (range.type != PROLOGUE_MEMORY_USABLE)
            continue;
        for (uint64_t page = range.start != 0 ? range.start : kPage; page != range.end;
             page += kPage) {
            *seen(page) = page ^ 0x5ec7e7;
            wrong |= *seen(page) != (page ^ 0x5ec7e7);
        }
        bytes += range.end - range.start;
    }
    tell("memory is there, and private", !wrong && bytes > 0x1000000);
}

// The keys of SNP's secrets page are on no page but that one.
void look_at_snp_pages() {
    constexpr unsigned kKeys = 0x20, kMostEntries = 64;
    const uint64_t secrets = handoff->sev.secrets_page_phys;
    const auto entries = *seen<uint32_t>(handoff->sev.cpuid_page_phys);
    tell("the CPUID page is filled", entries != 0 && entries <= kMostEntries);
    const uint64_t key = seen(secrets + kKeys)[0];
    tell("the secrets page is filled", *seen<uint32_t>(secrets) != 0 && key != 0);
    const uint64_t guard = handoff->stack_bottom - handoff->direct_map - kPage; // not mapped
    bool elsewhere = false;
    for (uint64_t i = 0; i != handoff->memory_count; ++i) {
        const prologue_range& range = handoff->memory[i];
        if (range.type > PROLOGUE_MEMORY_MODULE) // of the firmware's
            continue;
        for (uint64_t page = range.start; page != range.end; page += kPage)
            elsewhere |= page != 0 && page != guard && page != secrets &&
                         page != handoff->sev.ghcb_phys && seen(page + kKeys)[0] == key;
    }
    tell("its keys are nowhere else", !elsewhere);
}

void look_at_modules() {
    for (uint64_t i = 0; i != handoff->module_count; ++i) {
        const prologue_module& module = handoff->modules[i];
        uint64_t sum = 0xcbf29ce484222325; // FNV-1a
        for (uint64_t at = 0; at != module.bytes; ++at)
            sum = (sum ^ *seen<uint8_t>(module.start + at)) * 0x100000001b3;
        print_hex("module", sum);
    }
}

bool is_zero() {
    for (const volatile char& byte : padding)
        if (byte != 0)
            return false;
    return true;
}

} // namespace

void kernel_main(const prologue_handoff* given) {
    handoff = given;
    print_hex("status", handoff->sev.status);
    print_hex("c-bit", handoff->sev.c_bit_mask);
    print_hex("ghcb", handoff->sev.ghcb_phys);
    print_hex("place", handoff->load_base);
    print_hex("virtual", handoff->load_base + handoff->kernel_offset);
    tell(".bss is zero", is_zero());
    look_at_tables();
    look_at_modules();
    if (is_snp())
        look_at_snp_pages();
    look_at_memory();
    if (!wrong)
        print("result: ok\n");
    out8(PROLOGUE_EXIT_PORT, wrong ? PROLOGUE_EXIT_FATAL : PROLOGUE_EXIT_SUCCESS);
    for (;;)
        asm volatile("cli; hlt");
}
