"""Which registers an SEV guest writes, and how: each site in the sources, held against the table in
docs/sev.md. What others own bits of is read, changed and written back."""

import re
from pathlib import Path

import cases
from cases import Case

_PAGE = (cases.ROOT / "docs/sev.md").read_text()
_SOURCES = cases.ROOT / "arch/x86"

# What only a plain guest runs: it left this way at SEV_STATUS, or is refused as an SEV guest, as
# payloads of 32-bit mode are. MISC_ENABLE is written on Intel's CPUs alone.
_PLAIN_ALONE = {
    ("entry/entry32.S", "EFER"), ("stage64/long_mode.cpp", "EFER"),
    ("entry/entry32.S", "MISC_ENABLE"), ("stage64/long_mode.cpp", "MISC_ENABLE"),
    ("payload/depart.S", "EFER"),
    ("entry/boot_services.S", "FS_BASE"), ("entry/boot_services.S", "GS_BASE"),
}
_CONTROL = re.compile(r"\bmov[lq]?\s+.*%(cr[0-9]|dr[0-9])(?:\"|$)")
_OTHERS = {
    "xsetbv": "XCR0", "lmsw": "CR0", "clts": "CR0", "ldmxcsr": "MXCSR", "fninit": "FCW",
    "fldcw": "FCW", "wrfsbase": "FS_BASE", "wrgsbase": "GS_BASE", "lldt": "LDTR", "ltr": "TR",
    "lgdt": "GDTR", "lidt": "IDTR",
}
_ECX = re.compile(r"movl\s+\$MSR_(\w+), %ecx")
_MSR_IN_CPP = re.compile(r"\bwrite_msr\(MSR_(\w+)|\"c\"\(MSR_(\w+)\)")


def _code(line: str) -> str:
    return line.split("//")[0].rstrip()


def _msr_before(lines: list, at: int) -> str:
    """What ECX holds at a WRMSR: named a few lines before, or beside the asm statement."""
    for line in [*reversed(lines[max(0, at - 6):at + 1]), *lines[at:at + 5]]:
        if found := _ECX.search(line) or _MSR_IN_CPP.search(line):
            return found[1] or found[2]
    return "?"


def _written(path: Path) -> set:
    """(register, is it read a few lines before) of each write in a file."""
    lines = [_code(line) for line in path.read_text().splitlines()]
    sites = set()
    for at, line in enumerate(lines):
        before = "\n".join(lines[max(0, at - 6):at])
        if found := _CONTROL.search(line):
            name = found[1].upper()
            sites.add((name, re.search(rf"%{found[1]},", before) is not None))
        elif re.search(r"\bwrmsr\b(?!,)", line) or "write_msr(MSR_" in line:
            sites.add((_msr_before(lines, at), re.search(r"\brdmsr\b", before) is not None))
        for instruction, name in _OTHERS.items():
            if re.search(rf"(?:^|\"|\t| ){instruction}\b", line):
                sites.add((name, False))
    return sites


def _sites() -> list:
    """(file, register, is it read before), but for what stands in cpu/: thin words for C++."""
    return [(str(path.relative_to(_SOURCES)), *site)
            for path in sorted(_SOURCES.rglob("*"))
            if path.suffix in (".S", ".cpp", ".h", ".inc")
            and path.parent.name not in ("cpu", "linux16")
            for site in sorted(_written(path))]


def _told() -> dict:
    """The page's table: a register, and whether it is written whole."""
    section = _PAGE[_PAGE.index("## What is written whole"):]
    rows = re.findall(r"^\| ([^|]+) \| (whole|changed) \| [^|]{10,} \|$", section, re.MULTILINE)
    return {name: how == "whole" for names, how in rows for name in names.split(", ")}


def _each_has_its_reason() -> None:
    told = _told()
    found = {name for file, name, _ in _sites() if (file, name) not in _PLAIN_ALONE}
    assert found == set(told), found ^ set(told)


def _what_is_not_whole_is_read() -> None:
    told = _told()
    wrong = [site for site in _sites()
             if site[:2] not in _PLAIN_ALONE and not told.get(site[1], True) and not site[2]]
    assert not wrong, wrong
    assert [site for site in _sites() if site[1] == "EFER" and site[2]], "no EFER at all"


CASES = [
    Case("sev registers: each that is written stands in the docs, with its reason",
         _each_has_its_reason),
    Case("sev registers: what is not the guest's alone is read, changed and written back",
         _what_is_not_whole_is_read),
]
