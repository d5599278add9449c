"""Reads the text that the template `screen` has drawn, glyph by glyph, and no pixel may be
another's."""

import re
from pathlib import Path

import cases

_FONT = cases.ROOT / "qemu" / "templates" / "screen" / "font.c"
_WIDTH, _HEIGHT, _MARGIN, _COLUMNS = 5, 7, 1, 53
_SET, _CLEAR = (255, 255, 255), (0, 0, 0)


def _glyphs(source: Path = _FONT) -> dict:
    found = {(" " * _WIDTH,) * _HEIGHT: " "}
    strings = re.findall(r'"([^"]*)"', source.read_text().split("font[] = {")[1])
    for characters, *rows in (strings[i:i + 1 + _HEIGHT]
                              for i in range(0, len(strings), 1 + _HEIGHT)):
        for index, character in enumerate(characters):
            start = index * (_WIDTH + 1)
            found[tuple(row[start:start + _WIDTH] for row in rows)] = character
    return found


def lines(picture, x: int, y: int, count: int) -> list:
    """So many lines of text from there on."""
    glyphs, scale = _glyphs(), max(picture.width // (_COLUMNS * (_WIDTH + _MARGIN)), 1)
    step, down = scale * (_WIDTH + _MARGIN), scale * (_HEIGHT + 2 * _MARGIN)
    columns = (picture.width - x - 1) // step
    return ["".join(_character(picture, glyphs, x + column * step, y + line * down, scale)
                    for column in range(columns)).rstrip() for line in range(count)]


def _character(picture, glyphs: dict, x: int, y: int, scale: int) -> str:
    rows = tuple("".join(_cell(picture, x + column * scale, y + row * scale, scale)
                         for column in range(_WIDTH)) for row in range(_HEIGHT))
    assert rows in glyphs, "no glyph at {}, {}:\n{}".format(x, y, "\n".join(rows))
    return glyphs[rows]


def _cell(picture, x: int, y: int, scale: int) -> str:
    colours = {picture.at(x + right, y + down) for right in range(scale) for down in range(scale)}
    assert colours in ({_SET}, {_CLEAR}), f"{colours} at {x}, {y}"
    return "#" if colours == {_SET} else " "
