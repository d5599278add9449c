// Delivery of exceptions: by 32-bit rules, by 64-bit rules, in real mode; and what a fault on
// the way becomes. Descriptors are put together again from the manual (APM vol. 2, 4.7, 4.8).
#include "deliver.h"
#include "guest_machine.h"
#include "reverse_map.h"

#include <gtest/gtest.h>

#include <string>

namespace sevhost::test {
namespace {

constexpr GuestPhys kIdt = 0x1000, kGdt = 0x2000, kTss = 0x3000, kStackTop = 0x6000,
                    kInnerStackTop = 0x8000, kIstTop = 0xa000;
constexpr uint64_t kMappedBytes = 0x10000;
constexpr uint64_t kRip = 0xb123, kRsp = kStackTop - 0x18;
constexpr uint64_t kHandler = 0xc450, kPfHandler = 0xc550, kDfHandler = 0xc650;
constexpr uint16_t kCode = 0x08, kData = 0x10, kUserCode = 0x18 | 3, kUserData = 0x20 | 3,
                   kConforming = 0x28, kOtherCode = 0x30, kInnerData = 0x38;
constexpr uint64_t kCode32 = 0x00cf9b000000ffff, kData32 = 0x00cf93000000ffff,
                   kCode64 = 0x00af9b000000ffff;
constexpr uint64_t kConformingBit = uint64_t{1} << 42, kDpl3 = uint64_t{3} << 45,
                   kPresentBit = uint64_t{1} << 47, kBigBit = uint64_t{1} << 54;
constexpr unsigned kInterrupt = 0xe, kTrap = 0xf;
constexpr uint32_t kCpuidExit = 0x72;

// A guest that has descriptor tables, with a handler each for #VC, #PF and #DF.
class Guest : public GuestMachine {
public:
    explicit Guest(Paging mode) {
        set_paging(mode);
        for (uint64_t page = 0; mode != Paging::off && page != kMappedBytes; page += kPageBytes)
            map(page, page, kEntryAll | c_bit());
        std::memset(memory.at(0, kMappedBytes, Backing::private_), 0, kMappedBytes);
        VmcbSave& s = save();
        s.idtr = {0, 0, 32 * gate_bytes() - 1, kIdt};
        s.gdtr = {0, 0, 0x3f, kGdt};
        s.tr = {0x40, 0x8b, 103, kTss};
        const uint64_t code = long_mode() ? kCode64 : kCode32;
        set_descriptor(kCode, code);
        set_descriptor(kData, kData32);
        set_descriptor(kUserCode, code | kDpl3);
        set_descriptor(kUserData, kData32 | kDpl3);
        set_descriptor(kConforming, code | kConformingBit);
        set_descriptor(kInnerData, kData32);
        set_gate(kVectorVc, kHandler);
        set_gate(kVectorPf, kPfHandler);
        set_gate(kVectorDf, kDfHandler);
        put<uint32_t>(kTss + 4, kInnerStackTop); // ESP0, or RSP0's low half
        put<uint32_t>(kTss + 8, long_mode() ? 0 : kData);
        put<uint64_t>(kTss + 36 + 8, kIstTop); // IST 2
        s.cs = {kCode, uint16_t(long_mode() ? 0xa9b : 0xc9b), 0xffffffff, 0};
        s.ss = {kData, 0xc93, 0xffffffff, 0};
        s.rip = kRip;
        gprs[rsp] = kRsp;
        s.rflags = kFlagsFixed | kFlagIf | kFlagTf | kFlagCf;
    }

