"""How many exits a second the SEV host carries: wall time between two markers of a guest that does
nothing else (qemu/sevhost/bench/exit_rate.S)."""

import os
import re
import subprocess
import sys
import time

import cases

_MARKER = re.compile(rb"marker 0x[12]: (\d+) exits")


def exits_a_second() -> float:
    environment = dict(os.environ, BUILD=str(cases.BUILD), SEV="es", MEM="64M",
                       GUEST=str(cases.BUILD / "exit_rate.elf"))
    for name in ("HOSTILE", "TRACE", "STATE", "INITRD", "CMDLINE"):
        environment.pop(name, None)
    marks = []
    with subprocess.Popen([sys.executable, cases.ROOT / "qemu/guest.py"], cwd=cases.ROOT,
                          env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            if found := _MARKER.search(line):
                marks.append((time.monotonic(), int(found[1])))
    assert len(marks) == 2, "the guest of the SEV host did not come to its markers"
    (started, first), (ended, last) = marks
    return (last - first) / (ended - started)
