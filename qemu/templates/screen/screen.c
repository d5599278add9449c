#include "screen.h"

#include "font.h"

enum {
    DIRECT_COLOUR = 1, /* prologue_framebuffer.kind */
    COLUMNS = 53,      /* of text, at the least */
    MARGIN = 1,        /* between characters; between lines it is twice that */
};

bool screen_open(struct screen *screen, const prologue_framebuffer *framebuffer) {
    const uint64_t bytes = (uint64_t)framebuffer->pitch * framebuffer->height;
    if (framebuffer->phys == 0 || framebuffer->kind != DIRECT_COLOUR || bytes == 0 ||
        framebuffer->phys + bytes > 0x100000000)
        return false;
    screen->framebuffer = framebuffer;
    screen->pixels = (volatile uint8_t *)(uintptr_t)framebuffer->phys;
    screen->width = framebuffer->width;
    screen->height = framebuffer->height;
    screen->scale = framebuffer->width / (COLUMNS * (FONT_WIDTH + MARGIN));
    screen->scale += screen->scale == 0;
    screen_go_to(screen, 0, 0);
    return true;
}

/* A colour's share of a pixel: its upper bits, where the frame buffer has them. */
static uint32_t share(uint8_t value, uint8_t bits, uint8_t shift) {
    return bits == 0 ? 0 : (uint32_t)(value >> (bits < 8 ? 8 - bits : 0)) << shift;
}

static void put_pixel(struct screen *screen, uint32_t x, uint32_t y, uint32_t pixel) {
    const uint32_t bytes = (screen->framebuffer->bits_per_pixel + 7u) / 8;
    volatile uint8_t *at =
        screen->pixels + (uint64_t)y * screen->framebuffer->pitch + (uint64_t)x * bytes;
    for (uint32_t i = 0; i != bytes; ++i)
        at[i] = (uint8_t)(pixel >> 8 * i);
}

void screen_fill(struct screen *screen, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
                 struct colour colour) {
    const prologue_framebuffer *const is = screen->framebuffer;
    const uint32_t pixel = share(colour.red, is->red_bits, is->red_shift) |
                           share(colour.green, is->green_bits, is->green_shift) |
                           share(colour.blue, is->blue_bits, is->blue_shift);
    for (uint32_t row = y; row < y + height && row < screen->height; ++row)
        for (uint32_t column = x; column < x + width && column < screen->width; ++column)
            put_pixel(screen, column, row, pixel);
}

void screen_go_to(struct screen *screen, uint32_t x, uint32_t y) {
    screen->left = screen->x = x;
    screen->y = y;
}

static void draw(struct screen *screen, char c) {
    static const struct colour white = {255, 255, 255};
    const uint32_t scale = screen->scale;
    for (uint32_t row = 0; row != FONT_HEIGHT; ++row)
        for (uint32_t column = 0; column != FONT_WIDTH; ++column)
            if (font_has(c, column, row))
                screen_fill(screen, screen->x + column * scale, screen->y + row * scale, scale,
                            scale, white);
}

void screen_print(struct screen *screen, const char *text) {
    for (; *text != 0; ++text) {
        if (*text == '\n') {
            screen->x = screen->left;
            screen->y += screen->scale * (FONT_HEIGHT + 2 * MARGIN);
            continue;
        }
        draw(screen, *text);
        screen->x += screen->scale * (FONT_WIDTH + MARGIN);
    }
}

void screen_print_decimal(struct screen *screen, uint64_t value) {
    char digits[21];
    char *first = digits + sizeof digits - 1;
    *first = 0;
    do
        *--first = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    screen_print(screen, first);
}
