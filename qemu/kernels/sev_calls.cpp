// All of prologue/sev.h, called as a kernel would: behind a GDT, an IDT and page tables of its
// own. A line a call; what is wrong stands there, and "result: ok" does not.
#include "console.h"
#include "prologue/handoff.h"
#include "prologue/sev.h"
#include "prologue/wishes.h"

#define MARK 0x2000000

PROLOGUE_WISH_PAGING(PROLOGUE_PAGING_FOUR);
PROLOGUE_WISH_QEMU_EXIT;
PROLOGUE_WISH_SNP_ACCEPT(MARK);
PROLOGUE_WISH_IDENTITY_MAP(MARK, PROLOGUE_FROM_PAGE_1 | PROLOGUE_WITH_DEVICES);
#ifdef KERNEL_EVERY_HEADER
PROLOGUE_WISH_HEADERS(pvh, multiboot1, multiboot2, linux, vmd, freebsd, igvm);
#endif

// A device's, if nothing of SNP's is there: by Linux's protocol the SEV host has its secrets there.
#define WINDOW 0xffffa00000000000
#define WINDOWS_PAGE 0x94000
PROLOGUE_WISH_WINDOW(WINDOW, WINDOWS_PAGE, 0x1000,
                     PROLOGUE_WINDOW_WRITE | PROLOGUE_WINDOW_UNCACHED);

