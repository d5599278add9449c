#!/usr/bin/python3
"""Tells what libprologue.a adds to an image, from lld's -Map file and the ELF.

A byte's kind is that of the output section it lies in, since that is what the
image carries. Padding between sections is nobody's and not counted. Strings
that lld merges lose their origin (the map says `<internal>`): those of all
inputs together are told apart, as `merged`; linked with -O0 there are none.
"""

import argparse
import collections
import json
import re
import sys

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

KINDS = ("code", "rodata", "data", "nobits")

#   VMA  LMA  size  alignment, then an output section, 8 columns further an
#   input section and 16 further a symbol
MAP_LINE = re.compile(
    r"\s*[0-9a-f]+\s+[0-9a-f]+\s+(?P<size>[0-9a-f]+)\s+\d+ (?P<indent> *)(?P<name>\S.*)")
OUTPUT_INDENT, INPUT_INDENT = 0, 8


def kind_of_section(section):
    """One of KINDS, or None for what is not loaded."""
    flags = section["sh_flags"]
    if not flags & SH_FLAGS.SHF_ALLOC:
        return None
    if section["sh_type"] == "SHT_NOBITS":
        return "nobits"
    if flags & SH_FLAGS.SHF_EXECINSTR:
        return "code"
    return "data" if flags & SH_FLAGS.SHF_WRITE else "rodata"


def section_kinds(elf_path):
    with open(elf_path, "rb") as file:
        return {section.name: kind_of_section(section) for section in ELFFile(file).iter_sections()}


def input_sections(map_path):
    """(output section, input section with its path, bytes) of each line that has all."""
    output = None
    with open(map_path, encoding="utf-8") as lines:
        for line in filter(None, map(MAP_LINE.match, lines)):
            if len(line["indent"]) == OUTPUT_INDENT:
                output = line["name"].rstrip()
            elif len(line["indent"]) == INPUT_INDENT:
                yield output, line["name"], int(line["size"], 16)


def footprint(map_path, elf_path, archive="libprologue.a", member=""):
    """Bytes by kind, in the file, and merged with those of other inputs. `member` picks one object
    of the archive."""
    kinds = section_kinds(elf_path)
    sizes = collections.Counter(dict.fromkeys((*KINDS, "merged"), 0))
    for output, name, size in input_sections(map_path):
        kind = kinds.get(output)
        if kind and f"{archive}({member}" in name:
            sizes[kind] += size
        elif kind and name.startswith("<internal>:"):
            sizes["merged"] += size
    return {**sizes, "file": sizes["code"] + sizes["rodata"] + sizes["data"]}


def main():
    parser = argparse.ArgumentParser(description="Tells what libprologue.a adds to an image.")
    parser.add_argument("map", help="from ld.lld -Map")
    parser.add_argument("elf", help="the image of the same link")
    parser.add_argument("--archive", default="libprologue.a")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sizes = footprint(options.map, options.elf, options.archive)
    if options.json:
        print(json.dumps(sizes))
        return
    for name in (*KINDS, "file", "merged"):
        print(f"{name}: {sizes[name]}")


if __name__ == "__main__":
    sys.exit(main())
