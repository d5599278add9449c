/* Text and rectangles on a frame buffer. */
#ifndef SCREEN_H
#define SCREEN_H

#include <prologue/handoff.h>
#include <stdbool.h>
#include <stdint.h>

struct colour {
    uint8_t red, green, blue;
};

struct screen {
    const prologue_framebuffer *framebuffer;
    volatile uint8_t *pixels;
    uint32_t width, height;
    uint32_t scale;         /* of the font, whose glyphs are 5 by 7 */
    uint32_t left;          /* where lines begin */
    uint32_t x, y;          /* where the next character goes */
};

/* False where there is nothing to draw on. It is seen at its physical address. */
bool screen_open(struct screen *screen, const prologue_framebuffer *framebuffer);

/* What lies outside of the screen is not drawn. */
void screen_fill(struct screen *screen, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
                 struct colour colour);

void screen_go_to(struct screen *screen, uint32_t x, uint32_t y);
void screen_print(struct screen *screen, const char *text);
void screen_print_decimal(struct screen *screen, uint64_t value);

#endif
