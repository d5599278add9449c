"""prologue-picture: its numbers are those of the report and of the kernel's own walk of its tables;
nothing in it lies over anything else."""

import functools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Dict, List

import cases
import doc_pages
import machine
import staging
import state_report
from cases import Case
from linking import CLANG, LLD, link
from state_report import Mapping, joined
from tests import own_tables, wishes

_TOOL = cases.ROOT / "linker/prologue-picture"
_PAGE = cases.ROOT / "docs/picture.md"
_SVG = "{http://www.w3.org/2000/svg}"
_CHARACTER = 7.3  # what a character of 12 pixels is wide, at most
_CACHING = ("WB", "WT", "UC-", "UC", "WP", "WC")
_DEVICES = ["-nodefaults", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]


def draw(kernel: Path, *words, tool: Path = _TOOL, at: str = "kernel_main") -> xml.Element:
    picture = cases.scratch_directory() / "boot.svg"
    result = subprocess.run([sys.executable, tool, "-o", picture, "--at", at, "--seconds", "600",
                             kernel, "--", *words],
                            capture_output=True, text=True, timeout=700, check=False)
    assert result.returncode == 0, result.stderr
    return read(picture)


def read(picture: Path) -> xml.Element:
    svg = xml.fromstring(picture.read_text(encoding="utf-8"))
    nothing_overlaps(svg)
    return svg


def texts(element: xml.Element) -> List[str]:
    return [text.text for text in element.iter(f"{_SVG}text")]


def groups(svg: xml.Element, name: str) -> List[List[str]]:
    return [texts(group) for group in svg.iter(f"{_SVG}g") if group.get("id").startswith(name)]


def nothing_overlaps(svg: xml.Element) -> None:
    """No text lies over another or outside the paper, and no box over a box, but for the
    strip's."""
    _, _, width, height = map(float, svg.get("viewBox").split())
    boxes = []
    for text in svg.iter(f"{_SVG}text"):
        x, y, size = (float(text.get(name, "12")) for name in ("x", "y", "font-size"))
        long = len(text.text) * _CHARACTER * size / 12
        left = x - long if text.get("text-anchor") == "end" else x
        boxes.append((left, left + long, y - 0.8 * size, y + 0.2 * size, text.text))
    for left, right, top, bottom, words in boxes:
        assert left >= 0 and right <= width and top >= 0 and bottom <= height, words
    for i, (left, right, top, bottom, words) in enumerate(boxes):
        for other in boxes[:i]:
            apart = right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top
            assert apart, (words, other[4])


def mappings(svg: xml.Element) -> List[Mapping]:
    result = []
    for start, end, phys, rights, *_ in groups(svg, "mapping-"):
        allowed, caching = rights.split()
        result.append(Mapping(int(start, 16), int(end, 16) % (1 << 64), int(phys, 16),
                              allowed[1] == "w", allowed[2] == "x", _CACHING.index(caching)))
    return sorted(result)


def report_of(output: str) -> Dict[str, List[str]]:
    keys: Dict[str, List[str]] = {}
    for key, value in re.findall(r"^([\w-]+): (.*?)\r?$", output, re.M):
        keys.setdefault(key, []).append(value)
    return keys


def _numbers_are_the_reports(loader: str, **settings: str) -> None:
    """`make run PICTURE=`: the report that it prints, and the picture that it draws."""
    picture = cases.scratch_directory() / "boot.svg"
    result = subprocess.run(
        [sys.executable, "qemu/run.py"], cwd=cases.ROOT, capture_output=True, text=True,
        timeout=900, check=False,
        env={**os.environ, "BUILD": str(cases.BUILD), "LOADER": loader, "MEM": "128M",
             "CMDLINE": "a b=c", "INITRD": "README.md", "PICTURE": str(picture), **settings})
    assert result.returncode == 0, result.stderr
    report, svg = report_of(result.stdout), read(picture)
    rows = [(row[0], row[1], row[3]) for row in groups(svg, "memory-")]
    memory = [tuple(line.split()) for line in report["memory"]]
    assert len(memory) > 5 and [row for row in rows if row in memory] == memory, (rows, memory)
    items = {tuple(row[:2]): row[2] for row in groups(svg, "item")}
    items.update({row[:2]: row[2] for row in rows})
    (module,) = report["module"]
    index, start, count, *_ = module.split()
    start = int(start, 16)
    assert items[f"{start:#x}", f"{start + int(count):#x}"].startswith(f"module {index}"), items
    rsdp = int(report["rsdp"][0], 16)
    assert not rsdp or items[f"{rsdp:#x}", f"{rsdp + 36:#x}"] == "RSDP", items
    phys, _, height, pitch, _ = report["framebuffer"][0].split()
    if int(phys, 16):
        end = int(phys, 16) + int(height) * int(pitch)
        assert items[phys, f"{end:#x}"] == "framebuffer", items
    levels = report["paging"][0][0]
    assert any(f"tables, {levels} levels" in text for text in texts(svg)), levels
    assert f"command line: {report['cmdline'][0]}" == texts(svg)[1], texts(svg)[:2]


