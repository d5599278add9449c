// A kernel's file, started by UEFI: from the firmware's call to the kernel's entry.
// Read prologue_efi_main, at the end, from top to bottom: it is all of it.
// Source: UEFI 2.10, sections 4.1 and 7.4.
#include "information.h"
#include "initrd.h"
#include "machine.h"
#include "place.h"
#include "screen.h"
#include "stub_header.h"

namespace prologue::efi {
namespace {

// The key is stale where the map has changed since, by an event of the firmware's own: then
// once more, which by the specification must be enough. After the first try, only the map
// may be asked for.
void leave_firmware(const Firmware& firmware, Information& information) {
    Status status = firmware.services().exit_boot_services(firmware.image(), information.put_map());
    if (status == kSuccess)
        return;
    forget_firmware();
    const Status first = status;
    status = firmware.services().exit_boot_services(firmware.image(), information.put_map());
    if (status != kSuccess)
        refuse("ExitBootServices fails twice: status, and before that", status, first);
}

Span stub_span(const StubHeader& header) {
    const auto start = reinterpret_cast<uintptr_t>(&header);
    return {start, start + header.data_end};
}

} // namespace

Status prologue_efi_main(Handle handle, const SystemTable* system) {
    Firmware firmware(handle, system);
    take_over_faults(firmware);

    // Who has started us, and what did it say?
    const StubHeader& header = prologue_efi_header;
    const auto* const image = firmware.protocol<LoadedImage>(handle, kLoadedImageProtocol);
    if (image == nullptr)
        refuse("the image's handle has no loaded image protocol", 0, 0);
    const bool shell = firmware.protocol<void>(handle, kShellParametersProtocol) != nullptr;
    const Text16 options = load_options(*image, shell);

    // The kernel in its place, and what it gets to know.
    const Span kernel = place_kernel(firmware, header);
    Information information(firmware, options);
    information.put_initrd(load_initrd(firmware, *image, options));
    information.put_tables(*system);
    information.put_seed(firmware);
    find_screen(firmware, header, information.screen());

    // By wish it goes on with the firmware. Loading has taken what it took: the watchdog, which
    // nobody will calm again, is off.
    if (header.leaves_boot_services()) {
        information.leave_running(firmware);
        firmware.services().set_watchdog_timer(0, 0, 0, nullptr);
        give_faults_back();
        prologue_efi_enter_running(kernel.start + header.kernel_entry, information.span().start);
    }

    // What the last step to it runs on.
    const CpuState cpu = cpu_state();
    const Span seen[] = {
        kernel, information.span(), stub_span(header), {cpu.stack - kPage, cpu.stack}};
    const uint64_t cr3 = build_tables(firmware, cpu, seen, sizeof seen / sizeof *seen);

    // Nothing of the firmware's is called, or relied on, from here on.
    leave_firmware(firmware, information);
    forget_firmware();
    prologue_efi_enter(cr3, kernel.start + header.kernel_entry, information.span().start);
}

} // namespace prologue::efi