namespace {

using kernel::print;
using kernel::print_hex;

constexpr uint64_t kPage = 0x1000, kLargePage = 0x200000;
constexpr unsigned kEntries = 512;
constexpr uint64_t kPresent = 1, kWritable = 2, kLarge = 0x80;

// No selector, and no address of physical memory, is Prologue's.
constexpr uint16_t kCode = 0x18, kData = 0x20;
constexpr uint64_t kCodeDescriptor = 0x00af9b000000ffff, kDataDescriptor = 0x00cf93000000ffff;
constexpr uint64_t kWindow = 0xffff900000000000;
constexpr uint64_t kWindowBytes = kEntries * kLargePage;

constexpr uint64_t kPrivate = 0x5ec7e7a1b2c3d4e5; // what the host must not see
constexpr uint64_t kShown = 0x51a7ede1f2a3b4c5;   // and what it must
constexpr uint64_t kNeighbour = 0x4e16b04c;

alignas(16) const uint64_t gdt[] = {0, 0, 0, kCodeDescriptor, kDataDescriptor};
struct Gate {
    uint64_t low, high;
};
alignas(16) Gate idt[32];
struct [[gnu::packed]] TableRegister {
    uint16_t limit;
    const void* base;
};

alignas(kPage) uint64_t pml4[kEntries], image_pdpt[kEntries], image_pd[kEntries],
    image_pt[kEntries], window_pdpt[kEntries], window_pd[kEntries];

prologue_sev sev;
bool wrong;

bool is_es() {
    return (sev.status & PROLOGUE_SEV_STATUS_ES) != 0;
}

bool is_snp() {
    return (sev.status & PROLOGUE_SEV_STATUS_SNP) != 0;
}

void tell(const char* what, bool right) {
    print(what);
    print(right ? ": ok\n" : ": wrong\n");
    wrong |= !right;
}

// ---- Tables ----

uint64_t entry_for(uint64_t phys, uint64_t flags = 0) {
    return phys | kPresent | kWritable | flags | sev.c_bit_mask;
}

void load_page_tables(const prologue_handoff& handoff) {
    const auto phys_of = [&](const void* thing) {
        return reinterpret_cast<uint64_t>(thing) - handoff.kernel_offset;
    };
    const auto index = [](uint64_t virt, unsigned shift) { return virt >> shift & (kEntries - 1); };
    const uint64_t image = handoff.kernel_offset;
    for (unsigned i = 0; i != kEntries; ++i) {
        image_pt[i] = entry_for(i * kPage);
        window_pd[i] = entry_for(i * kLargePage, kLarge);
    }
    if (is_es())
        image_pt[sev.ghcb_phys / kPage] &= ~sev.c_bit_mask;
    image_pd[index(image, 21)] = entry_for(phys_of(image_pt));
    image_pdpt[index(image, 30)] = entry_for(phys_of(image_pd));
    window_pdpt[0] = entry_for(phys_of(window_pd));
    pml4[index(image, 39)] = entry_for(phys_of(image_pdpt));
    pml4[index(kWindow, 39)] = entry_for(phys_of(window_pdpt));
    asm volatile("mov %0, %%cr3" : : "r"(phys_of(pml4) | sev.c_bit_mask) : "memory");
}

// As the tables say that Prologue has made.
uint64_t leaf_of(const prologue_handoff& handoff, uint64_t virt) {
    constexpr uint64_t kAddress = 0x000ffffffffff000;
    uint64_t table;
    asm volatile("mov %%cr3, %0" : "=r"(table));
    for (unsigned shift = 39;; shift -= 9) {
        table &= kAddress & ~sev.c_bit_mask;
        const uint64_t entry = reinterpret_cast<const uint64_t*>(
            handoff.direct_map + table)[virt >> shift & (kEntries - 1)];
        if ((entry & kPresent) == 0 || shift == 12 || (entry & kLarge) != 0)
            return entry;
        table = entry;
    }
}

bool is_shared(const prologue_handoff& handoff, uint64_t virt) {
    const uint64_t leaf = leaf_of(handoff, virt);
    return (leaf & kPresent) != 0 && (leaf & sev.c_bit_mask) == 0;
}

bool is_memory(const prologue_handoff& handoff, uint64_t virt) {
    constexpr uint64_t kCaching = 0x18;
    const uint64_t leaf = leaf_of(handoff, virt);
    return (leaf & kPresent) != 0 && (leaf & sev.c_bit_mask) != 0 && (leaf & kCaching) == 0;
}

void look_at_ghcb(const prologue_handoff& handoff) {
    const uint64_t maps[] = {sev.ghcb_virtual, handoff.direct_map + sev.ghcb_phys, sev.ghcb_phys};
    for (const uint64_t virt : maps)
        tell("its page is shared in each map, and none beside it",
             is_shared(handoff, virt) && !is_shared(handoff, virt - kPage) &&
                 !is_shared(handoff, virt + kPage));
}

// Of hvm_start_info.
struct [[gnu::packed]] PvhsMap {
    uint8_t before[40];
    uint64_t map;
    uint32_t entries;
};
constexpr uint64_t kPvhsEntryBytes = 24, kHighMemory = 0x100000;

// What was read as private memory is that in each map, though the host's map has all of it in
// memory that is reserved.
void look_at_what_was_read(const prologue_handoff& handoff) {
    constexpr uint64_t kScreen = 0xa0000;
    tell("devices are shared", is_shared(handoff, kScreen));
    const uint64_t read[] = {handoff.loader_info_phys, handoff.rsdp_phys, sev.secrets_page_phys,
                             sev.cpuid_page_phys};
    for (const uint64_t phys : read)
        tell("what was read is not", phys == 0 || (phys < MARK && is_memory(handoff, phys)));
    if (handoff.loader != PROLOGUE_LOADER_PVH)
        return tell("a window to what was read is not",
                    is_shared(handoff, WINDOW) == (sev.secrets_page_phys != WINDOWS_PAGE));
    const auto* const info = reinterpret_cast<const PvhsMap*>(handoff.loader_info_phys);
    const uint64_t end = info->map + info->entries * kPvhsEntryBytes;
    for (uint64_t page = info->map & ~(kPage - 1); page < end; page += kPage)
        tell("each page of the loader's map is not", is_memory(handoff, page));
    if (info->map >= kHighMemory) // below, the loader may have more beside it
        tell("a page beside it is", is_shared(handoff, (end + kPage - 1) & ~(kPage - 1)));
    tell("a window of a device's is", is_shared(handoff, WINDOW));
}

void set_gate(unsigned vector, void (*handler)()) {
    const auto at = reinterpret_cast<uint64_t>(handler);
    idt[vector] = {(at & 0xffff) | uint64_t{kCode} << 16 | uint64_t{0x8e00} << 32 |
                       (at >> 16 & 0xffff) << 48,
                   at >> 32};
}

[[noreturn]] void unexpected() {
    print("an exception that nobody expects\n");
    kernel::finish(PROLOGUE_EXIT_FATAL);
}

void load_descriptors() {
    for (unsigned vector = 0; vector != 32; ++vector)
        set_gate(vector, unexpected);
    set_gate(29, prologue_sev_vc);
    const TableRegister gdtr = {sizeof gdt - 1, gdt}, idtr = {sizeof idt - 1, idt};
    asm volatile("lgdt %0\n\tlidt %1\n\t"
                 "pushq %2\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n1:\t"
                 "movl %3, %%eax\n\tmovl %%eax, %%ds\n\tmovl %%eax, %%es\n\tmovl %%eax, %%ss"
                 :
                 : "m"(gdtr), "m"(idtr), "i"(uint64_t{kCode}), "i"(uint32_t{kData})
                 : "rax", "memory");
}

// ---- #VC ----

// The secret is in whatever register CPUID does not tell.
struct Cpuid {
    uint32_t eax, ebx, ecx, edx;
};
Cpuid cpuid(uint32_t leaf) {
    uint64_t a = (kPrivate & ~uint64_t{0xffffffff}) | leaf, b = kPrivate,
             c = kPrivate & ~uint64_t{0xffffffff}, d = kPrivate;
    asm volatile("movq %4, %%rsi\n\tmovq %4, %%rdi\n\tmovq %4, %%r8\n\tmovq %4, %%r9\n\t"
                 "movq %4, %%r10\n\tmovq %4, %%r12\n\tmovq %4, %%r15\n\tpushq %4\n\t"
                 "cpuid\n\taddq $8, %%rsp"
                 : "+a"(a), "+b"(b), "+c"(c), "+d"(d)
                 : "r"(kPrivate)
                 : "rsi", "rdi", "r8", "r9", "r10", "r12", "r15", "memory", "cc");
    return {static_cast<uint32_t>(a), static_cast<uint32_t>(b), static_cast<uint32_t>(c),
            static_cast<uint32_t>(d)};
}

constexpr uint16_t kComScratch = 0x3ff;

void ports() {
    const uint64_t told = (kPrivate & ~uint64_t{0xff}) | 0x5a;
    uint64_t back = kPrivate;
    asm volatile("outb %%al, %%dx" : : "a"(told), "d"(kComScratch));
    asm volatile("inb %%dx, %%al" : "+a"(back) : "d"(kComScratch));
    tell("ports, by its own IDT", back == told);

    // Nothing of what lies around a string's data goes with it.
    uint64_t data[] = {kPrivate, 0, kPrivate};
    const void* from = &data[1];
    uint64_t count = 8;
    asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(kComScratch) : "memory");
    tell("a string, by its own IDT", count == 0 && from == &data[2]);
}

