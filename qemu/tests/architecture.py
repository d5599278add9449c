"""docs/architecture.md held against the tree: the folders that there are, and which way their
imports go."""

import ast
import re
import subprocess

import cases
import rooms
from cases import Case

_QEMU = cases.ROOT / "qemu"
_PAGE = (cases.ROOT / "docs/architecture.md").read_text()
_HARNESS = _PAGE.split("## The harness")[1].split("## Long files")[0]
_CODE = (".S", ".c", ".cpp", ".h", ".inc", ".ld", ".mk", ".py", ".rs", ".sh")


def imports(path) -> set:
    """The modules' names that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def no_import_runs_upwards() -> None:
    room_of = {path.stem: room for room in rooms.ROOMS for path in (_QEMU / room).glob("*.py")}
    commands = {path.stem for path in _QEMU.glob("*.py")}
    for room in rooms.ROOMS:
        for path in (_QEMU / room).glob("*.py"):
            found = imports(path)
            assert not found & commands, f"{path.name} imports a command: {found & commands}"
            for name in found & room_of.keys():
                above = rooms.ROOMS.index(room_of[name]) > rooms.ROOMS.index(room)
                assert not above, f"{room}/{path.name} imports {room_of[name]}/{name}"


def the_page_names_the_folders() -> None:
    listed = re.findall(r"^\| `(\w+)/` \|", _HARNESS, re.MULTILINE)
    assert listed == list(reversed(rooms.ROOMS)), f"{listed} is not {rooms.ROOMS} from the top"
    programs = re.findall(r"`(\w+)/`", _PAGE.split("Beside these")[1])
    there = {path.name for path in _QEMU.iterdir() if path.is_dir()} - {"__pycache__", "tests"}
    assert there == {*rooms.ROOMS, *programs}, f"{sorted(there)}"


def the_page_names_the_targets_folders() -> None:
    listed = set(re.findall(r"`(arch/x86/\w+)/`", _PAGE))
    there = {f"arch/x86/{path.name}" for path in (cases.ROOT / "arch/x86").iterdir()
             if path.is_dir()}
    assert listed == there, listed ^ there


def boot_knows_no_hardware() -> None:
    """What boot/ includes lies in boot/, in the public headers, or is the compiler's."""
    own = {path.name for path in (cases.ROOT / "boot").glob("*.h")}
    for path in (cases.ROOT / "boot").glob("*.[ch]*"):
        for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
            assert name in own or name.startswith("prologue/"), f"{path.name} includes {name}"


def long_files_are_named() -> None:
    """The page says which idea each holds. One that passes 500 lines unnamed is more than one."""
    rows = re.findall(r"^\| `([^`]+)` \| .+ \|$", _PAGE.split("## Long files")[1], re.MULTILINE)
    tracked = subprocess.run(["git", "ls-files"], cwd=cases.ROOT, check=True, text=True,
                             stdout=subprocess.PIPE).stdout.split()
    code = [name for name in tracked if name.endswith(_CODE) or name.startswith("linker/prologue-")]
    lines = {name: (cases.ROOT / name).read_text().count("\n") for name in code}
    unnamed = [name for name in code if lines[name] > 500 and name not in rows]
    assert not unnamed, unnamed
    short = [name for name in rows if lines.get(name, 0) < 350]
    assert not short, short


CASES = [
    Case("architecture: the page names the target's folders", the_page_names_the_targets_folders),
    Case("architecture: boot/ knows no hardware", boot_knows_no_hardware),
    Case("architecture: no import runs upwards", no_import_runs_upwards),
    Case("architecture: the page names the folders", the_page_names_the_folders),
    Case("architecture: long files are named with their idea", long_files_are_named),
]
