"""What a host cannot bring about, and so is brought about by patched machine code: memory that
reads differently through the tables, RDRAND that gives nothing, information above 4 GiB; and what
no guest notices, but a reader of its code does: pages that are flushed before they change hands."""

import functools
import re
import subprocess
import tempfile
from pathlib import Path

import cases
import images
import machine
import sev_guest
import sev_states
from cases import Case
from images import Image
from sev_codes import CODES
from sev_ends import terminated
from sev_entries import ES
from sev_guest import Run

_PROOF = "sev_base"  # in 32-bit mode, from here on
_RDRAND = {"ebx": b"\x0f\xc7\xf3", "edi": b"\x0f\xc7\xf7"}
_CLEAR = {"ebx": b"\x31\xdb", "edi": b"\x31\xff"}
_STORE = {"ebx": b"\x3e\x89\x9d", "edi": b"\x3e\x89\xbd"}
_CLC, _STC = b"\xf8", b"\xf9"
_NOP_OF_7 = b"\x0f\x1f\x80\0\0\0\0"
_HLT = b"\xf4"
_LEA_TO_RCX, _ONES_TO_RCX = b"\x48\x8d\x0d", b"\x48\xc7\xc1\xff\xff\xff\xff"
_PAGING = 1 << 31
_PROTECTED_MODE = 0x10033  # of CR0: PE, MP, ET, NE, WP


def _patched(code: bytes, replacement: bytes) -> Path:
    path = cases.BUILD / "demo.elf"
    return images.patch(path, Image(path).find(_PROOF, code), replacement)


def _ends(image: Path, sev: str, code: str, **settings) -> sev_guest.Result:
    result = sev_guest.run(Run(image, sev=sev, memory="64M", **settings))
    terminated(result, CODES[code])
    return result


def _register(result: sev_guest.Result, name: str) -> int:
    return int(result.lines(rf"\b{name} (0x[0-9a-f]+)")[-1], 16)


def _half_of_the_proof(half: str, sev: str) -> None:
    """One of the two values is not written: memory holds another. It ends with paging off."""
    result = _ends(_patched(_STORE[half], _NOP_OF_7), sev, "C_BIT_PROOF")
    assert not _register(result, "cr0") & _PAGING


def _values(sev: str) -> None:
    """They are two, none of them 0, and others at the next boot: a guest that halts where its proof
    has failed has them in its registers."""
    image = images.patch(_patched(_STORE["edi"], _NOP_OF_7), "no_proof", _HLT)
    boots = [sev_guest.run(Run(image, sev=sev, memory="64M")) for _ in range(2)]
    assert all(boot.outcome == sev_guest.HALTED for boot in boots), boots[0].outcome
    values = [_register(boot, name) for boot in boots for name in ("rbx", "rdi")]
    assert 0 not in values and len(set(values)) == 4, values


def _no_random_value(half: str, how: bytes, sev: str) -> None:
    _ends(_patched(_RDRAND[half], _CLEAR[half] + how), sev, "NO_RANDOM")


def _information_too_high(sev: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.pvh64(Path(directory) / "state")
        text, count = re.subn(r"^rbx 0x", "rbx 0x1000", state.read_text(), flags=re.M)
        assert count == 1
        state.write_text(text)
        _ends(cases.BUILD / "demo-every.elf", sev, "TOO_HIGH", state=state)


def _with_a_high_image() -> Path:
    """The end of the image is above 4 GiB, as far as the code on the way back can see."""
    path = cases.BUILD / "demo-every.elf"
    return images.patch(path, Image(path).find("prologue_sev_long_mode", _LEA_TO_RCX),
                        _ONES_TO_RCX)


def _too_high_without_a_protocol() -> None:
    """A plain SEV guest has none to end by, but a console: so it must know already what it is."""
    with tempfile.TemporaryDirectory() as directory:
        result = sev_guest.run(Run(_with_a_high_image(), sev="sev", memory="64M",
                                   state=sev_states.pvh64(Path(directory) / "state")))
    result.expect(machine.FATAL, "prologue: fatal: .*sev: no way on, for reason")


def _image_too_high(sev: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        _ends(_with_a_high_image(), sev, "TOO_HIGH",
              state=sev_states.pvh64(Path(directory) / "state"))


def _goes_back_with_paging_off(sev: str) -> None:
    """Only then is all memory private, whatever the loader's tables show."""
    path = cases.BUILD / "demo-every.elf"
    with tempfile.TemporaryDirectory() as directory:
        result = sev_guest.run(Run(images.patch(path, _PROOF, _HLT), sev=sev, memory="64M",
                                   state=sev_states.pvh64(Path(directory) / "state")))
    assert result.outcome == sev_guest.HALTED, result.outcome
    assert _register(result, "cr0") == _PROTECTED_MODE, hex(_register(result, "cr0"))


@functools.lru_cache(None)
def _calls_of() -> dict:
    """What each function of a kernel calls, in order; and cache lines that are flushed."""
    text = subprocess.run(["llvm-objdump", "-d", "--no-show-raw-insn", "-C",
                           cases.BUILD / "sev_calls.elf"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    found, name = {}, ""
    for line in text.splitlines():
        if start := re.match(r"^[0-9a-f]+ <(.*)>:$", line):
            name = start[1]
        elif call := re.search(r"\t(?:callq?|jmpq?)\t0x[0-9a-f]+ <(.*?)(?:\+0x[0-9a-f]+)?>$", line):
            found.setdefault(name, []).append(call[1])
        elif lines := re.search(r"\t(clflush|mfence)\b", line):
            found.setdefault(name, []).append(lines[1])
    return found


def _flushes() -> None:
    """A line that stays in a cache under the other C-bit would be written back over what comes."""
    calls = _calls_of()
    flush = next(name for name in calls if "flush_page(" in name)
    assert [what for what in calls[flush] if what != flush] == ["clflush", "mfence"], calls[flush]
    changing = {name: made for name, made in calls.items()
                if any("ask_page_state(" in call for call in made) and flush in made}
    assert len(changing) == 3, list(changing)  # the GHCB; what a kernel shares, and takes back
    for name, made in changing.items():
        asked = next(i for i, call in enumerate(made) if "ask_page_state(" in call)
        assert flush in made[:asked], (name, made)


CASES = [
    *(Case(f"sev proof: half of it fails, {half}, {sev}",
           lambda h=half, s=sev: _half_of_the_proof(h, s)) for half in _STORE for sev in ES),
    *(Case(f"sev proof: its values are random, {sev}", lambda s=sev: _values(s)) for sev in ES),
    *(Case(f"sev proof: RDRAND gives {what}, {half}, {sev}",
           lambda h=half, w=how, s=sev: _no_random_value(h, w, s))
      for half in _RDRAND for what, how in (("nothing", _CLC), ("zero", _STC)) for sev in ES),
    *(Case(f"sev proof: information above 4 GiB ends an entry in 64-bit mode, {sev}",
           lambda s=sev: _information_too_high(s)) for sev in ES),
    *(Case(f"sev proof: an image above 4 GiB ends an entry in 64-bit mode, {sev}",
           lambda s=sev: _image_too_high(s)) for sev in ES),
    Case("sev proof: an image above 4 GiB ends an entry in 64-bit mode, sev",
         _too_high_without_a_protocol),
    *(Case(f"sev proof: an entry in 64-bit mode goes back with paging off, {sev}",
           lambda s=sev: _goes_back_with_paging_off(s)) for sev in ES),
    Case("sev proof: pages are flushed before they change hands", _flushes),
]