unsigned exceptions;
extern "C" unsigned kernel_vc(prologue_vc_frame* frame) {
    ++exceptions;
    return prologue_sev_handle_vc(frame);
}

// Entry code of the kernel's own, as sev.h asks for it.
extern "C" void kernel_vc_entry();
asm(".text\n"
    "kernel_vc_entry:\n\t"
    "pushq $29\n\t"
    "pushq %rax\n\tpushq %rcx\n\tpushq %rdx\n\tpushq %rbx\n\tpushq %rbp\n\tpushq %rsi\n\t"
    "pushq %rdi\n\tpushq %r8\n\tpushq %r9\n\tpushq %r10\n\tpushq %r11\n\tpushq %r12\n\t"
    "pushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
    "cld\n\tmovq %rsp, %rdi\n\tcall kernel_vc\n\t"
    "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %r11\n\tpopq %r10\n\t"
    "popq %r9\n\tpopq %r8\n\tpopq %rdi\n\tpopq %rsi\n\tpopq %rbp\n\tpopq %rbx\n\t"
    "popq %rdx\n\tpopq %rcx\n\tpopq %rax\n\taddq $16, %rsp\n\tiretq\n");

void own_handlers() {
    const Cpuid by_prologue = cpuid(0);
    tell("cpuid, by its own IDT", by_prologue.eax != 0 && by_prologue.ebx != 0);
    ports();
    set_gate(29, kernel_vc_entry);
    const Cpuid by_kernel = cpuid(0);
    set_gate(29, prologue_sev_vc); // what is printed is #VC, too
    tell("cpuid, by its own entry code",
         by_kernel.eax == by_prologue.eax && by_kernel.ebx == by_prologue.ebx &&
             by_kernel.ecx == by_prologue.ecx && by_kernel.edx == by_prologue.edx);
    tell("its own entry code is used", exceptions == (is_es() ? 1u : 0u));
}

