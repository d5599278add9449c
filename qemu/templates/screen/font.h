/* A font of capitals, digits and a few signs. */
#ifndef FONT_H
#define FONT_H

#include <stdbool.h>
#include <stdint.h>

enum { FONT_WIDTH = 5, FONT_HEIGHT = 7 };

/* Whether a character's glyph has that pixel; of one that has none, no pixel. Small letters look
 * as large ones. */
bool font_has(char c, uint32_t column, uint32_t row);

#endif
