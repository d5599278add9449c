"""Small guests of our own under the SEV host: a scene for each sentence about what a guest sees.
They are in qemu/sevhost/guests/, and judge themselves; this table says how each ends."""

import re
from dataclasses import dataclass
from typing import Optional

import cases
import sev_guest
from cases import Case
from sev_guest import Run

_GUESTS = cases.ROOT / "qemu/sevhost/guests"
_REASON_SET = 15  # of guest.h
_DONE, _UNEXPECTED, _EXCEPTION = 0, 1, 2

_ES, _SNP, _BOTH = ("es",), ("snp",), ("es", "snp")
_WIDTHS = (64, 32)


@dataclass(frozen=True)
class End:
    """How the host ends a guest, and what it says."""

    outcome: str
    says: str


@dataclass(frozen=True)
class Scene:
    """`ends`: None where the guest ends itself, content with what it found."""

    name: str
    sev: tuple = _BOTH
    widths: tuple = _WIDTHS
    ends: Optional[End] = None
    says: str = ""
    intercept: str = ""
    host: str = ""
    rmp: str = ""
    cpus: int = 1


def _refused(says: str) -> End:
    return End(sev_guest.REFUSED, says)


def _shutdown(says: str) -> End:
    return End(sev_guest.SHUTDOWN, says)


def _halted(says: str) -> End:
    return End(sev_guest.HALTED, says)


def _terminated(says: str) -> End:
    return End(sev_guest.TERMINATED, says)


def _by_creation(name: str, ends: Optional[End] = None) -> Scene:
    return Scene(name, sev=_SNP, widths=(64,), cpus=2, ends=ends)


_UNDELIVERED = r"exception 29 with error code 0x72 cannot be delivered: "
_FETCHED = r"through a mapping without the C-bit: it is the private page's .*15\.34\.5"
_AP_HOLD = _halted("AP reset hold: there is no other processor")