// ---- Requests ----

void requests() {
    constexpr uint64_t kCpuid = 0x72, kIo = 0x7b, kRdpmc = 0x6f;
    constexpr uint32_t kAll = PROLOGUE_GHCB_RAX | PROLOGUE_GHCB_RBX | PROLOGUE_GHCB_RCX |
                              PROLOGUE_GHCB_RDX;
    prologue_ghcb_request leaf = {.code = kCpuid,
                                  .told = PROLOGUE_GHCB_RAX | PROLOGUE_GHCB_RCX,
                                  .wanted = kAll,
                                  .rax = 0,
                                  .rbx = kPrivate,
                                  .rcx = 0,
                                  .rdx = kPrivate};
    const unsigned vector = prologue_sev_vmgexit(&leaf);
    const Cpuid executed = cpuid(0);
    tell("vmgexit: cpuid", vector == 0 && leaf.rbx == executed.ebx && leaf.rdx == executed.edx &&
                               leaf.rcx == executed.ecx);

    // What the host says beside what is wanted is nobody's.
    leaf = {.code = kCpuid,
            .told = PROLOGUE_GHCB_RAX | PROLOGUE_GHCB_RCX,
            .wanted = PROLOGUE_GHCB_RAX,
            .rbx = kPrivate,
            .rdx = kPrivate};
    tell("vmgexit: what is not wanted stays",
         prologue_sev_vmgexit(&leaf) == 0 && leaf.rax == executed.eax && leaf.rbx == kPrivate &&
             leaf.rcx == 0 && leaf.rdx == kPrivate);

    // OUTSB with REP, DS, 64-bit addresses (APM vol. 2, 15.10.2)
    constexpr uint64_t kCom1 = 0x3f8, kOutsb = 3 << 10 | 1 << 9 | 1 << 4 | 8 | 4;
    char text[] = "vmgexit: a string in the page's buffer\n";
    prologue_ghcb_request string = {.code = kIo,
                                    .info1 = kCom1 << 16 | kOutsb,
                                    .info2 = sizeof text - 1,
                                    .data = text,
                                    .data_bytes = sizeof text - 1};
    tell("vmgexit: string", prologue_sev_vmgexit(&string) == 0);

    // No counter is there: the host answers with #GP.
    constexpr unsigned kVectorGp = 13;
    prologue_ghcb_request counter = {
        .code = kRdpmc, .told = PROLOGUE_GHCB_RCX, .wanted = PROLOGUE_GHCB_RAX | PROLOGUE_GHCB_RDX};
    tell("vmgexit: an exception is told", prologue_sev_vmgexit(&counter) == kVectorGp);
}

// ---- Memory ----

volatile uint64_t* at(uint64_t phys) {
    return reinterpret_cast<volatile uint64_t*>(kWindow + phys);
}

void fill(uint64_t phys, uint64_t bytes, uint64_t value) {
    for (uint64_t i = 0; i != bytes / 8; ++i)
        at(phys)[i] = value;
}

bool holds(uint64_t phys, uint64_t bytes, uint64_t value) {
    for (uint64_t i = 0; i != bytes / 8; ++i)
        if (at(phys)[i] != value)
            return false;
    return true;
}

