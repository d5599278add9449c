"""docs/sevhost.md, held against the host."""

import os
import re
import subprocess
import sys

import cases
import guest
from cases import Case

_PAGE = (cases.ROOT / "docs/sevhost.md").read_text()
_CLASSES = {"detected", "harmless", "denial", "not detectable"}


def _told(**settings: str) -> str:
    environment = dict(os.environ, BUILD=str(cases.BUILD), **settings)
    return subprocess.run([sys.executable, guest.__file__], cwd=cases.ROOT, env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=60).stdout


def _hostile_table() -> None:
    """HOSTILE=list prints the page's table; names are unique for a kind of guest."""
    listed = re.findall(r"^\| `.*\|$", _told(HOSTILE="list"), re.MULTILINE)
    start = _PAGE.index("| name | class | guests |")
    table = _PAGE[start:_PAGE.index("\n\n", start)].splitlines()[2:]
    assert listed == table, set(listed) ^ set(table)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in listed]
    assert {row[1] for row in rows} == _CLASSES
    named = [(row[0], sev) for row in rows for sev in row[2].split()]
    assert len(named) == len(set(named)) and len(rows) >= 40


def _unknown_name() -> None:
    told = _told(HOSTILE="no-such-name", SEV="es", GUEST=str(cases.scratch_file(bytes(4096))))
    assert "no hostile behaviour no-such-name: HOSTILE=list" in told, told


def _states() -> None:
    """The page names each state file that comes along."""
    states = {path.stem for path in (cases.ROOT / "qemu/sevhost/states").glob("*.state")}
    section = _PAGE[_PAGE.index("## State files"):_PAGE.index("A line is a directive")]
    assert set(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)) == states


def _harmless_features() -> None:
    """docs/sev.md's table is that of the sources, reason for reason."""
    header = (cases.ROOT / "arch/x86/sev/sev_features.h").read_text()
    page = (cases.ROOT / "docs/sev.md").read_text()
    let_pass = re.findall(r'X\((\d+), "([^"]+)"\)', header)
    start = page.index("| bit | because |")
    table = page[start:page.index("\n\n", start)]
    assert let_pass and let_pass == re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE)


CASES = [
    Case("sev docs: the table of hostile hosts is what HOSTILE=list prints", _hostile_table),
    Case("sev docs: a hostile host that there is not is refused, with a hint", _unknown_name),
    Case("sev docs: the state files", _states),
    Case("sev docs: features that are let pass", _harmless_features),
]
