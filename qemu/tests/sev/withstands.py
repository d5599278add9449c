"""Hosts that lie to Prologue's kernels (docs/sevhost.md): each behaviour; at steps of the boot, in
the handlers of events and between its modes; and those that hide what the guest is."""

import functools
import re
import tempfile

import machine
import sev_guest
from cases import Case
from images import Image
from sev_codes import CODES, REASON_SET
from sev_ends import CANARY, exception, keeps_the_canary, terminated
from sev_entries import (
    ES, STEPS_BEFORE_STATUS, STEPS_BEHIND_STATUS, STEPS_IN_64_BIT_MODE, bzimage, elf, entered)
from sev_guest import Run

# Of an entry in 64-bit mode, around the instruction that turns paging off.
_STEPS_TO_32_BIT_MODE = range(172, 205, 4)
_SENT = {
    "nmi-at-step": (exception(2),),
    "interrupt-at-step": (exception(13),),  # its vector is behind the IDT's end
    "vc-at-step": (CODES["VC_INJECTED"], CODES["VC_NESTED"]),
    "ud-at-step": (exception(6),),
    "gp-at-step": (exception(13),),
    "page-fault-at-step": (exception(14),),
}
# The number is that of instructions, less one, behind which there is an exception to report.
_HIDING = {"gp-hides-sev:1": "HIDDEN", "gp-hides-sev:2": "VC_EARLY", "gp-hides-sev:4": "VC_EARLY",
           "gp-hides-sev:9": "VC_EARLY", "gp-hides-sev-and-shares:1": "HIDDEN"}


@functools.lru_cache(None)
def _behaviours() -> tuple:
    listed = sev_guest.run(Run(elf("demo"), hostile="list", memory="32M")).serial
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|", listed, re.MULTILINE)
    assert len(rows) > 100, listed
    return tuple((name, kind, tuple(guests.split())) for name, kind, guests in rows)


def _memory_taken(behaviour: str, bits: int) -> None:
    """The handler of either width ends the guest, whichever page was taken. Without a CPUID page
    the first VMGEXIT, at which it is taken, is 32-bit mode's: so it is by Linux's protocol."""
    with tempfile.TemporaryDirectory() as directory:
        guest = {"image": elf("demo")} if bits == 64 else entered("linux64", 4, directory)
        result = sev_guest.run(Run(**guest, sev="snp", memory="64M", hostile=behaviour))
    terminated(result, CODES["VC_NOT_VALIDATED"])
    assert bool(result.lines(r"^  cs 0x\w+ base 0x0 ")) == (bits == 64), "in the other width"


def _stack_of_vc_taken() -> None:
    """Then #VC cannot be delivered: the double fault's handler looks at no memory. At which VMGEXIT
    the page is among those that are taken, the boot decides."""
    taken = 0
    for occasion in range(2, 8):
        result = sev_guest.run(Run(elf("demo"), sev="snp", memory="64M",
                                   hostile=f"page-unvalidated:{occasion}"))
        if "exception 29 with error code 0x404 cannot be delivered" in result.serial:
            terminated(result, exception(8))
            taken += 1
    assert taken, "never"


def _withstands(kinds: tuple, sev: str, part: int, parts: int) -> None:
    """Each behaviour: detected ends by a reason of ours, harmless boots; a host that denies, or
    cannot be found out, gets at least no word of what is secret."""
    wrong = []
    rows = [(name, kind) for name, kind, guests in _behaviours() if kind in kinds and sev in guests]
    for name, kind in rows[part::parts]:
        with tempfile.TemporaryDirectory() as directory:
            # Only Linux's protocol tells of SNP's pages by a blob.
            by_linux = name.startswith(("blob", "cmdline-at", "secrets-page-us"))
            image = bzimage(elf("demo-every"), directory) if by_linux else elf("demo")
            result = sev_guest.run(Run(image, sev=sev, hostile=name, memory="64M", timeout=15,
                                       canary=CANARY))
        keeps_the_canary(result)
        acted = f"hostile: {name} acts" in result.serial
        reasons = result.lines(rf"^sevhost: the guest terminated at .*: reason set {REASON_SET},")
        ended_well = result.outcome == machine.OK
        if name.endswith(("-at-step", "storm")):
            continue  # at the first instruction nobody can do anything: see _at_steps, _storms
        if name == "gate-of-both-widths":
            continue  # where there is no gate, there is no word: see _gates
        right = {"detected": bool(reasons) or (ended_well and not acted),
                 "harmless": ended_well}.get(kind, True)
        if not right:
            wrong.append((name, kind, result.outcome))
    assert not wrong, wrong


