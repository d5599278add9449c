// SNP's pages: validation, the reverse map, and the #VC of what is not validated.
#include "snp.h"
#include "exceptions.h"
#include "ghcb_page.h"
#include "paging.h"
#include "ring3.h"

constexpr uint32_t kSecret = 0x5ec2e700;
constexpr uint64_t kNotValidated = 0x404;
#define PVALIDATE ".byte 0xf2, 0x0f, 0x01, 0xff"

alignas(kPageBytes) static volatile uint32_t page[kPageBytes / 4];
constexpr Word kUnused = Word{16} << 20; // memory that was not part of the launch

static Word cr2() {
    Word value;
    asm volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}
static const void* at(volatile void* pointer) {
    return const_cast<const void*>(pointer);
}
static const void* at(Word address) {
    return reinterpret_cast<const void*>(address);
}

static void expect_result(PageResult found, uint32_t code, bool carry) {
    EXPECT_EQUAL(found.code, code);
    EXPECT_EQUAL(found.carry, carry);
}

static void validation() {
    expect_result(pvalidate(at(page), PageSize::small, true), 0, true); // by the launch
    expect_result(pvalidate(at(page), PageSize::small, false), 0, false);
    expect_result(pvalidate(at(page), PageSize::small, false), 0, true);
    expect_result(pvalidate(at(page), PageSize::small, true), 0, false);
}

static void not_validated() {
    turn_paging_on();
    *page = kSecret;
    expect_result(pvalidate(at(page), PageSize::small, false), 0, false);
    Registers r = {.di = address_of(page) + 8};
    RAISE("movl (%%" GUEST_DI "), %%eax", r);
    EXPECT_VC(kNotValidated);
    EXPECT_EQUAL(cr2(), address_of(page) + 8);
    r.di = address_of(page) + 16;
    RAISE("movl %%eax, (%%" GUEST_DI ")", r);
    EXPECT_VC(kNotValidated);
    EXPECT_EQUAL(cr2(), address_of(page) + 16);
    expect_result(pvalidate(at(page), PageSize::small, true), 0, false);
    EXPECT_EQUAL(*page, kSecret);
}

static void not_validated_without_paging() {
    expect_result(pvalidate(at(page), PageSize::small, false), 0, false);
    Registers r = {.di = address_of(page)};
    RAISE("movl (%%" GUEST_DI "), %%eax", r);
    EXPECT_VC(kNotValidated);
}

static void not_validated_since_launch() {
    turn_paging_on();
    Registers r = {.di = kUnused};
    RAISE("movl (%%" GUEST_DI "), %%eax", r);
    EXPECT_VC(kNotValidated);
    expect_result(pvalidate(at(kUnused), PageSize::small, true), 0, false);
    RAISE("movl (%%" GUEST_DI "), %%eax", r);
    resume_at = 0;
    EXPECT_EQUAL(caught.count, 0);
}

static void fetch_of_what_is_not_validated() {
    turn_paging_on();
    Registers r = {.di = kUnused + 0x123};
    RAISE("jmp *%%" GUEST_DI, r);
    EXPECT_EQUAL(caught.count, 1);
    EXPECT_EQUAL(caught.frame.error_code, kNotValidated);
    EXPECT_EQUAL(caught.frame.ip, kUnused + 0x123);
    EXPECT_EQUAL(cr2(), kUnused + 0x123);
}

static void make_large_page_private() {
    auto* list = reinterpret_cast<volatile uint64_t*>(shared_buffer());
    constexpr uint64_t kLarge = uint64_t{1} << 56, kToPrivate = uint64_t{1} << 52;
    list[0] = 0; // one entry
    list[1] = kUnused | kLarge | kToPrivate;
    begin_request();
    set(field::kScratch, shared_buffer_address());
    EXPECT_DONE(event::kPageStateChange);
    EXPECT_EQUAL(list[1] & 0xfff, 512);
}

// As most hosts have them: what is asked for as one page comes as 512.
static void small_pages_only() {
    set_up_ghcb();
    make_large_page_private();
    expect_result(pvalidate(at(kUnused), PageSize::large, true), kFailSizeMismatch, false);
    for (Word page = kUnused; page != kUnused + kLargePageBytes; page += kPageBytes)
        expect_result(pvalidate(at(page), PageSize::small, true), 0, false);
    *reinterpret_cast<volatile uint32_t*>(kUnused + kLargePageBytes - 4) = kSecret;
}

