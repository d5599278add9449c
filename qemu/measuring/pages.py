#!/usr/bin/python3
"""Counts the pages of memory that a guest touches first, read or written, between two places of
its code. Under a hypervisor that gives memory when it is touched each of them is a nested fault,
which costs what thousands of instructions do.

The guest's memory is a file in the host's memory that begins empty: a page is in it from the
guest's first access on. It is looked at where the guest stops, at breakpoints of QEMU's stub for
gdb, which touch nothing. Pages that the loader or the firmware touched before count for nobody.
"""

import argparse
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterable, NamedTuple, Optional, Sequence, Set

import count

_PAGE = 4096
_SECONDS = 300  # from one place to the next, at most


class Touched(NamedTuple):
    """Numbers of pages."""

    image: Set[int]  # the image's own that were not loaded: .bss
    others: Set[int]


class Stub:
    """QEMU's stub for gdb, as far as breakpoints need it (gdb's manual, appendix E)."""

    def __init__(self, path: Path, qemu: subprocess.Popen):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        while self._socket.connect_ex(str(path)) != 0:
            if qemu.poll() is not None:
                raise count.CountError("QEMU did not start")
            time.sleep(0.01)
        self._stream = self._socket.makefile("rwb")

    def run_to(self, addresses: Iterable[int]) -> None:
        for address in addresses:
            assert self._ask(f"Z1,{address:x},1") == "OK"
        if not self._ask("c").startswith(("T05", "S05")):
            raise count.CountError("the guest ended before it came there")
        for address in addresses:
            assert self._ask(f"z1,{address:x},1") == "OK"

    def _ask(self, text: str) -> str:
        data = text.encode()
        self._stream.write(b"$%s#%02x" % (data, sum(data) & 0xFF))
        self._stream.flush()
        while (byte := self._stream.read(1)) != b"$":
            if byte == b"":
                raise count.CountError("the guest ended before it came there")
        answer = b""
        while (byte := self._stream.read(1)) != b"#":
            answer += byte
        self._stream.read(2)
        self._stream.write(b"+")
        self._stream.flush()
        return answer.decode()


def in_file(descriptor: int) -> Set[int]:
    """The pages that are there."""
    pages, end = set(), 0
    size = os.fstat(descriptor).st_size
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:  # none behind it
            return pages
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        pages |= set(range(start // _PAGE, (end + _PAGE - 1) // _PAGE))
    return pages


def touched(kernel: str, start: Iterable[int], until: Iterable[int], *, boot: Optional[str] = None,
            cpu: str = "max", memory: str = "2G", options: Sequence[str] = (),
            qemu: str = "qemu-system-x86_64") -> Touched:
    """Between two sets of addresses; QEMU loads `boot`, which brings `kernel`, or that itself."""
    image = {page for segment in count.Image(kernel).segments
             for page in range(segment.paddr // _PAGE,
                               (segment.paddr + segment.size + _PAGE - 1) // _PAGE)}
    descriptor = os.memfd_create("guest")
    with tempfile.TemporaryDirectory() as directory:
        stub = Path(directory) / "stub"
        process = subprocess.Popen(
            [qemu, "-accel", "tcg", "-cpu", cpu, "-M", "pc,memory-backend=ram", "-m", memory,
             "-object", f"memory-backend-file,id=ram,size={memory},share=on,"
                        f"mem-path=/dev/fd/{descriptor}",
             "-nodefaults", "-display", "none", "-no-reboot", "-kernel", boot or kernel,
             "-gdb", f"unix:{stub},server=on,wait=off", "-S", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[descriptor])
        try:
            gdb = Stub(stub, process)
            gdb.run_to(start)
            before = in_file(descriptor)
            gdb.run_to(until)
            new = in_file(descriptor) - before
        finally:
            process.kill()
            process.wait()
            os.close(descriptor)
    return Touched(new & image, new - image)


def of_boot(kernel: str, *, until: Optional[str] = None, start: Optional[str] = None,
            cpu: str = "max", memory: str = "2G", append: Optional[str] = None,
            initrd: Optional[str] = None, qemu_args: Sequence[str] = (),
            qemu: str = "qemu-system-x86_64", **counting) -> Touched:
    """Options as for count.count; where that finds the entry and the first 64-bit instruction,
    which are the places where none are given."""
    image = count.Image(kernel)
    places = [image.run_addresses(place) if place else set() for place in (start, until)]
    if not all(places):
        tally = count.count(kernel, until=until, start=start, cpu=cpu, memory=memory, append=append,
                            initrd=initrd, qemu_args=qemu_args, qemu=qemu, **counting).tally
        if not tally.done:
            raise count.CountError("the guest ended before it came there")
        places = [places[0] or {tally.entry}, places[1] or {tally.first64.pc}]
    options = list(qemu_args)
    options += ["-append", append] if append is not None else []
    options += ["-initrd", initrd] if initrd is not None else []
    return touched(kernel, *places, cpu=cpu, memory=memory, options=options, qemu=qemu)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    count.add_what_to_run(parser)
    options = vars(parser.parse_known_args()[0])  # `make bench` gives what is count.py's alone, too
    options["qemu_args"] = [word for text in options["qemu_args"] for word in shlex.split(text)]
    try:
        new = of_boot(**options)
    except (count.CountError, OSError) as error:
        sys.exit(f"pages.py: {error}")
    print(f"pages touched first: {len(new.others)}, and {len(new.image)} of the image's own")
    return 0


if __name__ == "__main__":
    sys.exit(main())
