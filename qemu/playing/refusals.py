"""Boots that end in a fatal line, and how that is held against what it should say.

In a message `<name>` stands for an address in hexadecimal: of a field of the loader's information,
of the information itself and of what follows it (`<info>`, `<info end>`), of the image (`<image>`,
`<image end>`), of a segment as it is linked (`<segment 2>`), or of what would be the image's end
if that of its last segment were moved up by 1 TiB (`<image end and 1 TiB>`). `<*>` is any number.
"""

import re
from typing import Callable, Dict, Optional, Sequence, Tuple

import machine
from any_loader import Load, fed, registers
from cases import Case
from composers import Layout
from images import Image

TIB = 1 << 40
FATAL = "prologue: fatal: "
TIMEOUT = 6

EXPECTED = []  # every message of every case


def expect_fatal(result: machine.Result, message: str) -> None:
    """One fatal line, the same on both ports, and nothing after it."""
    result.expect(machine.FATAL)
    serial = result.serial.replace("\r\n", "\n")
    seen = serial[serial.find(FATAL) :]
    pattern = re.escape(f"{FATAL}{message}\n").replace(re.escape("<*>"), "[0-9a-f]+")
    assert re.fullmatch(pattern, seen), f"{seen!r}, not {message!r}"
    assert result.debugcon == seen, f"debug port: {result.debugcon!r}"


def fatal_case(name: str, message: str, run: Callable[[], Tuple[machine.Result, str]]) -> Case:
    """`run` gives the result, and the message with its addresses filled in."""
    EXPECTED.append(message)
    return Case(f"badinput: {name}", lambda: expect_fatal(*run()))


def wrong(
    name: str,
    load: Load,
    message: str,
    fields: Optional[Dict[str, int]] = None,
    damage: Sequence[Tuple[int, bytes]] = (),
    cpu: str = "max",
    **others,
) -> Case:
    """A load whose information has other values in some fields, whose image has other bytes from
    some offset on, or which enters with other registers."""

    def spoil(info: Layout) -> None:
        for field, value in (fields or {}).items():
            info.set(field, value)

    def run() -> Tuple[machine.Result, str]:
        records = [(load.base + offset, data) for offset, data in damage]
        entry = registers(load, **others)
        boot = fed(load, spoil, records, entry, cpu=cpu, timeout=TIMEOUT)
        return machine.run(boot), filled_in(message, load)

    return fatal_case(f"{load.contract}: {name} on {cpu}", message, run)


def filled_in(message: str, load: Load) -> str:
    info, image = load.information(), Image(load.path)
    names = {"info": info.pointer, "info end": info.end, "image": load.base}
    names["image end"] = load.base + image.end - image.base
    names["image end and 1 TiB"] = names["image end"] + TIB
    names.update((f"segment {i}", s.vaddr) for i, s in enumerate(image.segments))

    def address(found: re.Match) -> str:
        name = found[1]
        if name == "*":
            return found[0]
        return f"{names[name] if name in names else info.address(name):x}"

    return re.sub(r"<([^>]+)>", address, message)
