"""What docs/ says of layouts, wishes and helpers, held against the headers and the sources."""

import fnmatch
import importlib
import os
import re
import subprocess
from pathlib import Path

import cases
import doc_pages
from cases import Case

_CONTRACT = (cases.ROOT / "docs/kernel-contract.md").read_text()
_REPORT = (cases.ROOT / "docs/report.md").read_text()
_HEADERS = cases.ROOT / "boot/include/prologue"
_WISHED = (cases.ROOT / "arch/x86/stage64/wished_maps.cpp").read_text()

# A structure of prologue/handoff.h, and how the paragraph before its table begins.
_STRUCTURES = {
    "prologue_handoff": "Pointers lie in the direct map.",
    "prologue_range": "A range, 24 bytes;",
    "prologue_module": "A module, 32 bytes:",
    "prologue_framebuffer": "The framebuffer, 32 bytes,",
    "prologue_boot": "`boot`, 64 bytes;",
    "prologue_console": "`console`, 32 bytes;",
    "prologue_efi": "`efi`, 48 bytes;",
}
_COLOURS = "`red_shift`, `red_bits`, then green's, then blue's"


def _rows(text: str) -> list:
    """The cells of the first table in a text, its heading left out."""
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def _compiled(source: str, *flags: str) -> str:
    """The assembly of C source."""
    return subprocess.run(
        [os.environ.get("CLANG") or "clang", "--target=x86_64-none-elf", "-ffreestanding", "-S",
         "-o", "-", "-x", "c", f"-I{cases.ROOT}/boot/include", *flags, "-"],
        input=source, text=True, capture_output=True, check=True, timeout=60).stdout


def _layout(structure: str, fields: list) -> list:
    """(offset, bytes) of each field as the C compiler has it."""
    lines = ["#include <prologue/handoff.h>"]
    lines += [f"const unsigned long f{i}[2] = {{offsetof({structure}, {field}),"
              f" sizeof((({structure} *)0)->{field})}};" for i, field in enumerate(fields)]
    quads = re.findall(r"\.quad\s+(\d+)", _compiled("\n".join(lines)))
    return list(zip(map(int, quads[::2]), map(int, quads[1::2])))


def _layouts_are_the_headers() -> None:
    header = (_HEADERS / "handoff.h").read_text()
    for structure, start in _STRUCTURES.items():
        rows = [row for row in _rows(_CONTRACT[_CONTRACT.index(start):]) if row[2] != _COLOURS]
        fields = [row[2].strip("`") for row in rows]
        assert [(int(row[0]), int(row[1])) for row in rows] == _layout(structure, fields), structure
        body = re.search(rf"typedef struct {structure} {{(.*?)^}}", header, re.S | re.M)[1]
        declared = re.findall(r"(\w+)(?:\[\d+\])?(?:, \w+)?;",
                              re.sub(r"/\*.*?\*/", "", body, flags=re.S))
        named = [name for name in declared if not re.match("red_|green_|blue_", name)]
        assert fields == named, (structure, set(fields) ^ set(named))


def _wishes_are_the_headers() -> None:
    header = (_HEADERS / "wishes.h").read_text()
    types = re.findall(r"#define PROLOGUE_NOTE_(\w+) (0x\w+)", header)
    macros = set(re.findall(r"#define PROLOGUE_WISH_([A-Z_]+[A-Z])\b", header))
    assert {name for name, _ in types} == macros - {"SYMBOL_WINDOW"}  # a window's other spelling
    section = _CONTRACT[_CONTRACT.index("## Wishes"):_CONTRACT.index("### In other languages")]
    assert {re.match(r"`(\w+)", row[0])[1] for row in _rows(section)} == macros - {
        "SYMBOL_WINDOW"}
    notes = _rows(_CONTRACT[_CONTRACT.index("### In other languages"):])
    assert [row[0] for row in notes] == [number for _, number in types]
    for (name, _), (_, symbol, *_) in zip(types, notes):
        assert symbol in (f"`prologue_note_{name.lower()}`", ""), (name, symbol)


def _helpers_are_the_headers() -> None:
    section = _CONTRACT[_CONTRACT.index("## Helpers"):]
    documented = set(re.findall(r"`(prologue_\w+)\(", " ".join(row[0] for row in _rows(section))))
    header = (_HEADERS / "kernel.h").read_text()
    defined = set(re.findall(r"PROLOGUE_HELPER_ [^(]*?\b(prologue_\w+)\(", header))
    minor = {"prologue_word_bytes", "prologue_begins_with", "prologue_is_space",
             "prologue_dash_to_underscore"}
    assert defined - minor == documented, defined ^ documented