def _at_steps(behaviour: str, sev: str) -> None:
    """A host that is honest until then. Before its first LIDT nobody can say a word; behind it
    every end has a code, and from where the guest knows what it is, the code of what was sent."""
    wrong = []
    for step in (1, *STEPS_BEFORE_STATUS, *STEPS_BEHIND_STATUS):
        result = sev_guest.run(Run(elf("demo"), sev=sev, hostile=f"{behaviour}:{step}",
                                   memory="64M", canary=CANARY))
        keeps_the_canary(result)
        assert f"hostile: {behaviour} acts" in result.serial, step
        codes = {int(code) for code in result.lines(
            rf"^sevhost: the guest terminated at .*: reason set {REASON_SET}, reason (\d+):")}
        before = step in STEPS_BEFORE_STATUS
        allowed = {CODES["VC_EARLY"], CODES["VC_INJECTED"]} if before else {*_SENT[behaviour]}
        right = bool(codes) and codes <= allowed
        if not (result.outcome == sev_guest.SHUTDOWN if step == 1 else right):
            wrong.append((step, result.outcome, codes))
    assert not wrong, wrong


def _at_steps_to_32_bit_mode(behaviour: str) -> None:
    """A code, or no gate: a shutdown where it is, and no other end."""
    ends = set()
    with tempfile.TemporaryDirectory() as directory:
        guest = entered("pvh64", 4, directory)
        for step in _STEPS_TO_32_BIT_MODE:
            result = sev_guest.run(Run(**guest, sev="es", hostile=f"{behaviour}:{step}",
                                       memory="64M"))
            ends.add(result.outcome)
            if result.outcome != sev_guest.SHUTDOWN:
                terminated(result, *_SENT[behaviour], CODES["VC_EARLY"])
    assert ends == {sev_guest.SHUTDOWN, sev_guest.TERMINATED}, ends


def _storms(behaviour: str, sev: str) -> None:
    """Events in the handlers of events. In 32-bit mode the stack ends where the image says; in
    64-bit mode it is where the first handler began, however many come."""
    image = Image(elf("demo"))
    bottom, top = (image.physical(f"prologue_stack_{end}") for end in ("bottom", "top"))
    for step in (*STEPS_BEFORE_STATUS[:1], *STEPS_BEHIND_STATUS):
        result = sev_guest.run(Run(image.path, sev=sev, hostile=f"{behaviour}:{step}",
                                   memory="64M", canary=CANARY))
        keeps_the_canary(result)
        ended = result.lines(r"^sevhost: storm: .* stack from 0x(\w+) to 0x(\w+)$")
        stood = result.lines(r"^sevhost: storm: .* stack from 0x\w+ to 0x(\w+) and (0x\w+) below$")
        assert len(ended) + len(stood) == 1, (step, result.outcome)
        if stood:
            assert int(stood[0][1], 16) <= 8 and int(stood[0][0], 16) >> 32, (step, stood)
            assert result.outcome == sev_guest.TERMINATED, (step, result.outcome)
        else:
            start, end = (int(number, 16) for number in ended[0])
            assert bottom <= end <= start <= top, (step, ended)
            assert result.outcome == sev_guest.SHUTDOWN, (step, result.outcome)
        assert bool(stood) == (step in STEPS_IN_64_BIT_MODE), step


def _gates(entry: str, vector: int) -> None:
    """Between its modes no vector has a gate, of whatever width."""
    with tempfile.TemporaryDirectory() as directory:
        result = sev_guest.run(Run(**entered(entry, 4, directory), memory="64M",
                                   hostile=f"gate-of-both-widths:{vector}"))
    assert result.lines(rf"^sevhost: gates: vector {vector} at "), "it does not act"
    assert result.outcome == sev_guest.SHUTDOWN, result.outcome


