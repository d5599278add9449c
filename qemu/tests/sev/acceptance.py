"""What an SNP guest accepts of its memory (docs/sev.md): every page once, by the pages' sizes that
the host has, up to a mark, and nothing that a firmware has accepted before."""

import tempfile
from pathlib import Path

import machine
import sev_guest
import sev_states
from cases import Case
from images import Image
from sev_codes import CODES
from sev_ends import terminated
from sev_entries import C_BITS, MEMORY, elf
from sev_guest import Run

_4_GIB = 4 << 30
_STILL_FITS, _LONG, _VERY_LONG = 150, 400, 10_000  # ranges: .bss has room for the first


def _boots_with_many_ranges(pieces: int, sev: str) -> None:
    """Where the map is longer than .bss is, as SNP its memory is accepted before there is one. A
    kernel that prints ten thousand ranges would take its time."""
    kernel = "c_kernel" if pieces == _VERY_LONG else "demo"
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.pvh_many_ranges(Path(directory) / "state", 2 * MEMORY, pieces)
        result = sev_guest.run(Run(elf(kernel), sev=sev, state=state, memory="128M",
                                   trace="memory", timeout=60))
    result.expect(machine.OK, "^result: ok$")
    if kernel == "demo":
        assert len(result.lines("^memory: .* reserved$")) >= pieces // 2
    if sev == "snp":
        assert len(_accepted_once(result)) > pieces // 2


def _is_told_once_of_small_pages() -> None:
    """A host that has nothing else is tried twice; each page costs one nested fault."""
    result = sev_guest.run(Run(elf("demo"), sev="snp", rmp="4k", memory="64M", trace="memory"))
    result.expect(machine.OK, "^result: ok$")
    assert result.lines(r"^pvalidate \S+ 2M set -> (\d+)") == ["6", "6"]
    pages = len(_accepted_once(result))
    assert 15_000 < pages < int(result.lines(r"^  (\d+) nested fault")[0]) < pages + 200


def _takes_large_pages() -> None:
    result = sev_guest.run(Run(elf("demo"), sev="snp", rmp="2m", memory="64M", trace="memory"))
    result.expect(machine.OK, "^result: ok$")
    large = result.lines(r"^pvalidate \S+ 2M set -> (\d+)")
    assert len(large) > 28 and large.count("0") == len(large), large


def _boots_behind_a_firmware(write, c_bit: int) -> None:
    """What it has validated is validated by nobody again, what it calls unaccepted is. Its blob and
    its pages lie in usable memory, and are marked there."""
    with tempfile.TemporaryDirectory() as directory:
        state = write(Path(directory) / "state", MEMORY, c_bit)
        result = sev_guest.run(Run(elf("demo-every"), sev="snp", state=state, memory="64M",
                                   c_bit=c_bit, trace="memory"))
    result.expect(machine.OK, "^result: ok$", "^cmdline: by a firmware$", "^sev: snp$")
    _, unaccepted = sev_states.FIRMWARES
    assert _accepted_once(result) == set(range(unaccepted >> 12, MEMORY >> 12))
    memory = [(int(start, 16), int(end, 16), kind)
              for start, end, kind in result.lines(r"^memory: (0x\w+) (0x\w+) (\w+)$")]
    ours = [(start, end, kind)
            for start, end, kind in memory if start < MEMORY and end > unaccepted]
    assert [kind for _, _, kind in ours] == ["usable", "prologue"], memory
    assert ours[0][0] <= unaccepted and ours[0][1] == ours[1][0] and ours[1][1] == MEMORY, memory
    for page in (sev_states.SECRETS_PAGE, sev_states.CPUID_PAGE, *sev_states.FIRMWARES_TABLES):
        assert [kind for start, end, kind in memory if start <= page < end] == ["loader"], page
    assert not result.lines("by the GHCB MSR:\n(?:.*\n)*?.*CPUID"), "the host was asked for CPUID"


def _ends_behind_a_firmware(change: dict) -> None:
    """One whose tables make no sense, or that has emptied the CPUID page."""
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.multiboot2_firmware(Path(directory) / "state", MEMORY, 51)
        with state.open("a") as more:
            more.writelines(f"at {at:#x}\nu32 {value:#x}\n" for at, value in change.items())
        result = sev_guest.run(Run(elf("demo-every"), sev="snp", state=state, memory="64M"))
    terminated(result, CODES["CPUID_PAGE"])


