// How the stub ends otherwise than in the kernel: by a refusal, for which the firmware
// gets all back and goes on, or by a fault, its own or the firmware's in its service.
#include "bits.h"
#include "cpu.h"
#include "machine.h"
#include "report.h"
#include "stub_header.h"
#include "vc.h"

#pragma GCC visibility push(hidden)
extern "C" {
extern const char prologue_isr64[];
[[noreturn]] void prologue_exception(const prologue::Frame64& frame);
}
#pragma GCC visibility pop

namespace prologue {
namespace efi {
namespace {

// Null where there is none, or none that can be called.
Firmware* firmware_in_charge;

// What goes to the firmware's console, as soon as it is all said elsewhere: the firmware
// may be what is broken.
constexpr unsigned kMostSaid = 2048;
Char16 said[kMostSaid + 1];
unsigned said_count;

void show_what_is_said() {
    said[said_count] = 0;
    said_count = 0;
    Firmware* const firmware = firmware_in_charge;
    if (firmware == nullptr)
        return;
    TextOutput* const output = firmware->system().console_out;
    if (output != nullptr)
        output->output_string(output, said);
}

struct TablePointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

struct Gate {
    uint16_t low, selector;
    uint8_t ist, kind;
    uint16_t middle;
    uint32_t high, reserved;
};
static_assert(sizeof(Gate) == 16);

constexpr unsigned kAllVectors = 256;
constexpr uint8_t kInterruptGate = 0x8e;
// Those that a debugger in the firmware, or its own service of an SEV guest, may want: #DB, NMI,
// #BP, #HV and #VC.
constexpr uint32_t kFirmwares = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 28 | 1 << 29;

alignas(16) Gate idt[kAllVectors];
TablePointer firmware_idt;

void load_idt(const TablePointer& pointer) {
    asm volatile("lidt %0" : : "m"(pointer));
}

uint16_t code_selector() {
    uint32_t selector;
    asm("movl %%cs, %0" : "=r"(selector));
    return static_cast<uint16_t>(selector);
}

// The firmware's, which serves its interrupts, with our handlers for exceptions.
void install_idt() {
    asm volatile("sidt %0" : "=m"(firmware_idt));
    const unsigned bytes = firmware_idt.limit < sizeof idt ? firmware_idt.limit + 1u : sizeof idt;
    const auto* const from = reinterpret_cast<const uint8_t*>(firmware_idt.base);
    for (unsigned i = 0; i != bytes; ++i)
        reinterpret_cast<uint8_t*>(idt)[i] = from[i];
    for (unsigned vector = 0; vector != VECTORS; ++vector) {
        if ((kFirmwares >> vector & 1) != 0)
            continue;
        const uintptr_t isr = reinterpret_cast<uintptr_t>(prologue_isr64) + vector * ISR64_STRIDE;
        idt[vector] = {static_cast<uint16_t>(isr),
                       code_selector(),
                       0,
                       kInterruptGate,
                       static_cast<uint16_t>(isr >> 16),
                       static_cast<uint32_t>(isr >> 32),
                       0};
    }
    load_idt({sizeof idt - 1, reinterpret_cast<uintptr_t>(idt)});
}

[[noreturn]] void stop() {
    end_boot(prologue_efi_header.flags & STUB_QEMU_EXIT);
}

// Back to the boot manager, if there is one to go to.
[[noreturn]] void leave(Status status) {
    Firmware* const firmware = firmware_in_charge;
    if (firmware == nullptr || (prologue_efi_header.flags & STUB_QEMU_EXIT) != 0)
        stop();
    firmware->give_back();
    give_faults_back();
    firmware->services().exit(firmware->image(), (status & kError) != 0 ? status : kLoadError, 0,
                              nullptr);
    stop();
}

unsigned exceptions_seen;

} // namespace

void take_over_faults(Firmware& firmware) {
    firmware_in_charge = &firmware;
    install_idt();
}

void give_faults_back() {
    load_idt(firmware_idt);
}

void forget_firmware() {
    firmware_in_charge = nullptr;
}

} // namespace efi

using namespace efi;

void Console::put_on_screen(char c) {
    if (c == '\n' && said_count != kMostSaid)
        said[said_count++] = '\r';
    if (said_count != kMostSaid)
        said[said_count++] = static_cast<Char16>(c);
}

// The first number is the firmware's status, where it has given one.
void fail_in(const char* what, Error error, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    constexpr char kSentences[] = PROLOGUE_EFI_ERRORS(PROLOGUE_ERROR_SENTENCE);
    const auto mine = static_cast<uint32_t>(error) - static_cast<uint32_t>(Error::efi);
    const uint64_t numbers[] = {a, b, c, d};
    Console console;
    print_error(console, sentence(kSentences, static_cast<Error>(mine)), what, numbers);
    show_what_is_said();
    leave(a);
}

} // namespace prologue

void prologue_exception(const prologue::Frame64& frame) {
    using namespace prologue;
    if (++exceptions_seen > 2)
        stop();
    if (exceptions_seen == 2) {
        firmware_in_charge = nullptr;
        Console().put("\nprologue: fatal: another exception while one was reported\n");
        stop();
    }
    const uint64_t numbers[] = {frame.vector, frame.error,
                                frame.rip,    reinterpret_cast<uintptr_t>(&prologue_efi_header),
                                read_cr2(),   frame.rsp};
    Console console;
    print_error(console,
                "efi: exception %u (error %x) at %x, while the stub lies at %x; cr2 %x, stack %x",
                "", numbers);
    show_what_is_said();
    stop();
}