_SCENES = {
    "vc": [
        *map(Scene, ("cpuid", "ports", "port-strings", "msrs", "own-msrs", "control-registers",
                     "counters", "caches", "debug-register", "hypercall", "waiting", "devices",
                     "frame", "trap-gate", "stack-switch")),
        Scene("interrupt-stack", widths=(64,)),
        Scene("handler-not-canonical", widths=(64,),
              says=_UNDELIVERED + "the handler's address is not canonical"),
        Scene("stack-not-mapped", widths=(64,), says="the guest goes on with exception 14 "),
        Scene("double-fault-after-page-fault", widths=(64,),
              says="the guest goes on with exception 8 "),
        Scene("gate-not-present", says=_UNDELIVERED + "the gate is not present"),
        Scene("idt-too-short", says=_UNDELIVERED + "the IDT's limit leaves out the vector"),
        Scene("selector-wrong", says=_UNDELIVERED + "the gate's selector is none of code"),
        Scene("timestamps", intercept="tsc"),
        Scene("timestamps-of-its-own"),
        Scene("processor-register", intercept="rdpru"),
        Scene("extended-state", intercept="xsetbv"),
        Scene("control-register-intercepts", intercept="cr", widths=(32,)),
        Scene("efer-has-svme"),
        Scene("efer-loses-svme", ends=_refused(
            r"VMEXIT_INVALID, since EFER\.SVME is zero \(APM vol\. 2, 15\.5\.1\)")),
        Scene("of-vmm", sev=_ES, host="vmm"),
        Scene("plain", sev=()),  # tests/sev/host.py
        Scene("no-handler-at-all", ends=_shutdown("a double fault could not be delivered .*8.2.9")),
        Scene("shutdown-of-its-own",
              ends=_shutdown("a fault while a double fault was delivered .*8.2.9")),
    ],
    "msr": [
        *map(Scene, ("at-reset", "sev-information", "cpuid", "registers-stay",
                     "registers-are-not-read", "features")),
        *(Scene(name, sev=_SNP)
          for name in ("preferred-address", "registration", "page-states")),
        *(Scene(f"{name}-of-snp", sev=_ES,
                ends=_refused(r"a request of SNP guests \(56421, 2\.3\.1\)"))
          for name in ("preferred-address", "registration", "page-states")),
        Scene("termination", ends=_terminated("reason set 3, reason 90: ")),
        Scene("ap-reset-hold", ends=_AP_HOLD),
        *(Scene(name, says="no request that HOST=kvm serves: the MSR stays as it is$")
          for name in ("vmpl", "no-request", "answer-as-request", "vmgexit-at-reset")),
        Scene("reserved-bits", says="bits that are zero in this request are set .* all the same$"),
        Scene("nothing-at-first", sev=_ES, host="vmm"),
        Scene("old-page-at-first", host="firmware"),
    ],
    "page": [
        *map(Scene, ("cpuid", "registers-are-not-read", "answer-is-marked", "timestamps",
                     "counters", "msrs", "ports")),
        Scene("port-strings", says="^a string by the GHCB$"),
        *map(Scene, ("devices", "caches", "debug-register", "hypercall", "waiting")),
    ],
    "page_events": [
        *map(Scene, ("nmi-complete", "ap-jump-table", "features")),
        *(Scene(name, sev=_SNP)
          for name in ("ap-creation", "page-states", "page-state-list-wrong", "attestation")),
        Scene("ap-reset-hold", ends=_AP_HOLD),
        Scene("unsupported",
              ends=_terminated("a #VC that it does not support: exit code 0x8d.*0x1234")),
        Scene("termination", ends=_terminated("reason set 3, reason 90: ")),
        Scene("termination-by-reason", ends=_terminated("the GHCB protocol is not supported")),
    ],
    "page_refused": [
        Scene("events-of-snp", sev=_ES, says="is malformed: no event of this machine"),
        Scene("no-event", says="is malformed: no event of this machine"),
        Scene("usage", says="is malformed: a usage that is not 0"),
        Scene("version", says="the GHCB page names version 3 for RDTSC .* no host looks at it$"),
        Scene("fields-missing",
              says="is malformed: a field that the event needs is not marked valid"),
        Scene("fields-not-marked"),
        Scene("scratch-outside",
              says="is malformed: SW_SCRATCH points to nothing that may be used"),
        Scene("not-registered", sev=_SNP, ends=_refused(
            r"VMGEXIT with the GHCB at \S+, which is not registered \(56421, 2\.3\.2\)")),
        Scene("page-in-private-memory", sev=_ES),
        Scene("page-that-is-not-shared", sev=_SNP,
              says=r"^sevhost: the GHCB is \S+, a page that is private in the reverse map"),
        Scene("page-outside-memory",
              says="where no memory is: the guest goes on without an answer$"),
    ],
    "page_vmm": [
        *(Scene(name, sev=_ES, host="vmm")
          for name in ("only-the-answer-is-marked", "shadowed-pat", "few-msrs")),
        Scene("another-page", sev=_ES, host="vmm",
              says=r"HOST=vmm keeps the first, at \S+$",
              ends=_refused("is none that HOST=vmm serves: it ends the VM")),
    ],
    "memory": [
        *(Scene(name, sev=_ES) for name in ("two-memories", "c-bit-decides")),
        Scene("tables-are-private"),
        Scene("without-paging", sev=_ES, widths=(32,)),
        Scene("legacy-paging", widths=(32,)),
        Scene("fetches-are-private", sev=_ES, says=_FETCHED),
        Scene("fetch-without-c-bit", sev=_SNP, says=_FETCHED),
        Scene("no-memory-at-all", ends=_refused("neither memory nor a device at 0x6400000")),
    ],
    "snp": [
        *(Scene(name, sev=_SNP)
          for name in ("validation", "not-validated", "not-validated-since-launch",
                       "fetch-of-what-is-not-validated", "small-pages-only", "noise", "wrong-input",
                       "not-mapped", "ring-3", "page-that-comes-back")),
        Scene("not-validated-without-paging", sev=_SNP, widths=(32,)),
        *(Scene(name, sev=_SNP, widths=(64,))
          for name in ("rights-of-levels", "pages-of-the-firmware")),
        Scene("large-pages", sev=_SNP, rmp="2m"),
        Scene("no-such-instruction", sev=_ES),
        Scene("private-access-to-a-shared-page", sev=_SNP,
              says=r"private access to a shared page, .*the host converts the page .*15\.36\.10"),
        Scene("shared-access-to-a-private-page", sev=_SNP,
              says=(r"without the C-bit to a private page, "
                    r".*the host converts the page .*15\.36\.10")),
        Scene("validation-of-a-shared-page", sev=_SNP,
              says=(r"PVALIDATE of a shared page, "
                    r".*the host converts it \(APM vol\. 3, PVALIDATE\)")),
        Scene("validation-through-a-shared-mapping", sev=_SNP,
              ends=_refused(r"mapped without the C-bit .*APM vol\. 3, PVALIDATE")),
    ],
    "creation": [
        *(_by_creation(name) for name in ("creation", "destruction", "another-state",
                                          "creation-at-init", "creation-refused")),
        _by_creation("no-vmsa", _refused(r"is no such page in the reverse map: VMRUN fails")),
        _by_creation("vmsa-of-other-features", _refused("has the features 0x0, and the guest has")),
        _by_creation("vmsa-without-svme", _refused("EFER.SVME is zero")),
    ],
    "jump_table": [
        *(Scene(name, sev=_ES, widths=(64,), host="firmware", cpus=2)
          for name in ("jump-table", "hold-by-msr", "hold-by-page", "init-while-it-runs", "nmi")),
        Scene("no-state", widths=(64,), cpus=2, ends=_refused(
            "a SIPI for processor 1, which has no state")),
        Scene("nobody-runs", widths=(64,), cpus=2, ends=_halted(
            "no processor runs, and none can start another")),
    ],
    "others": [
        Scene("others", sev=()),  # tests/sev/hostile.py
    ],
}