def _takes_its_own_places(told: tuple, *codes: int) -> None:
    """A blob may tell the places that the image's notes ask for, each for its own page."""
    image = Image(elf("demo-every"))
    places = [image.physical("prologue_snp_pages") + 0x1000 * place for place in told]
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.multiboot2_hosts_firmware(Path(directory) / "state", MEMORY, *places)
        result = sev_guest.run(Run(image.path, sev="snp", state=state, memory="64M"))
    if codes:
        terminated(result, *codes)
    else:
        result.expect(machine.OK, "^result: ok$", "^sev: snp$")


def _accepted_once(result: sev_guest.Result) -> set:
    """The pages that were validated, none of them twice."""
    accepted = set()
    for page, large in result.lines(r"^pvalidate (0x\w+) (2M|4K) set -> 0$"):
        first = int(page, 16) >> 12
        pages = range(first, first + (512 if large == "2M" else 1))
        assert not accepted.intersection(pages), page
        accepted.update(pages)
    return accepted


def _accepts(kernel: str, memory: int, mark: int, high: int = 0) -> None:
    """All usable memory below the mark was validated, page by page, and none twice."""
    result = sev_guest.run(Run(elf(kernel), sev="snp", memory=f"{memory}M", high=f"{high}M",
                               trace="memory", timeout=40))
    result.expect(machine.OK)
    usable, rest = [], []
    for start, end, kind in result.lines(r"^memory: (0x\w+) (0x\w+) (\w+)$"):
        if kind in ("usable", "prologue"):
            usable.append((int(start, 16), int(end, 16)))
        elif kind == "unaccepted":
            rest.append((int(start, 16), int(end, 16)))
    accepted = _accepted_once(result)
    wanted = {page for start, end in usable for page in range(start >> 12, end >> 12)}
    assert wanted == accepted, (len(wanted), len(accepted))
    assert sum(page >= _4_GIB >> 12 for page in wanted) == high << 20 >> 12
    assert all(start >= mark for start, _ in rest), rest
    assert bool(rest) == (mark < memory << 20), rest


def _ends_below_vmpl_0() -> None:
    """Before any PVALIDATE, by a reason of its own."""
    result = sev_guest.run(Run(elf("demo"), sev="snp", memory="64M", trace="memory",
                               hostile="launched-at-vmpl-1"))
    terminated(result, CODES["VMPL"])
    assert not result.lines("^pvalidate ") and result.lines("^rmpadjust .* VMPL 1 -> 2$")


CASES = [
    Case("sev: guest ends where it runs below VMPL 0, before it validates anything",
         _ends_below_vmpl_0),
    Case("sev: guest is told once of small pages", _is_told_once_of_small_pages),
    Case("sev: guest takes large pages where there are any", _takes_large_pages),
    *(Case(f"sev: guest boots behind a firmware, {write.__name__}, C-bit {c_bit}",
           lambda w=write, c=c_bit: _boots_behind_a_firmware(w, c))
      for write in (sev_states.multiboot2_firmware, sev_states.linux64_firmware)
      for c_bit in C_BITS),
    *(Case(f"sev: guest ends behind a firmware: {what}",
           lambda c=change: _ends_behind_a_firmware(c))
      for what, change in (("no system table", {sev_states.SYSTEM_TABLE: 0}),
                           ("no blob", {sev_states.BLOB: 0}),
                           ("a CPUID page above 4 GiB", {sev_states.BLOB + 28: 1}),
                           ("a secrets page above 4 GiB", {sev_states.BLOB + 12: 1}),
                           ("an empty CPUID page", {sev_states.CPUID_PAGE: 0}))),
    Case("sev: guest's blob tells the places of its notes", lambda: _takes_its_own_places((0, 1))),
    Case("sev: guest's blob has them the other way around",
         lambda: _takes_its_own_places((1, 0), CODES["PAGE_NOT_APART"])),
    Case("sev: guest accepts all of its memory", lambda: _accepts("demo", 64, 64 << 20)),
    Case("sev: guest accepts memory above 4 GiB",
         lambda: _accepts("demo", 64, 64 << 20, high=64)),
    Case("sev: guest accepts memory up to a mark", lambda: _accepts("demo-mark", 64, 32 << 20)),
    *(Case(f"sev: guest boots with a map of {pieces} pieces, {sev}",
           lambda n=pieces, s=sev: _boots_with_many_ranges(n, s))
      for pieces, sev in ((_LONG, "es"), (_STILL_FITS, "snp"), (_LONG, "snp"),
                          (_VERY_LONG, "snp"))),
]