// RMP=2m
static void large_pages() {
    set_up_ghcb();
    expect_result(pvalidate(at(kUnused), PageSize::large, true), kFailSizeMismatch, false);
    make_large_page_private();
    expect_result(pvalidate(at(kUnused), PageSize::large, true), 0, false);
    expect_result(pvalidate(at(kUnused), PageSize::large, true), 0, true);
    *reinterpret_cast<volatile uint32_t*>(kUnused + kLargePageBytes - 4) = kSecret;
    // One page of it, by which it comes apart.
    expect_result(pvalidate(at(kUnused + kPageBytes), PageSize::small, true), 0, true);
    expect_result(pvalidate(at(kUnused), PageSize::large, true), kFailSizeMismatch, false);
}

static void wrong_input() {
    expect_result(pvalidate(at(kUnused + kPageBytes), PageSize::large, true), kFailInput, false);
}

static void not_mapped() {
    turn_paging_on();
    entry_of(kUnused) = 0;
    flush(kUnused);
    Registers r = {.a = kUnused};
    RAISE(PVALIDATE, r);
    EXPECT_EXCEPTION(kVectorPf);
    EXPECT_EQUAL(caught.frame.error_code, 0);
    EXPECT_EQUAL(cr2(), kUnused);
}

static void ring3() {
    prepare_ring3();
    let_ring3_use(address_of(validation));
    Registers r = {.a = address_of(page)};
    RAISE_IN_RING3(PVALIDATE, r);
    EXPECT_EXCEPTION(kVectorGp);
    EXPECT_EQUAL(caught.frame.error_code, 0);
}

#ifdef __x86_64__
static void rights_of_levels() {
    expect_result(rmpadjust(at(page), PageSize::small, 0xf00), kFailPermission, false);
    EXPECT_EQUAL(rmpadjust(at(page), PageSize::small, 0xf01).code, 0);
    EXPECT_EQUAL(rmpadjust(at(kUnused), PageSize::large, 0xf01).code, kFailSizeMismatch);
}
#endif

// A page that was the host's meanwhile has to be validated anew.
static void page_that_comes_back() {
    turn_paging_on();
    share_page(const_cast<uint32_t*>(page));
    *shared(page) = 1;
    EXPECT_EQUAL(change_page_state(at(page), PageState::private_), kPageStateDone);
    Registers r = {.di = address_of(page)};
    RAISE("movl (%%" GUEST_DI "), %%eax", r);
    EXPECT_VC(kNotValidated);
    expect_result(pvalidate(at(page), PageSize::small, true), 0, false);
    *page = kSecret;
    EXPECT_EQUAL(*page, kSecret);
}

// On a machine without SNP there is no such instruction.
static void no_such_instruction() {
    Registers r = {.a = address_of(page)};
    RAISE(PVALIDATE, r);
    EXPECT_EXCEPTION(kVectorUd);
}

#ifdef __x86_64__
// The notes by which an ELF image says where it wants its pages (docs/sevhost.md).
extern "C" {
alignas(kPageBytes) uint8_t cpuid_page[kPageBytes];
alignas(kPageBytes) uint8_t secrets_page[kPageBytes];
}
asm(".pushsection .note.SEV, \"a\", @note\n"
    ".balign 4\n"
    ".long 8, 8, 1\n .asciz \"SEV-SNP\"\n .quad cpuid_page\n"
    ".long 8, 8, 2\n .asciz \"SEV-SNP\"\n .quad secrets_page\n"
    ".popsection");

struct CpuidEntry {
    uint32_t eax_in, ecx_in;
    uint64_t xcr0_in, xss_in;
    uint32_t eax, ebx, ecx, edx;
    uint64_t reserved;
};

static const CpuidEntry* find_leaf(uint32_t leaf) {
    const auto* entries = reinterpret_cast<const CpuidEntry*>(cpuid_page + 16);
    for (uint32_t i = 0; i != *reinterpret_cast<const uint32_t*>(cpuid_page); ++i)
        if (entries[i].eax_in == leaf && entries[i].ecx_in == 0)
            return &entries[i];
    return nullptr;
}

static uint32_t cpuid_by_msr(uint32_t leaf, uint32_t which) {
    const uint64_t answer = ask_by_msr(uint64_t{leaf} << 32 | uint64_t{which} << 30 | 0x004);
    return static_cast<uint32_t>(answer >> 32);
}