    void go_to_ring_3() {
        save().cpl = 3;
        save().cs.selector = kUserCode;
        save().ss.selector = kUserData;
    }
    void set_descriptor(uint16_t selector, uint64_t value) {
        put<uint64_t>(kGdt + (selector & ~7), value);
    }
    void set_gate(unsigned vector, uint64_t offset, unsigned type = kInterrupt,
                  uint16_t selector = kCode, unsigned ist = 0, bool present = true) {
        const uint64_t low = (offset & 0xffff) | uint64_t{selector} << 16 | uint64_t{ist} << 32 |
                             uint64_t{type} << 40 | uint64_t{present} << 47 |
                             (offset & 0xffff0000) << 32;
        put<uint64_t>(gate_at(vector), low);
        if (long_mode())
            put<uint64_t>(gate_at(vector) + 8, offset >> 32);
    }
    GuestPhys gate_at(unsigned vector) const { return kIdt + vector * gate_bytes(); }
    uint64_t pushed64(unsigned index) const { return get<uint64_t>(gprs[rsp] + 8 * index); }
    uint32_t pushed32(unsigned index) const {
        return get<uint32_t>(save().ss.base + gprs[rsp] + 4 * index);
    }

private:
    uint32_t gate_bytes() const { return long_mode() ? 16 : 8; }
};

// The one attempt that failed, and then what the guest got.
void expect_double_fault(Guest& guest, const char* failure) {
    const Delivery d = deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_FALSE(d.shutdown);
    ASSERT_EQ(d.count, 2u);
    EXPECT_EQ(d.attempt[0].vector, kVectorVc);
    EXPECT_STREQ(d.attempt[0].failure, failure);
    EXPECT_EQ(d.attempt[1].vector, kVectorDf);
    EXPECT_EQ(d.attempt[1].error_code, 0u);
    EXPECT_EQ(guest.save().rip, kDfHandler);
}

TEST(SevDelivery64, PushesTheFrameAndEntersTheHandler) {
    Guest guest(Paging::four_levels);
    guest.vmcb->control.interrupt_shadow = 1;
    const Delivery d = deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_EQ(d.count, 1u);
    EXPECT_EQ(d.attempt[0].failure, nullptr);
    EXPECT_EQ(guest.gprs[rsp], kStackTop - 0x20 - 0x30) << "aligned to 16 bytes, then six words";
    EXPECT_EQ(guest.pushed64(0), kCpuidExit);
    EXPECT_EQ(guest.pushed64(1), kRip);
    EXPECT_EQ(guest.pushed64(2), kCode);
    EXPECT_EQ(guest.pushed64(3), kFlagsFixed | kFlagIf | kFlagTf | kFlagCf | kFlagRf);
    EXPECT_EQ(guest.pushed64(4), kRsp);
    EXPECT_EQ(guest.pushed64(5), kData);
    EXPECT_EQ(guest.save().rip, kHandler);
    EXPECT_EQ(guest.save().cs.selector, kCode);
    EXPECT_EQ(guest.save().cs.attributes, 0xa9b);
    EXPECT_EQ(guest.save().ss.selector, kData) << "the same stack, the same segment";
    EXPECT_EQ(guest.save().rflags, kFlagsFixed | kFlagCf);
    EXPECT_EQ(guest.vmcb->control.interrupt_shadow, 0u);
}

TEST(SevDelivery64, HandlerMayLieAnywhere) {
    Guest guest(Paging::four_levels);
    guest.set_gate(kVectorVc, 0xffffffff81234567);
    deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_EQ(guest.save().rip, 0xffffffff81234567);
}

TEST(SevDelivery64, TrapGateKeepsInterruptsOn) {
    Guest guest(Paging::four_levels);
    guest.set_gate(kVectorVc, kHandler, kTrap);
    deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_EQ(guest.save().rflags, kFlagsFixed | kFlagIf | kFlagCf);
}

TEST(SevDelivery64, IstGivesTheStackWhateverThePrivilege) {
    Guest guest(Paging::four_levels);
    guest.set_gate(kVectorVc, kHandler, kInterrupt, kCode, 2);
    deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_EQ(guest.gprs[rsp], kIstTop - 0x30);
    EXPECT_EQ(guest.pushed64(4), kRsp);
    EXPECT_EQ(guest.save().ss.selector, kData);
}

TEST(SevDelivery64, FromRing3TheStackIsTheTsss) {
    Guest guest(Paging::five_levels);
    guest.go_to_ring_3();
    deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_EQ(guest.gprs[rsp], kInnerStackTop - 0x30);
    EXPECT_EQ(guest.pushed64(2), kUserCode);
    EXPECT_EQ(guest.pushed64(5), kUserData);
    EXPECT_EQ(guest.save().ss.selector, 0);
    EXPECT_EQ(guest.save().cpl, 0);
    EXPECT_EQ(guest.save().cs.selector & 3, 0);
}

TEST(SevDelivery64, ConformingHandlerStaysInRing3) {
    Guest guest(Paging::four_levels);
    guest.go_to_ring_3();
    guest.set_gate(kVectorVc, kHandler, kInterrupt, kConforming);
    deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_EQ(guest.gprs[rsp], kStackTop - 0x20 - 0x30);
    EXPECT_EQ(guest.save().cpl, 3);
    EXPECT_EQ(guest.save().cs.selector, kConforming | 3);
}

TEST(SevDelivery64, FrameGoesWhereTheStacksMappingSays) {
    Guest guest(Paging::four_levels);
    const uint64_t stack = kStackTop - kPageBytes;
    guest.map(stack, stack, kEntryAll); // no C-bit
    deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_EQ(guest.get<uint64_t>(guest.gprs[rsp], Backing::shared), kCpuidExit);
    EXPECT_EQ(guest.get<uint64_t>(guest.gprs[rsp], Backing::private_), 0u);
}

TEST(SevDelivery64, HandlerThatIsNotCanonicalIsADoubleFault) {
    Guest guest(Paging::four_levels);
    guest.set_gate(kVectorVc, uint64_t{1} << 47);
    expect_double_fault(guest, "the handler's address is not canonical");
    Guest wide(Paging::five_levels);
    wide.set_gate(kVectorVc, uint64_t{1} << 47);
    EXPECT_EQ(deliver_exception(wide, kVectorVc, kCpuidExit).count, 1u) << "57 bits";
    Guest wider(Paging::five_levels);
    wider.set_gate(kVectorVc, uint64_t{1} << 56);
    expect_double_fault(wider, "the handler's address is not canonical");
}

TEST(SevDelivery64, StackThatIsNotCanonicalIsADoubleFault) {
    Guest guest(Paging::four_levels);
    guest.set_gate(kVectorVc, kHandler, kInterrupt, kCode, 2);
    guest.put<uint64_t>(kTss + 36 + 8, uint64_t{0xdead} << 48);
    expect_double_fault(guest, "the stack pointer is not canonical");
}

TEST(SevDelivery64, GateOfAnyOtherTypeIsADoubleFault) {
    for (unsigned type = 0; type != 32; ++type) {
        if (type == kInterrupt || type == kTrap)
            continue;
        Guest guest(Paging::four_levels);
        guest.set_gate(kVectorVc, kHandler, type);
        SCOPED_TRACE(type);
        expect_double_fault(guest, "the gate's type is neither interrupt nor trap of this mode");
    }
}

TEST(SevDelivery64, GateThatIsNotPresentIsADoubleFault) {
    Guest guest(Paging::four_levels);
    guest.set_gate(kVectorVc, kHandler, kInterrupt, kCode, 0, false);
    expect_double_fault(guest, "the gate is not present");
}

TEST(SevDelivery64, LimitOfTheIdtIsKept) {
    Guest guest(Paging::four_levels);
    guest.save().idtr.limit = kVectorVc * 16 + 15;
    EXPECT_EQ(deliver_exception(guest, kVectorVc, kCpuidExit).count, 1u);
    Guest shorter(Paging::four_levels);
    shorter.save().idtr.limit = kVectorVc * 16 + 14;
    expect_double_fault(shorter, "the IDT's limit leaves out the vector");
}

TEST(SevDelivery64, SelectorMustBeOneOf64BitCode) {
    struct {
        uint16_t selector;
        uint64_t descriptor;
        const char* failure;
    } const cases[] = {
        {0, 0, "the gate's selector is null"},
        {3, 0, "the gate's selector is null"},
        {0x40, 0, "the selector lies behind its table's limit"},
        {0x0c, 0, "the selector lies behind its table's limit"}, // of the LDT, which is empty
        {kOtherCode, kData32, "the gate's selector is none of code"},
        {kOtherCode, kCode64 & ~(uint64_t{1} << 44), "the gate's selector is none of code"},
        {kOtherCode, kCode64 | kDpl3, "the handler's code segment has less privilege"},
        {kOtherCode, kCode32, "the handler's code segment is not a 64-bit one"},
        {kOtherCode, kCode64 | kBigBit, "the handler's code segment is not a 64-bit one"},
        {kOtherCode, kCode64 & ~kPresentBit, "the handler's code segment is not present"},
    };
    for (const auto& c : cases) {
        Guest guest(Paging::four_levels);
        guest.set_descriptor(kOtherCode, c.descriptor);
        guest.set_gate(kVectorVc, kHandler, kInterrupt, c.selector);
        SCOPED_TRACE(c.failure);
        expect_double_fault(guest, c.failure);
    }
}

TEST(SevDelivery64, LimitOfTheTssIsKept) {
    Guest guest(Paging::four_levels);
    guest.set_gate(kVectorVc, kHandler, kInterrupt, kCode, 2);
    guest.save().tr.limit = 36 + 8 + 7;
    EXPECT_EQ(deliver_exception(guest, kVectorVc, kCpuidExit).count, 1u);
    Guest shorter(Paging::four_levels);
    shorter.set_gate(kVectorVc, kHandler, kInterrupt, kCode, 2);
    shorter.save().tr.limit = 36 + 8 + 6;
    expect_double_fault(shorter, "the TSS's limit leaves out the stack pointer");
}

// Table 8-3: a page fault while #VC is delivered is delivered itself.
TEST(SevDelivery64, StackThatIsNotMappedIsAPageFaultIfThatHasAStack) {
    Guest guest(Paging::four_levels);
    constexpr uint64_t kUnmapped = 0x200000;
    guest.gprs[rsp] = kUnmapped + 0x30;
    guest.set_gate(kVectorPf, kPfHandler, kInterrupt, kCode, 2);
    const Delivery d = deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_FALSE(d.shutdown);
    ASSERT_EQ(d.count, 2u);
    EXPECT_STREQ(d.attempt[0].failure, "the stack cannot be written");
    EXPECT_TRUE(d.attempt[0].page_fault);
    EXPECT_EQ(d.attempt[1].vector, kVectorPf);
    EXPECT_EQ(d.attempt[1].error_code, 2u) << "a write, not present";
    EXPECT_EQ(guest.save().cr2, kUnmapped);
    EXPECT_EQ(guest.save().rip, kPfHandler);
    EXPECT_EQ(guest.pushed64(0), 2u);
    EXPECT_EQ(guest.pushed64(1), kRip) << "where the first exception was";
}

TEST(SevDelivery64, PageFaultThatCannotBeDeliveredIsADoubleFault) {
    Guest guest(Paging::four_levels);
    guest.gprs[rsp] = 0x200000;
    guest.set_gate(kVectorDf, kDfHandler, kInterrupt, kCode, 2);
    const Delivery d = deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_FALSE(d.shutdown);
    ASSERT_EQ(d.count, 3u);
    EXPECT_EQ(d.attempt[1].vector, kVectorPf);
    EXPECT_EQ(d.attempt[2].vector, kVectorDf);
    EXPECT_EQ(guest.save().rip, kDfHandler);
    EXPECT_EQ(guest.pushed64(0), 0u);
    EXPECT_EQ(guest.pushed64(3) & kFlagRf, 0u) << "an abort, not a fault";
}

TEST(SevDelivery64, DoubleFaultThatCannotBeDeliveredIsAShutdown) {
    Guest guest(Paging::four_levels);
    guest.set_gate(kVectorVc, kHandler, kInterrupt, kCode, 0, false);
    guest.set_gate(kVectorDf, kDfHandler, kInterrupt, kCode, 0, false);
    const Delivery d = deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_TRUE(d.shutdown);
    EXPECT_EQ(d.count, 2u);
    EXPECT_EQ(guest.save().rip, kRip) << "nothing was entered";
    EXPECT_EQ(guest.gprs[rsp], kRsp);
}

TEST(SevDelivery64, NoStackAtAllIsAShutdown) {
    Guest guest(Paging::four_levels);
    guest.gprs[rsp] = 0x200000;
    const Delivery d = deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_TRUE(d.shutdown);
    EXPECT_EQ(d.count, 3u) << "#VC, #PF, #DF";
}

TEST(SevDelivery64, GateIsReadThroughTheTablesWithItsCBit) {
    Guest guest(Paging::four_levels);
    guest.map(kIdt, kIdt, kEntryAll); // the shared page: filled with 0xee
    const Delivery d = deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_TRUE(d.shutdown);
}

TEST(SevDelivery64, StackThatIsNotValidatedIsNotWritten) {
    Guest guest(Paging::four_levels);
    std::vector<uint8_t> states(kMachineBytes / kPageBytes);
    ReverseMap map(guest.memory);
    map.create(0, states.data());
    for (GuestPhys page = 0; page != kMachineBytes; page += kPageBytes)
        map.set_validated(page, true);
    guest.reverse_map = &map;
    EXPECT_EQ(deliver_exception(guest, kVectorVc, kCpuidExit).count, 1u);
    map.set_validated(kStackTop - kPageBytes, false);
    const Delivery d = deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_STREQ(d.attempt[0].failure, "the stack cannot be written");
    EXPECT_FALSE(d.attempt[0].page_fault);
}

TEST(SevDelivery32, PushesTheFrameAndEntersTheHandler) {
    for (Paging mode : {Paging::off, Paging::bits32, Paging::pae}) {
        Guest guest(mode);
        const Delivery d = deliver_exception(guest, kVectorVc, kCpuidExit);
        EXPECT_EQ(d.count, 1u);
        EXPECT_EQ(guest.gprs[rsp], kRsp - 16) << "no alignment";
        EXPECT_EQ(guest.pushed32(0), kCpuidExit);
        EXPECT_EQ(guest.pushed32(1), kRip);
        EXPECT_EQ(guest.pushed32(2), kCode);
        EXPECT_EQ(guest.pushed32(3), kFlagsFixed | kFlagIf | kFlagTf | kFlagCf | kFlagRf);
        EXPECT_EQ(guest.save().rip, kHandler);
        EXPECT_EQ(guest.save().rflags, kFlagsFixed | kFlagCf);
        EXPECT_EQ(guest.save().cs.attributes, 0xc9b);
        EXPECT_EQ(guest.save().cs.limit, 0xffffffff);
    }
}

TEST(SevDelivery32, LongModeThatIsEnabledButNotActiveStillHas32BitRules) {
    Guest guest(Paging::off);
    guest.save().efer |= kEferLme;
    deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_EQ(guest.gprs[rsp], kRsp - 16);
}

TEST(SevDelivery32, FromRing3TheStackIsTheTsss) {
    Guest guest(Paging::pae);
    guest.go_to_ring_3();
    deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_EQ(guest.gprs[rsp], kInnerStackTop - 24);
    EXPECT_EQ(guest.pushed32(2), kUserCode);
    EXPECT_EQ(guest.pushed32(4), kRsp);
    EXPECT_EQ(guest.pushed32(5), kUserData);
    EXPECT_EQ(guest.save().ss.selector, kData);
    EXPECT_EQ(guest.save().cpl, 0);
}

TEST(SevDelivery32, StackOfTheTssMustBeAWritableOneOfItsPrivilege) {
    constexpr char kKind[] =
        "the TSS's stack segment is no writable one of the handler's privilege";
    struct {
        uint16_t selector;
        uint64_t descriptor;
        const char* failure;
    } const cases[] = {
        {0, 0, "the TSS's stack segment is null"},
        {0x40, 0, "the selector lies behind its table's limit"},
        {kInnerData, kCode32, kKind},
        {kInnerData, kData32 & ~(uint64_t{1} << 41), kKind},
        {kInnerData, kData32 | kDpl3, kKind},
        {kInnerData | 3, kData32, kKind},
        {kInnerData, kData32 & ~kPresentBit, "the TSS's stack segment is not present"},
    };
    for (const auto& c : cases) {
        Guest guest(Paging::pae);
        guest.go_to_ring_3();
        guest.set_gate(kVectorDf, kDfHandler, kInterrupt, kConforming); // needs no other stack
        guest.set_descriptor(kInnerData, c.descriptor);
        guest.put<uint32_t>(kTss + 8, c.selector);
        SCOPED_TRACE(c.failure);
        expect_double_fault(guest, c.failure);
    }
}

TEST(SevDelivery32, HandlerBehindItsSegmentsLimitIsADoubleFault) {
    Guest guest(Paging::bits32);
    guest.set_descriptor(kOtherCode, 0x00409b0000000000 | (kHandler - 1));
    guest.set_gate(kVectorVc, kHandler, kInterrupt, kOtherCode);
    expect_double_fault(guest, "the handler lies behind its segment's limit");
}

TEST(SevDelivery32, FrameMustFitTheStacksSegment) {
    Guest guest(Paging::off);
    guest.save().ss.limit = kRsp - 1;
    EXPECT_EQ(deliver_exception(guest, kVectorVc, kCpuidExit).count, 1u);
    Guest shorter(Paging::off);
    shorter.save().ss.limit = kRsp - 2;
    const Delivery d = deliver_exception(shorter, kVectorVc, kCpuidExit);
    EXPECT_STREQ(d.attempt[0].failure, "the stack's segment ends before the frame");
    EXPECT_TRUE(d.shutdown);
}

TEST(SevDelivery32, FrameMustFitAStackThatExpandsDown) {
    Guest guest(Paging::off);
    guest.save().ss.attributes |= 1 << 2;
    guest.save().ss.limit = kRsp - 16 - 1;
    EXPECT_EQ(deliver_exception(guest, kVectorVc, kCpuidExit).count, 1u);
    Guest shorter(Paging::off);
    shorter.save().ss.attributes |= 1 << 2;
    shorter.save().ss.limit = kRsp - 16;
    EXPECT_TRUE(deliver_exception(shorter, kVectorVc, kCpuidExit).shutdown);
}

TEST(SevDelivery32, StackHasItsBaseAndSixteenBitsInASmallSegment) {
    Guest guest(Paging::off);
    guest.save().ss = {kData, 0x093, 0xffff, 0x100000};
    guest.gprs[rsp] = 0xabcd0000; // wraps below 0: the upper half stays
    deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_EQ(guest.gprs[rsp], 0xabcdfff0);
}

TEST(SevDelivery32, Virtual8086ModeIsNotServed) {
    Guest guest(Paging::off);
    guest.save().rflags |= kFlagVm;
    EXPECT_TRUE(deliver_exception(guest, kVectorVc, kCpuidExit).shutdown);
}

TEST(SevDelivery32, StackThatIsNotMappedIsAShutdownWithoutAnother) {
    Guest guest(Paging::pae);
    guest.gprs[rsp] = 0x200010;
    const Delivery d = deliver_exception(guest, kVectorVc, kCpuidExit);
    EXPECT_TRUE(d.shutdown);
    EXPECT_EQ(d.count, 3u);
    EXPECT_EQ(guest.save().cr2, 0x200000u);
}

TEST(SevDelivery16, RealModeTakesAFarPointerAndPushesNoErrorCode) {
    Guest guest(Paging::off);
    VmcbSave& s = guest.save();
    s.cr0 = 0;
    s.idtr = {0, 0, 0x3ff, 0};
    s.cs = {0xf000, 0x9b, 0xffff, 0xf0000};
    s.ss = {0x100, 0x93, 0xffff, 0x1000};
    s.rip = 0x123;
    guest.gprs[rsp] = 0x2000;
    guest.put<uint16_t>(kVectorVc * 4, 0x4567);
    guest.put<uint16_t>(kVectorVc * 4 + 2, 0x89ab);
    EXPECT_EQ(deliver_exception(guest, kVectorVc, kCpuidExit).count, 1u);
    EXPECT_EQ(s.cs.selector, 0x89ab);
    EXPECT_EQ(s.cs.base, 0x89ab0u);
    EXPECT_EQ(s.rip, 0x4567u);
    EXPECT_EQ(guest.gprs[rsp], 0x2000u - 6);
    EXPECT_EQ(guest.get<uint16_t>(0x1000 + 0x1ffa), 0x123);
    EXPECT_EQ(guest.get<uint16_t>(0x1000 + 0x1ffc), 0xf000);
    EXPECT_EQ(s.rflags & (kFlagIf | kFlagTf), 0u);
}

TEST(SevDelivery16, TableThatEndsBeforeTheVectorsIsAShutdown) {
    Guest guest(Paging::off);
    guest.save().cr0 = 0;
    guest.save().idtr = {0, 0, 0x1f, 0};
    EXPECT_TRUE(deliver_exception(guest, kVectorVc, kCpuidExit).shutdown);
}

} // namespace
} // namespace sevhost::test
