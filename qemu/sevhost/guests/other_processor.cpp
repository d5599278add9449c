#include "other_processor.h"
#include "tables.h"

void stay_a_while() {
    for (unsigned i = 0; i != 2000; ++i)
        pause();
}

static void write_apic(uint32_t offset, uint32_t value) {
    *reinterpret_cast<volatile uint32_t*>(shared_buffer()) = value;
    begin_request();
    set(field::kScratch, shared_buffer_address());
    EXPECT_DONE(event::kMmioWrite, 0xfee00000 + offset, 4);
}

void command(uint32_t apic_id, uint32_t word) {
    write_apic(0x310, apic_id << 24);
    write_apic(0x300, word);
}

void fill(Vmsa& page, void (*main)(uint64_t own), uint8_t* stack_end, uint64_t own) {
    constexpr uint32_t kMsrEfer = 0xc0000080;
    for (unsigned i = 0; i != kPageBytes; i += 8)
        page.put<uint64_t>(i, 0);
    page.put_segment(0x10, kSelectorCode64, 0xa9b, 0xffffffff, 0);
    for (const unsigned data : List<unsigned>{0x00, 0x20, 0x30, 0x40, 0x50})
        page.put_segment(data, kSelectorData, 0xc93, 0xffffffff, 0);
    page.put_segment(0x60, 0, 0, kGdtEntries * 8 - 1, address_of(gdt));
    page.put_segment(0x70, 0, 0x82, 0xffff, 0);
    page.put_segment(0x80, 0, 0, kVectors * sizeof(Gate) - 1, address_of(idt));
    page.put_segment(0x90, 0, 0x8b, 0xffff, 0);
    page.put(0xd0, read_msr(kMsrEfer));
    page.put(0x148, prologue::read_cr4());
    page.put(0x150, prologue::read_cr3());
    page.put(0x158, prologue::read_cr0());
    page.put<uint64_t>(0x160, 0x400);
    page.put<uint64_t>(0x168, 0xffff0ff0);
    page.put<uint64_t>(0x170, 2);
    page.put(0x178, address_of(main));
    page.put(0x1d8, address_of(stack_end) - 8);
    page.put<uint64_t>(0x268, 0x0007040600070406);
    page.put(0x338, own);
    page.put(0x3b0, kFeatures);
}

uint32_t make_vmsa(const Vmsa& page, bool vmsa) {
    constexpr uint64_t kVmpl1 = 1, kVmsaBit = 1 << 16;
    return rmpadjust(&page, PageSize::small, vmsa ? kVmsaBit | kVmpl1 : kVmpl1).code;
}

void put_real_mode_code(const uint8_t* start, const uint8_t* end) {
    auto* to = reinterpret_cast<volatile uint8_t*>(kRealModeCode);
    while (start != end)
        *to++ = *start++;
}

// IP, then CS (56421, 4.1.8)
void set_jump_table() {
    begin_request();
    const Answer answer = send(event::kApJumpTable, 1);
    EXPECT_EQUAL(answer.info1, kDone);
    EXPECT(answer.info2 != 0);
    auto* table = reinterpret_cast<volatile uint16_t*>(answer.info2);
    table[0] = 0;
    table[1] = kRealModeCode >> 4;
}
