"""The SEV host itself: what it needs and refuses, where the C-bit may be, and what it tells of a
run: its last words, its traces, its counts."""

import re

import cases
import machine
import sev_guest
from cases import Case
from sev_guest import Run

_GUESTS = cases.BUILD / "guests"
_STATE = "rip $entry\nrsp 0x8000\nrflags 2\ncr0 0x11\n"

# What it cannot start with, and the word that says why.
_FATAL = {
    "a C-bit under 32": (dict(c_bit=31), "cbit=31 is out of range: 32 to 51"),
    "a C-bit over 51": (dict(c_bit=52), "cbit=52 is out of range: 32 to 51"),
    "a C-bit over 47 without LA57": (dict(cpu="max,phys-bits=52,-la57"),
                                     "the CPU has no LA57: 47 is the highest without it"),
    "a C-bit that no address has": (dict(cpu="max,phys-bits=45"),
                                    "needs physical addresses of 52 bits, and this machine has 45"),
    "a machine without SVM": (dict(cpu="max,phys-bits=52,-svm"), "this machine has no SVM"),
    "a machine without nested paging": (dict(cpu="max,phys-bits=52,-npt"), "has no nested paging"),
    "memory that is no multiple of 2 MiB": (dict(memory="33000001"), "not a multiple of 2 MiB"),
    "a behaviour that there is not": (dict(hostile="kind"), "there is no hostile behaviour kind"),
    "a behaviour of SNP for SEV-ES": (dict(hostile="page-taken"),
                                      "page-taken is none of a guest with sev=es"),
    "a host that there is not": (dict(host="xen"), "host=xen is none of kvm, vmm, firmware"),
    "an SNP guest of vmm's": (dict(host="vmm", sev="snp"), "HOST=vmm has no guests of sev=snp"),
    "more processors than there can be": (dict(cpus=33), "cpus=33 is out of range: 1 to 32"),
    "several processors without SEV-ES": (dict(cpus=2, sev="sev"),
                                          "several processors need sev=es or sev=snp"),
    "a sweep of several processors": (dict(cpus=2, sweep="events"),
                                      "a sweep is of one processor"),
    "a trace that there is not": (dict(trace="everything"), "is none of exits, protocol, memory"),
    "a state file's wrong word": (dict(state="rip 0\nrex 1\n"),
                                  "line 2 of the state file is not understood: rex"),
    "a state file's wrong value": (dict(state="rip 12x\n"), "line 1 of the state file"),
    "a state file's wrong segment": (dict(state="cs 8 code48 0 0\n"), "names no kind of segment"),
}


def _run(scene: str, width: int = 64, guest: str = "page", **settings):
    if "state" in settings:
        settings["state"] = cases.scratch_file(settings["state"].encode(), "test.state")
    settings = {"sev": "es", "memory": "32M", **settings}
    return sev_guest.run(Run(_GUESTS / f"{guest}{width}.elf", cmdline=scene, **settings))


def _is_fatal(settings: dict, says: str) -> None:
    result = _run("cpuid", **settings)
    assert result.outcome == machine.FATAL, result.outcome
    assert result.lines(f"^sevhost: fatal: .*{re.escape(says)}"), f"no word of: {says}"


def _image_without_note() -> None:
    elf = bytearray((_GUESTS / "page64.elf").read_bytes())
    at = elf.find(b"Xen\0")
    elf[at:at + 3] = b"Yen"
    result = sev_guest.run(Run(cases.scratch_file(bytes(elf), "guest.elf"), memory="32M"))
    result.expect(machine.FATAL, "no PVH note")


def _c_bit(bit: int, width: int, sev: str) -> None:
    """The guest finds its C-bit by itself; its private and shared memory are two then."""
    scene = "two-memories" if sev == "es" else "tables-are-private"
    cpu = "max,phys-bits=52,-la57" if bit <= 47 else ""
    result = _run(scene, width, "memory", c_bit=bit, sev=sev, cpu=cpu)
    assert "reason set 15, reason 0:" in result.serial, result.outcome


def _last_words() -> None:
    """Of a termination: the reason in words, the exits, the registers, the walks."""
    result = _run("termination-by-reason", guest="page_events")
    result.expect(
        sev_guest.TERMINATED,
        r"^sevhost: the guest terminated at 0x\w+: reason set 0, reason 1: "
        r"the GHCB protocol is not supported",
        r"^sevhost: \d+ exits$", r"^sevhost: exits by kind:$", r"^  \d+ VMMCALL \(0x81\)$",
        r"^sevhost: the last 16 exits, the oldest first:$",
        r"^  VMMCALL \(0x81\) at 0x\w+ information 0x0 0x0$",
        r"^sevhost: requests by the GHCB MSR:$", r"^  1 terminate \(0x100\)$",
        r"^  rax 0x10100 rcx 0xc0010130 ", r"^  rip 0x\w+ rflags 0x\w+ cpl 0$",
        r"^  cs 0x18 base 0x0 limit 0xffffffff attributes 0xa9b$",
        r"^  code at RIP \[f3 0f 01 d9 ",
        r"^  RIP (0x\w+): \[4\] 0x\w+=0x8\w+ \[3\] \S+ \[2\] \S+ -> \1 private$")


