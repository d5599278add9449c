"""A machine with a screen, and what is seen on it: by QEMU's own dump of it."""

import json
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Optional, Tuple

import cases
import machine
from patience import Patience

_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Picture:
    """Rows of pixels, three bytes each: red, green, blue."""

    width: int
    height: int
    pixels: bytes

    def at(self, x: int, y: int) -> Tuple[int, int, int]:
        start = 3 * (y * self.width + x)
        return tuple(self.pixels[start:start + 3])


def shown(boot: machine.Boot, says: str) -> Tuple[str, Optional[Picture]]:
    """Boots until the serial port says so, and returns all that it said with what is on the screen
    then; None where the machine has none."""
    output = cases.scratch_directory()
    serial, monitor = output / "serial", output / "qmp"
    boot = replace(boot, extra=[*boot.extra, "-qmp", f"unix:{monitor},server=on,wait=off"])
    process = subprocess.Popen(machine.command(boot, serial, output / "debugcon"),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    try:
        _wait(process, boot, serial, says)
        return machine.read_text(serial), _dump(monitor, output / "picture.ppm")
    finally:
        process.kill()
        process.communicate()


def _wait(process: subprocess.Popen, boot: machine.Boot, serial: Path, says: str) -> None:
    patience = Patience(process.pid, boot.timeout, partial(machine.read_text, serial), boot.idle)
    while says not in machine.read_text(serial):
        ended = process.poll() is not None
        assert not ended and not patience.over(), \
            f"{'QEMU ended' if ended else 'nothing'} before {says!r}: {machine.read_text(serial)}"
        time.sleep(_LOOK_SECONDS)


def _dump(monitor: Path, to: Path) -> Optional[Picture]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(monitor))
        lines = connection.makefile("r")
        lines.readline()  # its greeting
        _ask(connection, lines, "qmp_capabilities")
        answer = _ask(connection, lines, "screendump", filename=str(to))
    if "error" in answer:
        assert "no" in answer["error"]["desc"].lower(), answer  # there is no display
        return None
    magic, size, most, pixels = to.read_bytes().split(b"\n", 3)
    assert (magic, most) == (b"P6", b"255"), (magic, most)
    width, height = map(int, size.split())
    return Picture(width, height, pixels)


def _ask(connection: socket.socket, lines, command: str, **arguments) -> dict:
    connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
    while True:
        answer = json.loads(lines.readline())
        if "event" not in answer:
            return answer