def _maps_are_the_kernels(kernel: Path, cpu: str, memory: str) -> None:
    """As the kernel itself finds them, alias by alias; and its stack."""
    boot = machine.Boot(kernel=kernel, cpu=cpu, memory=memory)
    report = state_report.read(machine.run(boot).expect(machine.OK))
    svg = draw(kernel, "-cpu", cpu, "-m", memory, *_DEVICES)
    seen, due = joined(mappings(svg)), joined(report.maps)
    for ours, theirs in zip(seen, due):
        assert ours == theirs, f"drawn is {ours}, the kernel finds {theirs}"
    assert len(seen) == len(due) > 5, (len(seen), len(due))
    bottom, top = (report.handoff[name] for name in ("stack_bottom", "stack_top"))
    ends = [row[0] for name in ("top", "bottom", "guard") for row in groups(svg, f"stack-{name}")]
    assert ends == [f"{at:#x}" for at in (top, bottom, bottom - 4096)], ends
    assert "guard page: not mapped" in texts(svg)


_WINDOWS = (wishes.Window(wishes.DEVICES, wishes.LAPIC, 4096, True, caching=wishes.UC),
            wishes.Window(wishes.DEVICES + 0x200000, 0xE0000000, 0x400000, True, caching=wishes.WC))


def _windows_are_in_it() -> None:
    kernel = wishes.linked(tuple(window.wish for window in _WINDOWS))
    drawn = mappings(draw(kernel, *_DEVICES))
    for window in _WINDOWS:
        assert window.mapping in drawn, (window, drawn)


def _tables_of_the_kernels_own() -> None:
    """With --at: behind the kernel's own CR3."""
    made = own_tables.compiled(own_tables._SOURCE.read_text(), *CLANG, *own_tables._FLAGS)
    kernel = link(LLD, cases.ROOT / "linker/prologue.ld", [made])
    svg = draw(kernel, *_DEVICES, at="on_breakpoint")
    own = [Mapping(at, at + (1 << 30), 0, True, True, 0)
           for at in (0, 0xFFFFC00000000000, 0xFFFFFFFF80000000)]
    assert mappings(svg) == own, mappings(svg)


def _installed_and_anyones_kernel() -> None:
    tool = staging.staged() / "bin/prologue-picture"
    assert os.access(tool, os.X_OK)
    build = next(build for build in staging.BUILDS if build.template == "identity")
    svg = draw(staging.built(build), *_DEVICES, tool=tool)
    assert not any("direct map" in text for text in texts(svg)), texts(svg)
    assert any("identity map" in text for text in texts(svg))


def _trouble_is_named() -> None:
    stripped = cases.scratch_directory() / "kernel.elf"
    subprocess.run(["llvm-strip", "-s", "-o", stripped, cases.BUILD / "demo.elf"], check=True)
    text = cases.scratch_file(b"no kernel", "text")
    for kernel, words, said in (
            (stripped, (), "no symbol kernel_main: is it stripped"), (text, (), "is no ELF64"),
            (cases.BUILD / "demo.elf", ("-wrong",), "QEMU does not start"),
            (cases.BUILD / "demo.elf", ("-cpu", "qemu32", *_DEVICES), "the machine ended before"),
            (Path("/nowhere"), (), "No such file")):
        picture = cases.scratch_directory() / "boot.svg"
        result = subprocess.run([sys.executable, _TOOL, "-o", picture, kernel, "--", *words],
                                capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == 1 and said in result.stderr, (said, result)
        assert result.stderr.startswith(
            "prologue-picture: ") and not picture.exists(), result.stderr


def _numberless(svg: xml.Element) -> List[str]:
    return [re.sub(r"0x[0-9a-f]+|\d+(\.\d+)? [KMG]iB", "#", text) for text in texts(svg)]


def _documents_picture_is_drawn() -> None:
    """docs/picture.svg, by the command of docs/picture.md."""
    (command,) = [words for words in doc_pages.commands(_PAGE.read_text()) if "--" in words]
    assert command[:4] == ["prologue-picture", "-o", "boot.svg", "build/demo.elf"], command
    drawn = draw(cases.BUILD / "demo.elf", *command[command.index("--") + 1:])
    committed = read(cases.ROOT / "docs/picture.svg")
    assert _numberless(drawn) == _numberless(committed), "draw docs/picture.svg again"


CASES = [
    Case("picture: its numbers are the report's, PVH",
         functools.partial(_numbers_are_the_reports, "pvh")),
    Case("picture: its numbers are the report's, GRUB",
         functools.partial(_numbers_are_the_reports, "multiboot2", LA57="off")),
    Case("picture: its numbers are the report's, UEFI with a screen",
         functools.partial(_numbers_are_the_reports, "efi", MEM="256M")),
    Case("picture: rights are what the kernel finds, four levels", functools.partial(
        _maps_are_the_kernels, cases.BUILD / "state.elf", "max", "128M")),
    Case("picture: rights are what the kernel finds, five levels and 2 MiB pages",
         functools.partial(_maps_are_the_kernels, cases.BUILD / "state-best.elf", "max,-pdpe1gb",
                           "5G")),
    Case("picture: windows are in it", _windows_are_in_it),
    Case("picture: tables of the kernel's own, with --at", _tables_of_the_kernels_own),
    Case("picture: the installed tool, anyone's kernel", _installed_and_anyones_kernel),
    Case("picture: what cannot be drawn is named", _trouble_is_named),
    Case("picture: the documents' is what it draws", _documents_picture_is_drawn),
]
