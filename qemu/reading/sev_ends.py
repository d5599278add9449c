"""How a kernel of Prologue's ended as an SEV guest, by what the SEV host says of it."""

import re

import sev_guest
from sev_codes import REASON_SET

# What a guest's registers and memory hold of it, and nobody else may see: CANARY= of the host.
CANARY = 0x5ec7e7a1b2c3d4e5


def exception(vector: int) -> int:
    """The reason code of a guest that has met it."""
    return 0x80 + vector


def reasons(result: sev_guest.Result) -> list:
    """The codes that it ended by: one, or none."""
    said = result.lines(r"^sevhost: the guest terminated at .*: reason set (\d+), reason (\d+)")
    return [int(code) for of_set, code in said if int(of_set) == REASON_SET]


def terminated(result: sev_guest.Result, *codes: int) -> None:
    assert result.outcome == sev_guest.TERMINATED, result.outcome
    said = reasons(result)
    assert said in [[code] for code in codes], said


def keeps_the_canary(result: sev_guest.Result) -> None:
    seen = result.lines(r"canary seen.*$")
    assert not seen, seen
    words = result.serial.lower()
    registers = words.find("the guest's registers:")  # which the host knows only as plain SEV
    for half in (CANARY >> 32, CANARY & 0xffffffff):
        assert f"{half:x}" not in words[:registers if registers >= 0 else None]


def has_c_bit_everywhere(result: sev_guest.Result, c_bit: int) -> None:
    """In CR3 and in each table's entry on the way to where the guest ended."""
    walk = "".join(result.lines(r"^  RIP 0x\w+: .*$"))
    words = [*result.lines(r"^  cr0 .* cr3 (0x\w+)"), *re.findall(r"=(0x\w+)", walk)]
    assert len(words) >= 4, walk
    assert all(int(word, 16) >> c_bit & 1 for word in words), words


def requests(result: sev_guest.Result, name: str) -> int:
    """How often the host was asked for it."""
    counts = result.lines(rf"^  (\d+) {name}")
    return int(counts[-1]) if counts else 0