void share(uint64_t phys, prologue_table_pages pages) {
    constexpr uint64_t kBytes = 2 * kPage;
    const uint64_t virt = kWindow + phys;
    fill(phys - kPage, kPage, kNeighbour);
    fill(phys, kBytes, kPrivate);
    fill(phys + kBytes, kPage, kNeighbour);
    prologue_table_pages none = {};
    tell("share: without pages for tables",
         prologue_sev_share(virt, kBytes, &none) == PROLOGUE_SEV_NO_PAGES);
    tell("share: what is not mapped",
         prologue_sev_share(kWindow + kWindowBytes, kPage, &pages) == PROLOGUE_SEV_NOT_MAPPED);
    tell("share: nothing is changed", holds(phys, kBytes, kPrivate));
    tell("share", prologue_sev_share(virt, kBytes, &pages) == PROLOGUE_SEV_DONE);
    tell("share: the host's memory is another", at(phys)[0] != kPrivate);
    fill(phys, kBytes, kShown);
    tell("share: can be written", holds(phys, kBytes, kShown));
    tell("share: the pages around it",
         holds(phys - kPage, kPage, kNeighbour) && holds(phys + kBytes, kPage, kNeighbour));
    tell("unshare the second", prologue_sev_unshare(virt + kPage, kPage, &pages) == 0);
    tell("unshare: the guest's memory is another", at(phys + kPage)[0] != kShown);
    fill(phys + kPage, kPage, kPrivate);
    tell("unshare: can be written", holds(phys + kPage, kPage, kPrivate));
    tell("unshare: the first is as it was", holds(phys, kPage, kShown));
}

// Where it begins at no 2 MiB page, and ends at none.
void accept(uint64_t start) {
    constexpr uint64_t kBytes = 2 * kLargePage;
    const uint64_t end = start + kBytes + kPage;
    prologue_sev_accept(start + kPage, end);
    fill(start + kPage, kBytes, kPrivate);
    tell("accept", holds(start + kPage, kBytes, kPrivate));
}

struct Found {
    uint64_t usable = 0, unaccepted = 0;
};
Found look_at_memory(const prologue_handoff& handoff) {
    Found found;
    for (uint64_t i = 0; i != handoff.memory_count; ++i) {
        const prologue_range& range = handoff.memory[i];
        const uint64_t first = (range.start + kLargePage - 1) & ~(kLargePage - 1);
        if (first + 2 * kLargePage > range.end)
            continue;
        if (range.type == PROLOGUE_MEMORY_USABLE && first < MARK)
            found.usable = first;
        if (range.type == PROLOGUE_MEMORY_UNACCEPTED)
            found.unaccepted = range.start;
    }
    return found;
}

// ---- Guests that show their secret, for those who look for it ----

bool is(const char* text, const char* other) {
    for (; *text == *other; ++text, ++other)
        if (*text == 0)
            return true;
    return false;
}

void leak(const char* how, uint64_t phys) {
    if (is(how, "leak-port"))
        asm volatile("outl %%eax, %%dx"
                     :
                     : "a"(static_cast<uint32_t>(kPrivate)), "d"(uint16_t{0xcf8}));
    if (is(how, "leak-page")) {
        prologue_ghcb_request request = {.code = 0x72, .told = 7, .rbx = kPrivate};
        prologue_sev_vmgexit(&request);
    }
    if (is(how, "leak-memory"))
        fill(phys, 8, kPrivate);
}

} // namespace

void kernel_main(const prologue_handoff* handoff) {
    sev = handoff->sev;
    char how[16] = {};
    for (unsigned i = 0; i != sizeof how - 1 && handoff->cmdline[i] != 0; ++i)
        how[i] = handoff->cmdline[i];
    const Found found = look_at_memory(*handoff);
    const prologue_table_pages pages = {handoff->spare_start, handoff->spare_end};
    if (handoff->load_end > kLargePage || found.usable == 0) {
        print("result: not enough memory, or too large an image\n");
        kernel::finish(PROLOGUE_EXIT_FATAL);
    }
    if (is_es())
        look_at_ghcb(*handoff);
    if (sev.status != 0)
        look_at_what_was_read(*handoff);
    load_descriptors();
    load_page_tables(*handoff);
    if (sev.status != 0)
        prologue_sev_use_tables(kWindow);

    const uint64_t page = found.usable + 3 * kPage;
    own_handlers();
    if (sev.status != 0)
        share(page, pages);
    if (is_es())
        requests();
    if (is_snp())
        accept(found.unaccepted);
    leak(how, page);
    if (wrong)
        kernel::finish(PROLOGUE_EXIT_FATAL);
    if (is(how, "end") && sev.status != 0)
        prologue_sev_terminate(PROLOGUE_SEV_KERNEL + 5);
    print("result: ok\n");
    kernel::finish(PROLOGUE_EXIT_SUCCESS);
}
