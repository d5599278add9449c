// The VMSA: fields by their offsets in the manual's table, spelt again (APM vol. 2, table B-4).
#include "guest_machine.h"
#include "vmsa.h"

#include <gtest/gtest.h>

namespace sevhost::test {
namespace {

struct Page {
    uint8_t bytes[kPageBytes] = {};

    void put(unsigned offset, uint64_t value) { std::memcpy(bytes + offset, &value, sizeof value); }
};

TEST(SevVmsa, EachRegisterComesFromItsPlace) {
    Page page;
    const struct {
        unsigned offset;
        Gpr gpr;
    } places[] = {{0x1f8, rax}, {0x308, rcx}, {0x310, rdx}, {0x318, rbx},
                  {0x1d8, rsp}, {0x328, rbp}, {0x330, rsi}, {0x338, rdi}};
    for (const auto& place : places)
        page.put(place.offset, 0x1000 + place.offset);
    for (unsigned i = 8; i != 16; ++i)
        page.put(0x340 + (i - 8) * 8, 0x9000 + i);
    GuestMachine machine;
    load_vmsa(machine, page.bytes);
    for (const auto& place : places)
        EXPECT_EQ(machine.gprs[place.gpr], 0x1000 + place.offset);
    for (unsigned i = 8; i != 16; ++i)
        EXPECT_EQ(machine.gprs[i], 0x9000 + i);
}

TEST(SevVmsa, TheSaveAreaIsThatOfTheBlock) {
    Page page;
    page.put(0x18, 0x123450);            // CS's base
    page.put(0xd0, 0x1d00);              // EFER
    page.put(0x158, 0x80000011);         // CR0
    page.put(0x178, 0xffff800012345678); // RIP
    page.put(0x268, 0x70106);            // PAT
    GuestMachine machine;
    load_vmsa(machine, page.bytes);
    EXPECT_EQ(machine.save().cs.base, 0x123450u);
    EXPECT_EQ(machine.save().efer, 0x1d00u);
    EXPECT_EQ(machine.save().cr0, 0x80000011u);
    EXPECT_EQ(machine.save().rip, 0xffff800012345678u);
    EXPECT_EQ(machine.save().pat, 0x70106u);
}

TEST(SevVmsa, LevelAndFeaturesAreItsOwn) {
    Page page;
    page.bytes[0xca] = 2;
    page.put(0x3b0, 0x21);
    const VmsaFields fields = read_vmsa_fields(page.bytes);
    EXPECT_EQ(fields.vmpl, 2u);
    EXPECT_EQ(fields.features, 0x21u);
}

} // namespace
} // namespace sevhost::test
