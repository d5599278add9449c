"""Counts what a kernel's own file runs once UEFI's boot services have ended, up to kernel_main.

OVMF starts the file, and what is OVMF's is not counted. Where it loads the file a run without
counting tells: in the firmware's map, which the demonstration kernel prints, the file has a range
of its own.
"""

import re
import subprocess

import cases
import count
import tcg_log
from iso import OVMF
from pe_file import CODE, headers_of

_SECONDS = 300
_LOADER_CODE = 1  # UEFI's type
# The devices that tcg_log.qemu_command leaves.
_AS_COUNTED = ["-nodefaults", "-display", "none", "-no-reboot",
               "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
_INDIRECT_CALL = re.compile(rb"[\x40-\x4f]?\xff[\x10-\x17\x50-\x57\x90-\x97\xd0-\xd7]")


class SinceLastCall:
    """A tally that begins anew behind each indirect call of the stub, which is one of the
    firmware: the last is of ExitBootServices."""

    def __init__(self, new_tally, code: bytes, start: int):
        self._new_tally, self._code, self._start = new_tally, code, start
        self._calls = False
        self.tally = new_tally()
        self.calls = 0

    @property
    def done(self) -> bool:
        return self.tally.done

    def event(self, event) -> None:
        if event is not tcg_log.TAKEN_BACK:
            if self._calls:
                self.tally = self._new_tally()
                self.calls += 1
            at = event.pc - self._start
            self._calls = (0 <= at < len(self._code) and
                           _INDIRECT_CALL.match(self._code, at) is not None)
        self.tally.event(event)


def since_exit(kernel: str, windows, qemu: str) -> count.Figures:
    file = cases.BUILD / f"{kernel}.bzImage"
    options = ["-cpu", "max", "-m", "256M", "-bios", str(OVMF), "-kernel", str(file)]
    contents = file.read_bytes()
    headers = headers_of(contents)
    code, = (section for section in headers.sections.values() if section.rights & CODE)
    start = _loaded_at([qemu, *options], headers.image_bytes) + code.address
    image = count.Image(str(cases.BUILD / f"{kernel}.elf"), windows)
    counter = SinceLastCall(lambda: count.Tally(image, "kernel_main"),
                            contents[code.place:code.place + code.size], start)
    watched = [(start, code.memory), *image.ranges()]
    options = [*options, "-serial", "null"]
    ended = tcg_log.run(
        counter, lambda log: tcg_log.qemu_command(qemu, log, watched, options), _SECONDS)
    assert counter.done, ended
    assert counter.calls > 0, "the stub was not loaded where it was before"
    return counter.tally.until


def _loaded_at(command: list, size: int) -> int:
    """What this QEMU, without counting, loads as so many bytes of code."""
    run = subprocess.run([*command, *_AS_COUNTED, "-serial", "stdio"], capture_output=True,
                         text=True, errors="replace", timeout=_SECONDS, check=False)
    line = rf"^efi-memory: (0x\w+) (0x\w+) {_LOADER_CODE}\r?$"
    found = [int(start, 16) for start, end in re.findall(line, run.stdout, re.MULTILINE)
             if int(end, 16) - int(start, 16) == size]
    assert len(found) == 1, f"the firmware's map does not tell where the file is: {found}"
    return found[0]
