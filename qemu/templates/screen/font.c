#include "font.h"

/* As they look: each glyph, and a column between it and the next. */
static const struct {
    const char *characters;
    const char *rows[FONT_HEIGHT];
} font[] = {
    {"ABCDEFGHIJKLM",
     {" ###  ####   ###  ####  ##### #####  ###  #   #  ###    ### #   # #     #   #",
      "#   # #   # #   # #   # #     #     #   # #   #   #      #  #  #  #     ## ##",
      "#   # #   # #     #   # #     #     #     #   #   #      #  # #   #     # # #",
      "##### ####  #     #   # ####  ####  # ### #####   #      #  ##    #     # # #",
      "#   # #   # #     #   # #     #     #   # #   #   #      #  # #   #     #   #",
      "#   # #   # #   # #   # #     #     #   # #   #   #   #  #  #  #  #     #   #",
      "#   # ####   ###  ####  ##### #      ###  #   #  ###   ##   #   # ##### #   #"}},
    {"NOPQRSTUVWXYZ",
     {"#   #  ###  ####   ###  ####   #### ##### #   # #   # #   # #   # #   # #####",
      "##  # #   # #   # #   # #   # #       #   #   # #   # #   # #   # #   #     #",
      "# # # #   # #   # #   # #   # #       #   #   # #   # #   #  # #   # #     # ",
      "#  ## #   # ####  #   # ####   ###    #   #   # #   # # # #   #     #     #  ",
      "#   # #   # #     # # # # #       #   #   #   # #   # # # #  # #    #    #   ",
      "#   # #   # #     #  #  #  #      #   #   #   #  # #  ## ## #   #   #   #    ",
      "#   #  ###  #      ## # #   # ####    #    ###    #   #   # #   #   #   #####"}},
    {"0123456789.,:",
     {" ###    #    ###   ###     #  #####  ###  #####  ###   ###                   ",
      "#  ##  ##   #   # #   #   ##  #     #         # #   # #   #              ##  ",
      "# # #   #       #     #  # #  ####  #        #  #   # #   #              ##  ",
      "# # #   #      #    ##  #  #      # ####    #    ###   ####                  ",
      "# # #   #     #       # #####     # #   #  #    #   #     #        ##    ##  ",
      "##  #   #    #    #   #    #  #   # #   #  #    #   #     #  ##    ##    ##  ",
      " ###   ###  #####  ###     #   ###   ###   #     ###   ###   ##    #         "}},
};

bool font_has(char c, uint32_t column, uint32_t row) {
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    for (uint32_t part = 0; part != sizeof font / sizeof *font; ++part)
        for (uint32_t i = 0; font[part].characters[i] != 0; ++i)
            if (font[part].characters[i] == c)
                return font[part].rows[row][i * (FONT_WIDTH + 1) + column] == '#';
    return false;
}