# Scenes that are played once more in 64-bit mode with five levels of tables.
_FIVE_LEVELS = {
    "vc": ("cpuid", "frame", "stack-switch", "interrupt-stack", "handler-not-canonical",
           "stack-not-mapped", "devices", "control-registers"),
    "memory": ("two-memories", "c-bit-decides", "tables-are-private"),
    "snp": ("not-validated", "fetch-of-what-is-not-validated", "not-mapped", "large-pages"),
}


def _judgement(result) -> str:
    """What the guest says against the host, or nothing."""
    told = re.search(rf"reason set {_REASON_SET}, reason (\d+):", result.serial)
    if not told:
        return f"the guest does not end itself, but as {result.outcome}"
    reason = int(told[1])
    marks = [int(value, 16) for value in result.lines(r"^sevhost: marker (0x[0-9a-f]+):")]
    if reason == _DONE:
        return ""
    if reason == _UNEXPECTED:
        line, found, expected, *upper = marks[-5:] if len(marks) >= 5 else marks[-3:]
        if len(upper) == 2:
            found, expected = found | upper[0] << 32, expected | upper[1] << 32
        return f"line {line}: found {found:#x}, expected {expected:#x}"
    if reason == _EXCEPTION:
        vector, error, ip = marks[-3:]
        return f"exception {vector} that no scene waits for: error {error:#x}, at {ip:#x}"
    return f"reason {reason}"


def _play(guest: str, width: int, sev: str, scene: Scene) -> None:
    result = sev_guest.run(Run(cases.BUILD / f"guests/{guest}{width}.elf", sev=sev, memory="32M",
                               cmdline=scene.name, intercept=scene.intercept,
                               host=scene.host, rmp=scene.rmp, cpus=scene.cpus))
    if scene.ends:
        assert result.outcome == scene.ends.outcome, result.outcome
        assert result.lines(f"^sevhost: .*{scene.ends.says}"), f"no word of: {scene.ends.says}"
    else:
        complaint = _judgement(result)
        assert not complaint, complaint
    assert result.lines(scene.says), f"no word of: {scene.says}"


# A guest that cannot load a table of its own has to be entered with one.
_ENTERED_WITH_IDT = """
rip $entry
rsp 0x6ff0
rflags 2
cr0 0x11
cs 8 code32 0xffffffff 0
ds 0x10 data32 0xffffffff 0
es 0x10 data32 0xffffffff 0
ss 0x10 data32 0xffffffff 0
gdtr 0x17 0x4000
idtr 0xff 0x5000
at 0x4000
u64 0 0x00cf9b000000ffff 0x00cf93000000ffff
at 0x5000  # memory that is placed is validated: for the IDT and the stack
table 1024 0 0
"""
_TABLE_INTERCEPTS = (0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d)  # SIDT ... LTR


def _table_intercepts(sev: str) -> None:
    state = cases.scratch_file(_ENTERED_WITH_IDT.encode(), "tables.state")
    result = sev_guest.run(Run(cases.BUILD / "guests/intercepted32.elf", sev=sev, memory="32M",
                               state=state, intercept="tables"))
    marks = tuple(int(value, 16) for value in result.lines(r"^sevhost: marker (0x[0-9a-f]+):"))
    assert marks == _TABLE_INTERCEPTS, marks
    assert result.outcome == sev_guest.HALTED, result.outcome


def _every_scene_is_played() -> None:
    for guest, scenes in _SCENES.items():
        written = re.findall(r'^    \{"(.+?)",', (_GUESTS / f"{guest}.cpp").read_text(),
                             re.MULTILINE)
        assert set(written) == {scene.name for scene in scenes}, guest


CASES = [
    Case("sev guests: every scene that is written is played", _every_scene_is_played),
    *(Case(f"sev guests: each access to a table of descriptors as a #VC, {sev.upper()}",
           lambda sev=sev: _table_intercepts(sev)) for sev in _BOTH),
    *(Case(f"sev guests: {guest}: {scene.name}, {width}-bit, {sev.upper()}",
           lambda guest=guest, scene=scene, width=width, sev=sev:
           _play(guest, width, sev, scene))
      for guest, scenes in _SCENES.items() for scene in scenes
      for width in scene.widths for sev in scene.sev),
    *(Case(f"sev guests: {guest}: {scene.name}, five levels, {sev.upper()}",
           lambda guest=guest, scene=scene, sev=sev: _play(guest, 57, sev, scene))
      for guest, names in _FIVE_LEVELS.items()
      for scene in _SCENES[guest] if scene.name in names for sev in scene.sev),
]
