// What a dying boot says, to the letter, and the ports that it says it to.

#include "report.h"

#include "ports.h"
#include "seams.h"

#include <gtest/gtest.h>

#include <string>
#include <sys/mman.h>

namespace prologue::test {
namespace {

constexpr uint16_t kDebugPort = 0xe9, kSerial = 0x3f8;
constexpr uint8_t kTransmitterEmpty = 0x20;

struct Report : testing::Test {
    Report() {
        fake_ports = {};
        fake_ports.reads_as = kTransmitterEmpty;
    }

    static std::string said_to(uint16_t port) {
        std::string text;
        for (const FakePorts::Write& write : fake_ports.writes)
            if (write.port == port)
                text += static_cast<char>(write.value);
        return text;
    }

    // What has been said since the console was made.
    template <class Say>
    static std::string said(Say say) {
        Console console;
        fake_ports.writes.clear();
        say(console);
        return said_to(kDebugPort);
    }
};

TEST_F(Report, GoesToTheSerialPortAndTheDebugPort) {
    const std::string text = said([](Console& console) { console.put("a\nb\n"); });
    EXPECT_EQ(text, "a\nb\n");
    EXPECT_EQ(said_to(kSerial), "a\r\nb\r\n");
    EXPECT_EQ(fake_ports.writes.size(), 4u + 6u) << "and nowhere else";
}

TEST_F(Report, SetsTheSerialPortTo115200Baud8N1) {
    Console console;
    std::vector<FakePorts::Write> expected = {
        {kSerial + 1, 0},                         // no interrupts
        {kSerial + 3, 0x80},                      // the divisor can be reached
        {kSerial + 0, 1},                         // and is 1
        {kSerial + 1, 0},    {kSerial + 3, 0x03}, // 8N1
        {kSerial + 2, 0xc7},                      // FIFOs on, and empty
        {kSerial + 4, 0x03},                      // DTR and RTS
    };
    EXPECT_EQ(fake_ports.writes, expected);
}

TEST_F(Report, WaitsForTheTransmitterButNotForEver) {
    said([](Console& console) { console.put("ab"); });
    EXPECT_EQ(fake_ports.reads, 2u);
    fake_ports = {};
    fake_ports.reads_as = 0; // never empty
    EXPECT_EQ(said([](Console& console) { console.put("ab"); }), "ab");
    EXPECT_EQ(said_to(kSerial), "ab");
    EXPECT_LT(fake_ports.reads, 1000000u);
    EXPECT_GT(fake_ports.reads, 1000u) << "115200 baud take 87 us a byte";
}

TEST_F(Report, SpellsNumbers) {
    const auto hex = [](uint64_t value, unsigned digits) {
        return said([=](Console& console) { console.put_hex(value, digits); });
    };
    EXPECT_EQ(hex(0, 1), "0");
    EXPECT_EQ(hex(0, 4), "0000");
    EXPECT_EQ(hex(0xabcdef, 1), "abcdef");
    EXPECT_EQ(hex(0xabcdef, 8), "00abcdef");
    EXPECT_EQ(hex(0x10, 1), "10");
    EXPECT_EQ(hex(~uint64_t{0}, 1), "ffffffffffffffff");
    EXPECT_EQ(hex(0x1234567890, 4), "1234567890") << "at least so many digits";
    const auto decimal = [](uint32_t value) {
        return said([=](Console& console) { console.put_decimal(value); });
    };
    EXPECT_EQ(decimal(0), "0");
    EXPECT_EQ(decimal(9), "9");
    EXPECT_EQ(decimal(10), "10");
    EXPECT_EQ(decimal(4294967295), "4294967295");
}

TEST_F(Report, ErrorIsOneLineWithItsNumbers) {
    const uint64_t numbers[] = {6, 0x9510, 3, 16};
    EXPECT_EQ(said([&](Console& console) {
                  print_error(console, raw_sentence(Error::multiboot2_tag), "", numbers);
              }),
              "prologue: fatal: multiboot2: tag 6 at 9510 claims 3 bytes, needs 10\n");
    EXPECT_EQ(said([&](Console& console) {
                  print_error(console, raw_sentence(Error::kernel_returned), "", numbers);
              }),
              "prologue: fatal: kernel_main has returned\n");
}

TEST_F(Report, EveryErrorIsSpelt) {
    const uint64_t numbers[] = {0xdeadbeef, 7, 0xfedcba9876543210, 10};
    for (uint32_t error = 0; error != kErrors; ++error) {
        const char* sentence = raw_sentence(static_cast<Error>(error));
        std::string expected = "prologue: fatal: ";
        const uint64_t* number = numbers;
        for (const char* at = sentence; *at != 0; ++at) {
            char digits[24];
            if (*at != '%') {
                expected += *at;
                continue;
            }
            if (*++at == 's') {
                expected += "the name";
                continue;
            }
            const bool decimal = *at == 'u';
            const uint64_t value = decimal ? static_cast<uint32_t>(*number) : *number;
            snprintf(digits, sizeof digits, decimal ? "%lu" : "%lx", value);
            expected += digits;
            ++number;
        }
        EXPECT_EQ(
            said([&](Console& console) { print_error(console, sentence, "the name", numbers); }),
            expected + "\n");
    }
}

// --- Exceptions -------------------------------------------------------------------------------

// Memory below 4 GiB, where a report may point to.
struct Exceptions : Report {
    static constexpr uint64_t kCode = 0x10000000, kStack = 0x10002000;

