// A host for SEV-ES and SEV-SNP guests, without the hardware: boots through
// Prologue, runs one guest through SVM, and gives it what AMD's documents say.
#include "console.h"
#include "exits.h"
#include "guest.h"
#include "hostile.h"
#include "images.h"
#include "outcome.h"
#include "place.h"
#include "probe.h"
#include "processors.h"
#include "prologue/handoff.h"
#include "prologue/wishes.h"
#include "safe_msr.h"
#include "settings.h"
#include "sweep.h"

PROLOGUE_WISH_PAGING(PROLOGUE_PAGING_BEST);
PROLOGUE_WISH_QEMU_EXIT;

void kernel_main(const prologue_handoff* handoff) {
    using namespace sevhost;
    const Settings settings = parse_settings(handoff->cmdline);
    if (settings.hostile == "list") {
        say_hostile_behaviours();
        leave(Outcome::success);
    }
    HostMemory host(*handoff);
    catch_general_protection();
    require_machine(host, settings);
    const Images images = find_images(host);

    Vm vm(host, settings);
    Guest guest(vm);
    prepare_guest(guest);
    place_guest(guest, images);
    say("sevhost: guest of ", decimal(settings.memory_bytes >> 20), " MiB, sev ",
        name(settings.sev));
    if (guest.encrypted())
        say(", noise of seed ", hex(settings.seed));
    say("\n");
    if (settings.sweep != Sweep::none)
        sweep(guest);
    start_processors(guest);
    run(guest);
}