def _table_of_exits() -> None:
    """Each exit is counted once, by its kind; each #VC and each request too."""
    text = _run("cpuid").serial
    total = int(re.search(r"^sevhost: (\d+) exits$", text, re.MULTILINE)[1])
    kinds = _table(text, "exits by kind")
    assert sum(kinds.values()) == total, (kinds, total)
    assert _table(text, "requests by the GHCB page") == {"CPUID (0x72)": 5}
    assert _table(text, "requests by the GHCB MSR") == {"terminate (0x100)": 1}
    assert kinds["VMMCALL (0x81)"] == 6, kinds


def _table(text: str, title: str) -> dict:
    lines = re.search(rf"^sevhost: {title}:\n((?:  \d+ .+\n)+)", text, re.MULTILINE)[1]
    return {name: int(count) for count, name in re.findall(r"  (\d+) (.+)\n", lines)}


def _trace_of_exits() -> None:
    result = _run("cpuid", guest="vc", trace="exits")
    assert result.lines(r"^exit: CPUID \(0x72\) at (0x\w+) \[0f a2 (?:[0-9a-f]{2} ?){13}\] "
                        r"information 0x0 0x0\n#VC: CPUID \(0x72\) at \1$"), "no CPUID"


def _trace_of_requests() -> None:
    result = _run("cpuid", trace="protocol")
    assert result.lines(r"^ghcb: CPUID \(0x72\) 0x0 0x0 rax 0x8000001f .* -> 0x0 0x0$"), "by page"
    result = _run("sev-information", guest="msr", trace="protocol")
    assert result.lines(r"^ghcb-msr: SEV information 0x2 -> 0x2000133000001$"), "by MSR"


def _trace_of_memory() -> None:
    result = _run("validation", guest="snp", sev="snp", trace="memory")
    changes = result.lines(r"^pvalidate 0x(\w+) 4K (set|clear) -> 0( unchanged)?$")
    assert [what[1:] for what in changes] == [("set", " unchanged"), ("clear", ""),
                                              ("clear", " unchanged"), ("set", "")], changes
    result = _run("page-states", guest="msr", sev="snp", trace="memory")
    assert result.lines(r"^page state 0x\w+ 0x1000 -> shared$"), "no page state"


def _counts() -> None:
    """The number of exits at a marker: as many for the same guest, every time."""
    seen = [_run("early", 32, "probe").lines(r"^sevhost: marker 0x\w+: (\d+) exits since")
            for _ in range(2)]
    assert seen[0] == seen[1] and len(seen[0]) > 20, seen
    assert [int(count) for count in seen[0]] == sorted(int(count) for count in seen[0])


def _orders(sev: str) -> None:
    """Of three processors, who exits when and where: the same every time, by each seed; the seeds
    differ."""
    def order(schedule: str) -> list:
        host = "firmware" if sev == "es" else ""
        result = _run("others", guest="others", sev=sev, host=host, cpus=3, trace="exits",
                      schedule=schedule)
        exits = result.lines(r"^([012]): exit: (.+?) \(.*?\) at (0x\w+)")
        assert {number for number, _, _ in exits} == {"0", "1", "2"}
        return exits

    seen = {seed: order(seed) for seed in ("", "1", "2")}
    assert all(order(seed) == exits for seed, exits in seen.items())
    assert seen[""] != seen["1"] != seen["2"] != seen[""]


def _plain(width: int) -> None:
    """A guest without SEV has the machine's own CPUID, ports and memory."""
    result = _run("plain", width, "vc", sev="none")
    result.expect(machine.OK, "a plain guest's port")


CASES = [
    *(Case(f"sev host: {name} is refused",
           lambda settings=settings, says=says: _is_fatal(settings, says))
      for name, (settings, says) in _FATAL.items()),
    Case("sev host: an ELF file without a PVH note is refused", _image_without_note),
    *(Case(f"sev host: C-bit {bit}, {width}-bit, {sev.upper()}",
           lambda bit=bit, width=width, sev=sev: _c_bit(bit, width, sev))
      for bit in (32, 40, 47, 48) for width in (32, 64) for sev in ("es", "snp")),
    Case("sev host: last words of a termination", _last_words),
    Case("sev host: the table of exits", _table_of_exits),
    Case("sev host: TRACE=exits", _trace_of_exits),
    Case("sev host: TRACE=protocol", _trace_of_requests),
    Case("sev host: TRACE=memory", _trace_of_memory),
    Case("sev host: exits are counted, the same every time", _counts),
    *(Case(f"sev host: several processors go on in the same order every time, {sev.upper()}",
           lambda sev=sev: _orders(sev)) for sev in ("es", "snp")),
    *(Case(f"sev host: a guest without SEV, {width}-bit", lambda width=width: _plain(width))
      for width in (32, 64)),
]
