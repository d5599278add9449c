/* A kernel that wishes for a screen, and shows text on it. */
#include <prologue/kernel.h>
#include <prologue/wishes.h>

#include "screen.h"
#include "serial.h"

PROLOGUE_WISH_FRAMEBUFFER(1024, 768, 32);
PROLOGUE_WISH_HEADERS(pvh, multiboot1, multiboot2, linux);

/* RAM and devices, the frame buffer too, at their own addresses. */
PROLOGUE_WISH_DIRECT_MAP(PROLOGUE_NO_DIRECT_MAP);
PROLOGUE_WISH_IDENTITY_MAP(PROLOGUE_IDENTITY_4_GIB, PROLOGUE_FROM_PAGE_1 | PROLOGUE_WITH_DEVICES);

_Noreturn static void halt(void) {
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void describe(const prologue_framebuffer *framebuffer) {
    print("framebuffer: ");
    print_hex(framebuffer->phys);
    print(" ");
    print_decimal(framebuffer->width);
    print(" ");
    print_decimal(framebuffer->height);
    print(" ");
    print_decimal(framebuffer->pitch);
    print(" ");
    print_decimal(framebuffer->bits_per_pixel);
    print("\n");
}

/* Its edge, three bars, and what it is. */
static void show(struct screen *screen, const prologue_handoff *handoff) {
    static const struct colour red = {255, 0, 0}, green = {0, 255, 0}, blue = {0, 0, 255},
                               white = {255, 255, 255}, black = {0, 0, 0};
    const uint32_t width = screen->width, height = screen->height, bar = height / 12;

    screen_fill(screen, 0, 0, width, height, white);
    screen_fill(screen, 1, 1, width - 2, height - 2, black);
    screen_fill(screen, bar, bar, width - 2 * bar, bar, red);
    screen_fill(screen, bar, 2 * bar, width - 2 * bar, bar, green);
    screen_fill(screen, bar, 3 * bar, width - 2 * bar, bar, blue);

    screen_go_to(screen, bar, 5 * bar);
    screen_print(screen, "Hello, screen.\n\n");
    screen_print_decimal(screen, width);
    screen_print(screen, " by ");
    screen_print_decimal(screen, height);
    screen_print(screen, " pixels of ");
    screen_print_decimal(screen, handoff->framebuffer.bits_per_pixel);
    screen_print(screen, " bits\nFree: ");
    screen_print_decimal(screen,
                         prologue_bytes_of_type(handoff, PROLOGUE_MEMORY_USABLE) / 0x100000);
    screen_print(screen, " MiB\n");
}

void kernel_main(const prologue_handoff *handoff) {
    struct screen screen;
    serial_init();
    if (!prologue_handoff_is_good(handoff)) {
        print("this is no handoff of Prologue's, or an older one\n");
        halt();
    }
    describe(&handoff->framebuffer);
    if (screen_open(&screen, &handoff->framebuffer))
        show(&screen, handoff);
    else
        print("there is no screen, or none of direct colours below 4 GiB\n");
    print("result: ok\n");
    halt();
}