    Exceptions() {
        void* const at = mmap(reinterpret_cast<void*>(kCode), 0x4000, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(at), kCode);
        for (int i = 0; i != 16; ++i)
            reinterpret_cast<uint8_t*>(kCode)[0x123 + i] = static_cast<uint8_t>(0xf0 + i);
        for (uint64_t i = 0; i != 8; ++i)
            reinterpret_cast<uint64_t*>(kStack)[i] = 0x1111111100000000 * i + i;
    }
    ~Exceptions() override { munmap(reinterpret_cast<void*>(kCode), 0x4000); }

    ExceptionReport report(unsigned bits) const {
        ExceptionReport report = {.bits = bits,
                                  .vector = 14,
                                  .error = 2,
                                  .ip = kCode + 0x123,
                                  .cs = 8,
                                  .flags = 0x10046,
                                  .sp = kStack,
                                  .registers = {},
                                  .cr0 = 0x80010033,
                                  .cr2 = 0xdead0000,
                                  .cr3 = 0x7654000,
                                  .cr4 = 0x6a0,
                                  .efer = 0xd00};
        for (uint64_t i = 0; i != 16; ++i)
            report.registers[i] = (bits == 64 ? i << 60 : 0) + 0xa0 + i;
        return report;
    }
    static std::string print(const ExceptionReport& report, const ReportedImage& image) {
        return said([&](Console& console) { print_exception(console, report, image); });
    }
    static std::string headline(const ExceptionReport& report, const ReportedImage& image) {
        const std::string text = print(report, image);
        return text.substr(0, text.find('\n'));
    }
};

constexpr ReportedImage kImage = {
    .start = Exceptions::kCode, .bytes = 0x1000, .linked = 0xffffffff80100000};

TEST_F(Exceptions, Of64BitModeAreReportedWhole) {
    EXPECT_EQ(print(report(64), kImage),
              "prologue: fatal: #PF page fault (vector 14), error 0002, 64-bit, at "
              "0000000010000123 = image+123, linked at ffffffff80100123\n"
              "prologue:  cs=0008 flags=00010046 cr0=80010033 cr2=00000000dead0000 "
              "cr3=0000000007654000 cr4=000006a0 efer=0d00\n"
              "prologue:  rax=00000000000000a0 rcx=10000000000000a1 rdx=20000000000000a2 "
              "rbx=30000000000000a3\n"
              "prologue:  rsp=40000000000000a4 rbp=50000000000000a5 rsi=60000000000000a6 "
              "rdi=70000000000000a7\n"
              "prologue:  r8=80000000000000a8 r9=90000000000000a9 r10=a0000000000000aa "
              "r11=b0000000000000ab\n"
              "prologue:  r12=c0000000000000ac r13=d0000000000000ad r14=e0000000000000ae "
              "r15=f0000000000000af\n"
              "prologue:  bytes: f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 fa fb fc fd fe ff\n"
              "prologue:  stack: 0000000000000000 1111111100000001 2222222200000002 "
              "3333333300000003 4444444400000004 5555555500000005 6666666600000006 "
              "7777777700000007\n");
}

TEST_F(Exceptions, OfPrivateMemoryNothingIsReported) {
    for (const unsigned bits : {32u, 64u}) {
        ExceptionReport of_sev_guest = report(bits);
        of_sev_guest.of_private_memory = true;
        const std::string all = print(report(bits), kImage);
        EXPECT_EQ(print(of_sev_guest, kImage), all.substr(0, all.find("prologue:  bytes:")));
    }
}

TEST_F(Exceptions, Of32BitModeAreReportedWhole) {
    EXPECT_EQ(print(report(32), kImage),
              "prologue: fatal: #PF page fault (vector 14), error 0002, 32-bit, at "
              "10000123 = image+123, linked at ffffffff80100123\n"
              "prologue:  cs=0008 flags=00010046 cr0=80010033 cr2=dead0000 cr3=07654000 "
              "cr4=000006a0 efer=0d00\n"
              "prologue:  eax=000000a0 ecx=000000a1 edx=000000a2 ebx=000000a3\n"
              "prologue:  esp=000000a4 ebp=000000a5 esi=000000a6 edi=000000a7\n"
              "prologue:  bytes: f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 fa fb fc fd fe ff\n"
              "prologue:  stack: 00000000 00000000 00000001 11111111 00000002 22222222 "
              "00000003 33333333\n");
}

TEST_F(Exceptions, OutsideTheImageHaveNoOffsetInIt) {
    ReportedImage image = kImage;
    const std::string outside =
        "prologue: fatal: #PF page fault (vector 14), error 0002, 64-bit, at 0000000010000123";
    image.bytes = 0x123;
    EXPECT_EQ(headline(report(64), image), outside);
    image = {.start = kCode + 0x124, .bytes = 0x1000, .linked = 0};
    EXPECT_EQ(headline(report(64), image), outside);
    image = {.start = kCode + 0x123, .bytes = 1, .linked = 0x400000};
    EXPECT_EQ(headline(report(64), image), outside + " = image+0, linked at 0000000000400000");
}

TEST_F(Exceptions, AtTheKernelsOwnAddressesAreInTheImageToo) {
    const ReportedImage image = {.start = 0x5000000, .bytes = 0x1000, .linked = kCode};
    EXPECT_EQ(headline(report(64), image),
              "prologue: fatal: #PF page fault (vector 14), error 0002, 64-bit, at "
              "0000000010000123 = image+123, linked at 0000000010000123");
    // The first byte behind where it was loaded may be one of where it is linked.
    EXPECT_EQ(
        headline(report(64), {.start = kCode + 0x23, .bytes = 0x100, .linked = kCode + 0x100}),
        "prologue: fatal: #PF page fault (vector 14), error 0002, 64-bit, at "
        "0000000010000123 = image+23, linked at 0000000010000123");
}

TEST_F(Exceptions, ShowTheStackAsFarAsItsPageGoes) {
    ExceptionReport one = report(64);
    one.sp = kStack + kPage - 16; // the page after it is there, but need not be
    std::string text = print(one, kImage);
    const std::string word(16, '0');
    EXPECT_EQ(text.substr(text.find("stack:")), "stack: " + word + " " + word + "\n");
    one.sp = kStack + kPage - 4; // a word that the page's end cuts: it was pushed, so it is there
    text = print(one, kImage);
    EXPECT_EQ(text.substr(text.find("stack:")), "stack: " + word + "\n");
    one = report(32);
    one.sp = kStack + kPage - 12;
    text = print(one, kImage);
    EXPECT_EQ(text.substr(text.find("stack:")), "stack: 00000000 00000000 00000000\n");
}

TEST_F(Exceptions, HaveTheManualsNames) {
    // SDM vol. 3, table 6-1; APM vol. 2, table 8-1 for #HV, #VC and #SX.
    const std::vector<std::string> mnemonics = {
        "#DE",      "#DB",      "NMI",      "#BP",      "#OF", "#BR", "#UD",      "#NM",
        "#DF",      "reserved", "#TS",      "#NP",      "#SS", "#GP", "#PF",      "reserved",
        "#MF",      "#AC",      "#MC",      "#XM",      "#VE", "#CP", "reserved", "reserved",
        "reserved", "reserved", "reserved", "reserved", "#HV", "#VC", "#SX",      "reserved"};
    for (size_t vector = 0; vector != mnemonics.size(); ++vector) {
        ExceptionReport one = report(64);
        one.vector = vector;
        const std::string start = "prologue: fatal: " + mnemonics[vector];
        const std::string number = "(vector " + std::to_string(vector) + ")";
        const std::string line = headline(one, kImage);
        EXPECT_EQ(line.substr(0, start.size()), start);
        EXPECT_NE(line.find(number), std::string::npos) << line;
    }
}

} // namespace
} // namespace prologue::test