def _refusals_are_explained() -> None:
    texts = re.findall(r'refuse\(\s*"([^"]+)"', _WISHED)
    assert len(texts) > 8
    explained = {row[0].strip("`") for row in _rows(
        _REPORT[_REPORT.index("### Wishes that cannot be met"):])}
    assert set(texts) == explained, set(texts) ^ explained


def _sev_example_compiles() -> None:
    (block,) = doc_pages.blocks(doc_pages.section("docs/sev.md", "## For the kernel"))
    assembly = _compiled(block.text, "-Wall", "-Wextra", "-Werror", "-O2")
    assert "prologue_sev_share" in assembly and "prologue_sev_vc" in assembly


def _each_way_has_a_kernel() -> None:
    """The table of kernels' ways names a file, and a test that boots such a kernel."""
    rows = _rows(doc_pages.section("docs/your-kernel.md", "## Ways that kernels have"))
    assert len(rows) > 8
    names = [case.name for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__"
             for case in importlib.import_module(f"tests.{path.stem}").CASES]
    for way, _, example in rows:
        file, test = re.findall(r"`([^`]+)`", example)
        assert (cases.ROOT / file).exists(), (way, file)
        assert fnmatch.filter(names, test), (way, test)


# Bounds of the architecture's, which nobody says anything beyond.
_NOT_A_LOADERS = {("boot/igvm.cpp", "kMostPages")}


def _bounds_are_the_sources() -> None:
    """Each of the table is in the source with that number and has its tests, and each in a parser
    is in the table."""
    rows = re.findall(r"^\| (\d.*?) \| (.*?) \| (.*?) \| (.*) \|$", doc_pages.section(
        "docs/loaders.md", "## How much is believed"), re.MULTILINE)
    tests = "".join(path.read_text() for path in (cases.ROOT / "hosttests").rglob("*_test.cpp"))
    told = set()
    for most, _, where, held_by in rows:
        file, name = re.findall(r"`([^`]+)`", where)
        told.add((file, name))
        value = re.search(rf"constexpr \w+ {name} = ([^;]+);", (cases.ROOT / file).read_text())
        assert value and _number(value[1]) == _number(most), (most, where, value)
        for suite, test in re.findall(r"`(\w+)\.(\w+)`", held_by):
            assert re.search(rf"TEST(_F)?\({suite}, {test}\)", tests), (suite, test)
    for source in sorted((cases.ROOT / "boot").glob("*.cpp")):
        if "prologue_parse_" in source.read_text():
            file = f"boot/{source.name}"
            found = {(file, name) for name in
                     re.findall(r"constexpr \w+ (kMost\w+) =", source.read_text())}
            assert found <= told | _NOT_A_LOADERS, found - told


def _number(text: str) -> int:
    """Of "64 KiB", "1,048,576 ranges", "64 * 1024", "1 << 20", "16 * kMiB"."""
    words = text.replace(",", "").replace("kMiB", "(1 << 20)")
    words = re.sub(r" KiB.*", " * 1024", re.sub(r" MiB.*", " * 1048576", words))
    parts = re.findall(r"\d+|<<|\*", words)
    assert re.sub(r"[\d<*() ]", "", re.sub(r" [a-z]+$", "", words)) == "", text
    result = int(parts[0])
    for sign, number in zip(parts[1::2], parts[2::2]):
        result = result << int(number) if sign == "<<" else result * int(number)
    return result


def _entries_are_as_thin() -> None:
    """As docs/style.md says: lines that are no comments and include nothing."""
    said = re.findall(r"`(\w+\.S)` (?:has )?(\d+)(?: lines of code)?",
                      (cases.ROOT / "docs/style.md").read_text())
    assert len(said) == 2, said
    for name, lines in said:
        text = (cases.ROOT / "arch/x86/entry" / name).read_text()
        code = re.findall(r"^ *(?!//|#include)\S.*$", text, re.M)
        assert len(code) == int(lines), (name, len(code))


CASES = [
    Case("docs: entries are as thin as the style's page says", _entries_are_as_thin),
    Case("docs: how much is believed is what the sources have, each with tests",
         _bounds_are_the_sources),
    Case("docs: each way that kernels have has a kernel that is so", _each_way_has_a_kernel),
    Case("docs: the example of prologue/sev.h compiles", _sev_example_compiles),
    Case("docs: the layouts are those of handoff.h", _layouts_are_the_headers),
    Case("docs: wishes and their notes are those of wishes.h", _wishes_are_the_headers),
    Case("docs: the helpers are those of kernel.h", _helpers_are_the_headers),
    Case("docs: every wish that cannot be met is explained", _refusals_are_explained),
]
