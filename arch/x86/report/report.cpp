#include "report.h"

#include "bits.h"
#include "ports.h"
#include "prologue/wishes.h"

namespace prologue {
namespace {

// In order of their numbers, each ended by a NUL: see sentence().
constexpr char kRegisterNames[] =
    "ax\0cx\0dx\0bx\0sp\0bp\0si\0di\0r8\0r9\0r10\0r11\0r12\0r13\0r14\0r15\0";
constexpr unsigned kOldRegisters = 8; // that have an E or R before their name

constexpr unsigned kFaultBytes = 16;
constexpr unsigned kStackWords = 8;

const char* nth(const char* names, unsigned number) {
    for (; number != 0; --number)
        while (*names++ != 0) {
        }
    return names;
}

void put_field(Console& console, const char* name, uint64_t value, unsigned digits) {
    console.put(' ');
    console.put(name);
    console.put('=');
    console.put_hex(value, digits);
}

void put_headline(Console& console, const ExceptionReport& report, const ReportedImage& image) {
    const unsigned digits = report.bits / 4;
    const char* name = nth(vector_names(), report.vector % VECTORS);
    console.put("prologue: fatal: ");
    console.put(*name != 0 ? name : "reserved");
    console.put(" (vector ");
    console.put_decimal(static_cast<uint32_t>(report.vector));
    console.put("), error ");
    console.put_hex(report.error, 4);
    console.put(report.bits == 64 ? ", 64-bit, at " : ", 32-bit, at ");
    console.put_hex(report.ip, digits);
    uint64_t offset = report.ip - image.start;
    if (offset >= image.bytes)
        offset = report.ip - image.linked;
    if (offset < image.bytes) {
        console.put(" = image+");
        console.put_hex(offset);
        console.put(", linked at ");
        console.put_hex(image.linked + offset, 16);
    }
    console.put('\n');
}

void put_registers(Console& console, const ExceptionReport& report) {
    const unsigned digits = report.bits / 4;
    const unsigned count = report.bits / 4; // 8 or 16
    for (unsigned i = 0; i != count; ++i) {
        if (i % 4 == 0)
            console.put("prologue: ");
        console.put(' ');
        if (i < kOldRegisters)
            console.put(report.bits == 64 ? 'r' : 'e');
        console.put(nth(kRegisterNames, i));
        console.put('=');
        console.put_hex(report.registers[i], digits);
        if (i % 4 == 3)
            console.put('\n');
    }
}

void put_state(Console& console, const ExceptionReport& report) {
    const unsigned digits = report.bits / 4;
    console.put("prologue: ");
    put_field(console, "cs", report.cs, 4);
    put_field(console, "flags", report.flags, 8);
    put_field(console, "cr0", report.cr0, 8);
    put_field(console, "cr2", report.cr2, digits);
    put_field(console, "cr3", report.cr3, digits);
    put_field(console, "cr4", report.cr4, 8);
    put_field(console, "efer", report.efer, 4);
    console.put('\n');
}

template <class Word>
Word word_at(uint64_t address) {
    return *reinterpret_cast<const volatile Word*>(static_cast<uintptr_t>(address));
}

void put_memory(Console& console, const ExceptionReport& report) {
    console.put("prologue:  bytes:");
    for (unsigned i = 0; i != kFaultBytes; ++i) {
        console.put(' ');
        console.put_hex(word_at<uint8_t>(report.ip + i), 2);
    }
    console.put("\nprologue:  stack:");
    // As far as the page goes: what lies beyond the stack's end may not be mapped.
    const unsigned word = report.bits / 8;
    for (unsigned i = 0; i != kStackWords; ++i) {
        const uint64_t at = report.sp + word * i;
        if (i != 0 && at % PAGE_BYTES < word)
            break;
        console.put(' ');
        console.put_hex(word == 8 ? word_at<uint64_t>(at) : word_at<uint32_t>(at), 2 * word);
    }
    console.put('\n');
}

} // namespace

void print_error(Console& console, const char* sentence, const char* what,
                 const uint64_t* numbers) {
    console.put("prologue: fatal: ");
    for (; *sentence != 0; ++sentence) {
        if (*sentence != '%') {
            console.put(*sentence);
            continue;
        }
        const char kind = *++sentence;
        if (kind != 's' && numbers == nullptr) {
            console.put('?');
            continue;
        }
        switch (kind) {
        case 's':
            console.put(what);
            break;
        case 'u':
            console.put_decimal(static_cast<uint32_t>(*numbers++));
            break;
        default:
            console.put_hex(*numbers++);
            break;
        }
    }
    console.put('\n');
}

void print_exception(Console& console, const ExceptionReport& report, const ReportedImage& image) {
    put_headline(console, report, image);
    put_state(console, report);
    put_registers(console, report);
    if (!report.of_private_memory)
        put_memory(console, report);
}

void end_boot(uint32_t wish_qemu_exit) {
    if (wish_qemu_exit != 0)
        out8(PROLOGUE_EXIT_PORT, PROLOGUE_EXIT_FATAL);
    for (;;)
        asm volatile("cli; hlt");
}

} // namespace prologue
