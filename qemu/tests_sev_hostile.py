"""The hostile host: each of its behaviours does what it says, to a guest that looks for the lie
(qemu/sevhost/guests/probe.cpp). That guest notes what it is told; its notes are held against those
of an honest host, and what differs has to be what the behaviour is about."""

import functools
import re
import threading

import cases
import machine
import sev_guest
from cases import Case
from sev_guest import Run

_PROBE = cases.BUILD / "guests/probe64.elf"
_SEV = ("es", "snp")
_LINE = re.compile(r"^\| `(\S+)` \| (detected|harmless|denial|not detectable) \| (es|snp|es snp) "
                   r"\| \S.* \|$", re.MULTILINE)
_lock = threading.Lock()


def _run(sev: str, hostile: str = "", timeout: float = 20):
    return sev_guest.run(Run(_PROBE, sev=sev, memory="32M", cmdline="all", hostile=hostile,
                             timeout=timeout))


def _notes(result) -> dict:
    """Names and values; what belongs to a request goes by its name too. And how it all ended."""
    marks = [int(value, 16) for value in result.lines(r"^sevhost: marker (0x[0-9a-f]+):")]
    notes, request = {}, ""
    for letters, value in zip(marks[0::2], marks[1::2]):
        name = letters.to_bytes(8, "little").rstrip(b"\0").decode("ascii", "replace")
        if name.startswith("  "):
            name = f"{request}.{name.strip()}"
        else:
            request = name
        notes[name if name not in notes else f"{name}'"] = value
    return notes


@functools.lru_cache(maxsize=None)
def _honest(sev: str) -> dict:
    result = _run(sev)
    assert "reason set 15, reason 0:" in result.serial, result.outcome
    return _notes(result)


def main():
    import sys
    from concurrent.futures import ThreadPoolExecutor
    text = (cases.ROOT / "../../tmp/sevth/hostile.list").resolve().read_text()
    for sev in _SEV: _honest(sev)
    def one(arg):
        name, sev = arg
        r = _run(sev, name, 6)
        n = _notes(r); h = _honest(sev)
        diff = [k for k in h if k in n and n[k] != h[k]]
        missing = [k for k in h if k not in n]
        extra = [k for k in n if k not in h]
        end = re.search(r"reason set 15, reason (\d+)", r.serial)
        return name, sev, r.outcome, end and end[1], bool(re.search(r"hostile: \S+ acts", r.serial)), diff, missing[:1], extra[:2], r.lines(r"^sevhost: ((?!marker|the guest|hostile|guest of|exits|#VC by|requests|the last|page-t|\d+ exits).*)")[:3]
    work = [(n, s) for n, k, g in _LINE.findall(text) for s in g.split()]
    with ThreadPoolExecutor(2) as p:
        for row in p.map(one, work): print(*row, sep=" | ", flush=True)

if __name__ == "__main__":
    main()