def _is_hidden(entry: str, hostile: str, code: str, sev: str) -> None:
    """The CPU's own CPUID finds the host out; until then, whatever it injects, no word is said."""
    with tempfile.TemporaryDirectory() as directory:
        result = sev_guest.run(Run(**entered(entry, 4, directory), sev=sev, memory="64M",
                                   hostile=hostile, canary=CANARY))
    keeps_the_canary(result)
    assert "prologue:" not in result.serial
    terminated(result, CODES[code])


def _asks_no_host_for_its_status(entry: str, sev: str) -> None:
    """A #VC at the read of SEV_STATUS: whoever would answer it is the host."""
    with tempfile.TemporaryDirectory() as directory:
        result = sev_guest.run(Run(**entered(entry, 4, directory), sev=sev, memory="64M",
                                   intercept="sev-status", canary=CANARY))
    keeps_the_canary(result)
    assert "prologue:" not in result.serial
    terminated(result, CODES["STATUS_READ"])


def _takes_no_eip_for_its_own(sev: str) -> None:
    """An event whose EIP is where the boot ends itself: no register becomes the code."""
    image = Image(elf("demo"))
    asked = image.physical("sev_end_asked") - image.physical("prologue_entry_base")
    result = sev_guest.run(Run(image.path, sev=sev, memory="64M", hostile=f"forged-eip:{asked}",
                               canary=CANARY))
    keeps_the_canary(result)
    terminated(result, CODES["VC_EARLY"])


CASES = [
    *(Case(f"sev: guest takes no forged EIP for its own, {sev}",
           lambda s=sev: _takes_no_eip_for_its_own(s)) for sev in ES),
    *(Case(f"sev: guest withstands a host that turns hostile later: {name}, {sev}",
           lambda n=name, s=sev: _at_steps(n, s)) for name in _SENT for sev in ES),
    *(Case(f"sev: guest withstands a host that turns hostile on its way to 32-bit mode: {name}",
           lambda n=name: _at_steps_to_32_bit_mode(n)) for name in _SENT if name != "vc-at-step"),
    *(Case(f"sev: guest withstands events in the handlers of events: {name}, {sev}",
           lambda n=name, s=sev: _storms(n, s))
      for name in ("storm", "vc-storm", "page-fault-storm") for sev in ES),
    *(Case(f"sev: guest has no gate between its modes: {entry}, vector {vector}",
           lambda e=entry, v=vector: _gates(e, v))
      for entry in ("pvh", "pvh64") for vector in (4, 13, 16, 26, 29, 36, 58)),
    *(Case(f"sev: guest finds out that it is hidden: {entry}, {hostile}, {sev}",
           lambda e=entry, h=hostile, c=code, s=sev: _is_hidden(e, h, c, s))
      for entry in ("pvh", "pvh64") for hostile, code in _HIDING.items() for sev in ES),
    *(Case(f"sev: guest that is hidden asks no host what it is: {entry}, {sev}",
           lambda e=entry, c=code, s=sev: _is_hidden(e, "gp-hides-sev-and-answers", c, s))
      for entry, code in (("pvh", "VC_INJECTED"), ("pvh64", "VC_EARLY")) for sev in ES),
    *(Case(f"sev: guest asks no host for SEV_STATUS: {entry}, {sev}",
           lambda e=entry, s=sev: _asks_no_host_for_its_status(e, s))
      for entry in ("pvh", "pvh64") for sev in ES),
    *(Case(f"sev: guest ends where its memory is taken: {name}, the {bits}-bit handler",
           lambda n=name, b=bits: _memory_taken(n, b))
      for name in ("page-unvalidated", "page-zeroed", "page-corrupted")
      for bits in (32, 64)),
    Case("sev: guest ends where its memory is taken: #VC's stack", _stack_of_vc_taken),
    *(Case(f"sev: guest withstands hostile hosts: {kind}, {sev}, {part + 1} of {parts}",
           lambda k=kind, s=sev, p=part, n=parts: _withstands((k,), s, p, n))
      for kind, parts in (("detected", 4), ("harmless", 3), ("denial", 3), ("not detectable", 1))
      for sev in ES
      for part in range(parts)),
]
