"""The other processors of SEV-ES and SNP guests (docs/cpus.md): a kernel of ours starts them, by
the firmware's jump table or by AP creation, and all use the GHCB protocol at once."""

import re

import cases
import machine
import sev_guest
from cases import Case
from sev_guest import Run

_ENCRYPTED = ("es", "snp")
_NO_WAY, _SECURE_TSC = "0x3", "0x8"


def _run(kernel: str, sev: str, cpus: int, **options) -> sev_guest.Result:
    host = "firmware" if sev == "es" else ""
    return sev_guest.run(Run(cases.BUILD / f"{kernel}.elf", **{
        "sev": sev, "host": host, "memory": "64M", "cpus": cpus, "timeout": 60, **options}))


def _all_come(sev: str, cpus: int, words: str = "", kernel: str = "cpus_sev", **options) -> None:
    """The sum is that of the kernel's ten thousand rounds: twice, where they start again."""
    result = _run(kernel, sev, cpus, cmdline=words, **options)
    result.expect(machine.OK, f"^cpus: {cpus:#x}$", "^wrong: 0x0$")
    times = 2 if words == "again" else 1
    assert result.lines(r"^started: (\S+)$") == [f"{cpus - 1:#x}"] * times, result.serial
    assert int(result.lines(r"^sum: (\S+)$")[0], 16) == times * 10000 * sum(range(cpus))
    _is_by_its_own_way(result.serial, sev, times * (cpus - 1))


def _is_by_its_own_way(said: str, sev: str, starts: int) -> None:
    """By the jump table, and no more AP creations than a start and the destruction of the one
    before; each processor registers its page as SNP."""
    assert ("AP jump table" in said) == (sev == "es")
    created = re.search(r"^  (\d+) SNP AP creation", said, re.MULTILINE)
    assert (created is not None) == (sev == "snp")
    assert created is None or starts <= int(created[1]) < 2 * starts


def _hostile(behaviour: str, sev: str, words: str) -> None:
    """Who comes late, twice, elsewhere or not at all harms nobody: those that came have done their
    work, each on a page and a stack of its own."""
    result = _run("cpus_sev", sev, 4, cmdline=f"anyone {words}", hostile=behaviour)
    result.expect(machine.OK, f"^sevhost: hostile: {behaviour} acts", "^wrong: 0x0$")


def _has_no_gate_yet(behaviour: str) -> None:
    """In real mode another processor has no IDT: neither the firmware's, whose handlers would run
    on its stack, nor one of ours."""
    result = _run("cpus_sev", "es", 4, hostile=behaviour)
    assert result.lines(f"^sevhost: hostile: {behaviour} acts"), "it does not act"
    assert result.outcome == sev_guest.SHUTDOWN, result.outcome
    assert result.lines(r"^sevhost: shutdown at 0x[0-9a-f]{1,3}:"), "not in real mode"


def _jump_table_in_the_kernel() -> None:
    """It would be written to: refused, with its address."""
    result = _run("cpus_sev", "es", 4, hostile="jump-table-elsewhere")
    result.expect(machine.OK, f"^start: {_NO_WAY}$", "^started: 0x0$", "^refused: 0xf[0-9a-f]{15}$")


def _alone_without_a_firmware() -> None:
    """Nobody has left a jump table: the boot processor alone, and no SIPI that the host refuses."""
    result = _run("cpus_sev", "es", 4, host="")
    result.expect(machine.OK, "^cpus: 0x4$", f"^start: {_NO_WAY}$", "^started: 0x0$",
                  "^refused: 0x0$")
    assert result.lines(r"^state: (\S+)$") == ["0x1", "0x0", "0x0", "0x0"]


def _secure_tsc_is_to_be_told() -> None:
    """Nothing has begun when it is refused: without Secure TSC all of them start then."""
    result = _run("cpus_sev", "snp", 4, cmdline="secure-tsc")
    result.expect(machine.OK, "^wrong: 0x0$", "^started: 0x3$")
    assert result.lines(r"^start: (\S+)$") == [_SECURE_TSC, "0x0"]
    assert result.lines(r"^state: (\S+)$") == ["0x0"]


def _on_one_processor(sev: str) -> None:
    result = _run("cpus_sev", sev, 1, host="")
    result.expect(machine.OK, "^find: 0x0$", "^cpus: 0x1$", "^start: 0x0$", "^started: 0x0$")
    assert "AP jump table" not in result.serial, "nobody is to be started"


# Those that act when they start again need that; the others are quicker without. SNP's processors
# are not held.
_HOSTILE = {
    "es": (("processor-never-started", ""), ("processor-started-late", "again"),
           ("processor-started-twice", "again"), ("processor-started-elsewhere", "again"),
           ("processors-at-one-door", "again"), ("processor-frozen-at-door", "again"),
           ("hold-ends-without-sipi", "again"), ("hold-ends-unasked", "again")),
    "snp": (("processor-never-started", ""), ("processor-started-late", "again"),
            ("processor-started-elsewhere", "few"), ("processors-swapped", ""),
            ("processor-outlives-destruction", "again"), ("creation-refused-and-done", "again")),
}


CASES = [
    *(Case(f"sev: guest withstands a host: {behaviour}, its processors, {sev}",
           lambda *a, b=behaviour, s=sev, w=words: _hostile(b, s, w))
      for sev, rows in _HOSTILE.items() for behaviour, words in rows),
    *(Case(f"sev: guest withstands a host: {behaviour}, its processors, es",
           lambda *a, b=behaviour: _has_no_gate_yet(b))
      for behaviour in ("processor-nmi-in-real-mode", "processor-efer-intercepted")),
    Case("sev: guest withstands a host: jump-table-elsewhere, its processors, es",
         _jump_table_in_the_kernel),
    *(Case(f"sev: guest starts its processors: {cpus}, {sev}",
           lambda *a, s=sev, n=cpus: _all_come(s, n)) for sev in _ENCRYPTED for cpus in (2, 8)),
    *(Case(f"sev: guest starts its processors again, {sev}, another order",
           lambda *a, s=sev: _all_come(s, 4, "again", schedule="1")) for sev in _ENCRYPTED),
    *(Case(f"sev: guest starts its processors with five levels and C-bit 47, {sev}",
           lambda *a, s=sev: _all_come(s, 4, kernel="cpus-five", c_bit=47)) for sev in _ENCRYPTED),
    Case("sev: guest starts its processors in x2APIC mode, es",
         lambda *a: _all_come("es", 4, "x2apic", kernel="cpus-four")),
    *(Case(f"sev: guest starts its processors: there is one, {sev}",
           lambda *a, s=sev: _on_one_processor(s)) for sev in _ENCRYPTED),
    Case("sev: guest starts no processors by a Secure TSC that it is not told",
         _secure_tsc_is_to_be_told),
    Case("sev: guest without a firmware has the boot processor alone, es",
         _alone_without_a_firmware),
]