static void pages_of_the_firmware() {
    expect_result(pvalidate(cpuid_page, PageSize::small, true), 0, true);
    expect_result(pvalidate(secrets_page, PageSize::small, true), 0, true);
    for (const uint32_t leaf : List<uint32_t>{0, 0x80000000, 0x8000001f}) {
        const CpuidEntry* entry = find_leaf(leaf);
        EXPECT(entry != nullptr);
        EXPECT_EQUAL(entry->eax, cpuid_by_msr(leaf, 0));
        EXPECT_EQUAL(entry->ebx, cpuid_by_msr(leaf, 1));
        EXPECT_EQUAL(entry->ecx, cpuid_by_msr(leaf, 2));
        EXPECT_EQUAL(entry->edx, cpuid_by_msr(leaf, 3));
    }
    EXPECT(find_leaf(0x12345678) == nullptr);
    const CpuidEntry* xsave = find_leaf(0xd);
    expect_one_cpu({find_leaf(1)->ecx, find_leaf(7)->ebx, xsave == nullptr ? 0 : xsave->eax});
    EXPECT_EQUAL(secrets_page[0], 2); // the version
}
#endif

// What nobody has written is noise, and what changes hands is other noise.
static void noise() {
    turn_paging_on();
    *page = kSecret;
    expect_result(pvalidate(at(kUnused), PageSize::small, true), 0, false);
    const auto* unused = reinterpret_cast<const volatile uint32_t*>(kUnused);
    for (unsigned i = 0; i != kPageBytes / 4; ++i)
        EXPECT(i == 0 || unused[i] != unused[i - 1]);
    share_page(const_cast<uint32_t*>(page));
    const uint32_t first = *shared(page);
    EXPECT(first != 0);
    EXPECT(first != kSecret);
    *shared(page) = kSecret;
    EXPECT_EQUAL(change_page_state(at(page), PageState::private_), kPageStateDone);
    expect_result(pvalidate(at(page), PageSize::small, true), 0, false);
    EXPECT(*page != kSecret);
    EXPECT(*page != first);
    EXPECT(*page != 0);
}

// The host converts what an access faults on; what was there is lost.
static void private_access_to_a_shared_page() {
    turn_paging_on();
    share_page(const_cast<uint32_t*>(page));
    *shared(page) = kSecret;
    Registers r = {.di = address_of(page)};
    RAISE("movl %%eax, (%%" GUEST_DI ")", r);
    EXPECT_VC(kNotValidated);
    expect_result(pvalidate(at(page), PageSize::small, true), 0, false);
    EXPECT(*page != kSecret);
}
static void shared_access_to_a_private_page() {
    turn_paging_on();
    *page = kSecret;
    EXPECT(*shared(page) != kSecret);
    *shared(page) = kSecret;
    Registers r = {.di = address_of(page)};
    RAISE("movl (%%" GUEST_DI "), %%eax", r); // and this makes it private again
    EXPECT_VC(kNotValidated);
}
static void validation_of_a_shared_page() {
    turn_paging_on();
    share_page(const_cast<uint32_t*>(page));
    expect_result(pvalidate(at(page), PageSize::small, true), 0, false);
    *page = kSecret;
    EXPECT_EQUAL(*page, kSecret);
}

// This ends with the host's word.
static void validation_through_a_shared_mapping() {
    turn_paging_on();
    pvalidate(at(shared(page)), PageSize::small, true);
}

const Scene scenes[] = {
    {"validation", validation},
    {"not-validated", not_validated},
    {"not-validated-without-paging", not_validated_without_paging},
    {"not-validated-since-launch", not_validated_since_launch},
    {"fetch-of-what-is-not-validated", fetch_of_what_is_not_validated},
    {"small-pages-only", small_pages_only},
    {"large-pages", large_pages},
    {"noise", noise},
    {"wrong-input", wrong_input},
    {"not-mapped", not_mapped},
    {"ring-3", ring3},
#ifdef __x86_64__
    {"rights-of-levels", rights_of_levels},
    {"pages-of-the-firmware", pages_of_the_firmware},
#endif
    {"page-that-comes-back", page_that_comes_back},
    {"no-such-instruction", no_such_instruction},
    {"private-access-to-a-shared-page", private_access_to_a_shared_page},
    {"shared-access-to-a-private-page", shared_access_to_a_private_page},
    {"validation-of-a-shared-page", validation_of_a_shared_page},
    {"validation-through-a-shared-mapping", validation_through_a_shared_mapping},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
