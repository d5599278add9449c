"""The hostile host: each of its behaviours does what it says, to a guest that looks for the lie
(qemu/sevhost/guests/probe.cpp). That guest notes what it is told; its notes are held against those
of an honest host, and what differs has to be what the behaviour is about."""

import functools
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Optional

import cases
import guest
import machine
import sev_guest
from cases import Case
from sev_guest import Run

_LEAST = 40  # behaviours
_DONE, _EXCEPTION, _NO_SCENE = 0, 2, 3  # the reasons of guest.h
_VECTOR_NMI, _VECTOR_UD, _VECTOR_GP, _VECTOR_VC = 2, 6, 13, 29


@dataclass(frozen=True)
class Lie:
    """`seen`: the notes that differ, as regular expressions with a space between; each of them is
    to be seen, and no other. `ends`: how the guest ends, where it does not play to its end;
    `vector`: the exception that ends it, or `says`: the host's word."""

    seen: str = ""
    ends: str = ""
    vector: Optional[int] = None
    says: str = ""
    scene: str = "all"
    seen_as_snp: str = ""  # if others than as SEV-ES
    timeout: float = 20


def _exception(vector: int, seen: str = "") -> Lie:
    return Lie(seen, sev_guest.TERMINATED, vector)


def _early(seen: str) -> Lie:
    return Lie(seen, scene="early")


def _others(seen: str, seen_as_snp: str = "") -> Lie:
    """Two other processors (processors.cpp), started one behind the other."""
    return Lie(seen, scene=_OTHERS, seen_as_snp=seen_as_snp)


_OTHERS = "others"
_DENIED = Lie(ends=sev_guest.DENIED)
_SHUTDOWN = Lie(ends=sev_guest.SHUTDOWN, says="^sevhost: shutdown at 0x100000:")  # the entry
_AT_SWITCH = Lie(ends=sev_guest.SHUTDOWN, says="^sevhost: shutdown at 0x1000[a-e].:")
_STORM = Lie(ends=sev_guest.SHUTDOWN, says="^sevhost: storm: 0 events, the next is a shutdown;")

_REGISTERS = "(rax|rbx|rcx|rdx)"
_C_BIT = "m-sev-b2? p-cpuids.rbx"
_SEV_INFO = "reset info2?"
_MSR_CPUID = "m-[^.]+"
_MSR = "info2? m-[^.]+ feature.? "
_RESULTS = "p-[^.]+ p-[^.]+.info2"

_LIES = {
    "cpuid-hides-sev": Lie("m-sev-a p-cpuids.rax"),
    "cpuid-hides-leaf": Lie("m-leaf8 m-sev-. m-sev-b2 p-cpuids.rax p-cpuids.rbx"),
    "cpuid-wrong-c-bit": Lie(_C_BIT),
    "cpuid-c-bit-under-32": Lie(_C_BIT),
    "cpuid-c-bit-changes": Lie("(m-sev-b|m-sev-b2|p-cpuids.rbx)"),
    "cpuid-never-the-same": Lie("m-.* p-cpuid.." + _REGISTERS),
    "cpuid-hides-features": Lie("m-ext-d p-cpuide.rdx"),
    "cpuid-hides-needs": Lie("m-ext-d p-cpuide.rdx"),
    "cpuid-hides-rdrand": Lie("m-feat-c p-cpuid1.rcx"),
    "cpuid-narrow-addresses": Lie("m-width p-cpuid8.rax"),
    "cpuid-ones": Lie(f"{_MSR_CPUID} p-cpuid.." + _REGISTERS),
    "cpuid-zeros": Lie(f"{_MSR_CPUID} p-cpuid.." + _REGISTERS),
    "cpuid-claims-many-leaves": Lie("m-leaf0 m-leaf8 p-cpuid0.rax"),
    "cpuid-other-vendor": Lie("m-vendor p-cpuid0.rbx p-cpuid0.rcx p-cpuid0.rdx"),

    "sev-info-not-preset": _early("reset"),
    "sev-info-wrong-c-bit": _early(_SEV_INFO),
    "wrong-c-bit-everywhere": _early(f"{_SEV_INFO} m-sev-b2?"),
    "c-bit-under-32": _early(f"{_SEV_INFO} m-sev-b2?"),
    "sev-info-c-bit-under-32": _early(_SEV_INFO),
    "sev-info-c-bit-over-51": _early(_SEV_INFO),
    "sev-info-changes": Lie("info2?"),
    "sev-info-garbage-in-reserved": Lie(_SEV_INFO),
    "ghcb-versions-too-old": Lie(_SEV_INFO),
    "ghcb-versions-too-new": Lie(_SEV_INFO),
    "ghcb-versions-inverted": Lie(_SEV_INFO),
    "msr-unknown-code": Lie(_MSR + "(prefer|register|info)"),
    "msr-answer-of-another-request": Lie(_MSR + "(prefer|register|info)"),
    "msr-request-left": Lie(_MSR + "(prefer|register|info)"),
    "msr-zero": Lie(_MSR + "(prefer|register|info)"),
    "msr-page-address": Lie(_MSR + "(prefer|register|info)"),
    "msr-cpuid-other-register": Lie(_MSR_CPUID),
    "msr-cpuid-garbage-in-reserved": Lie(_MSR_CPUID),
    "msr-stale-answers": Lie("m-[^v].*"),
    "register-another-frame": Lie("register"),
    "register-refused": Lie("register"),
    "preferred-ghcb-elsewhere": Lie("prefer"),
    "page-state-msr-fails": Lie("m-state"),
    "features-hidden": Lie("feature.? p-featur.info2"),
    "features-claimed": Lie("feature.? p-featur.info2"),

    "ghcb-unknown-result": Lie(_RESULTS),
    "ghcb-malformed-result": Lie(_RESULTS),
    "ghcb-result-in-upper-half": Lie("p-[^.]+"),
    "ghcb-exception-page-fault": Lie(_RESULTS),
    "ghcb-exception-interrupt": Lie(_RESULTS),
    "ghcb-exception-not-valid": Lie(_RESULTS),
    "ghcb-exception-gp": Lie(_RESULTS),
    "ghcb-no-valid-bits": Lie("p-.*.valid0 p-.*.valid1"),
    "ghcb-result-not-valid": Lie("p-.*.valid1"),
    "ghcb-cpuid-half-valid": Lie("p-cpuid..valid1"),
    "ghcb-garbage-beside": Lie("p-.*.valid0 p-.*.valid1 p-.*.code p-.*.scratc (p-.*)"),
    "ghcb-zeroed": Lie(f"p-.*.valid. p-.*.versio p-.*.{_REGISTERS} (p-.*)"),
    "ghcb-ones": Lie(f"p-[^.]+ p-.*.usage p-.*.versio p-.*.{_REGISTERS} (p-.*)"),
    "ghcb-scratch-moved": Lie("p-.*.valid1 p-.*.scratc"),
    "ghcb-scratch-outside": Lie("p-.*.valid1 p-.*.scratc"),
    "ghcb-request-changed": Lie("p-.*.valid1 p-.*.code p-.*.rcx p-tsc2.who"),
    "ghcb-version-changed": Lie("p-.*.versio p-.*.usage"),
    "ghcb-cpuid-upper-halves": Lie(f"p-cpuid..{_REGISTERS}"),
    "ghcb-io-upper-bits": Lie("p-in.rax p-in8.rax"),
    "ghcb-string-counts": Lie("p-(in|in8|ins|out).info2 p-ins.rcx"),
    "io-garbage": Lie("p-in.rax p-in8.rax"),
    "mmio-garbage": Lie("p-mmio.buffer"),
    "msr-garbage": Lie("p-(rdmsr|lstar|pat).rax"),
    "tsc-backwards": Lie("p-tsc2.later"),
    "tsc-of-another-processor": Lie("p-tsc2.who"),
    "jump-table-elsewhere": Lie("p-jumpta.info2"),
    "attestation-sizes": Lie("p-extatt.rbx"),

    "page-state-does-nothing": _DENIED,
    "page-state-does-half": _DENIED,
    "page-state-leaves-shared": _DENIED,
    "page-state-elsewhere": _DENIED,
    "page-state-list-fails-half-way": Lie("p-(shared|privat|large).info2 p-(shared|privat).list"),
    "page-state-list-stops": Lie("p-(shared|privat).list"),
    "page-state-list-goes-back": Lie("p-(shared|privat).list"),
    "page-state-list-grows": Lie("p-(shared|privat).list"),
    "page-state-list-too-far": Lie("p-(shared|privat).list"),
    "page-state-list-reserved": Lie("p-(shared|privat).list"),
    "page-state-list-entries-changed": Lie("p-(shared|privat).list"),
    "page-state-smashes": Lie("large"),

    "nmi-at-step": _SHUTDOWN,
    "interrupt-at-step": _SHUTDOWN,
    "vc-at-step": _SHUTDOWN,
    "ud-at-step": _SHUTDOWN,
    "gp-at-step": _SHUTDOWN,
    "page-fault-at-step": _SHUTDOWN,
    "vc-storm": _STORM,
    "page-fault-storm": _STORM,
    "gp-storm": _STORM,
    "double-fault-storm": _STORM,
    "machine-check-storm": _STORM,
    "nmi-storm": _STORM,
    "interrupt-storm": _STORM,
    "storm": _STORM,
    "gate-of-both-widths": Lie(ends=sev_guest.SHUTDOWN, says="^sevhost: gates: vector 1 at "),
    "early-report": _exception(_VECTOR_UD),
    "gp-hides-sev": Lie(ends=sev_guest.SHUTDOWN, says="^sevhost: shutdown at 0x"),
    "gp-hides-sev-and-answers": Lie(ends=sev_guest.SHUTDOWN, says="^sevhost: shutdown at 0x"),
    "gp-hides-sev-and-shares": Lie(ends=sev_guest.SHUTDOWN, says="^sevhost: shutdown at 0x"),
    "nmi-in-mode-switch": _AT_SWITCH,
    "interrupt-in-mode-switch": _AT_SWITCH,
    "nmi-behind-vmgexit": _exception(_VECTOR_NMI),
    "interrupt-behind-vmgexit": _exception(_VECTOR_GP),  # its vector is behind the IDT's end
    "vc-behind-vmgexit": _exception(_VECTOR_VC),
    "vc-during-delivery": _exception(_VECTOR_VC),
    "vc-other-during-delivery": _exception(_VECTOR_VC, "vc"),
    "vc-twice": _exception(_VECTOR_VC),
    "vc-without-cause": _exception(_VECTOR_VC),
    "vc-wrong-code": Lie("(vc.?|unused)"),
    "vc-unknown-code": Lie("(vc.?|unused)"),
    "vc-code-of-mmio": Lie("(vc.?|unused)"),
    "vc-code-of-not-validated": Lie("vc.?"),
    "interrupts-withheld": Lie("timer"),
    "vmgexit-never-answers": Lie(ends=machine.HANG, timeout=3),
    # All but that it wants to end; before that, SNP's GHCB page stays private.
    "vmgexit-ignored": Lie(f"{_MSR}(.*)", ends=f"{sev_guest.TERMINATED}|{sev_guest.DENIED}"),

    "memory-zeroed": Lie("own-mem.*"),
    "memory-corrupted": Lie("own-mem.*"),
    "memory-swapped": Lie("own-mem.*"),
    "memory-replayed": Lie("own-mem.*"),
    "page-zeroed": _exception(_VECTOR_VC),
    "page-corrupted": _exception(_VECTOR_VC),
    "pages-swapped": _exception(_VECTOR_VC),
    "page-replayed": _exception(_VECTOR_VC),
    "page-unvalidated": _exception(_VECTOR_VC),
    "code-unvalidated": _exception(_VECTOR_VC),
    "page-taken": _DENIED,
    "ghcb-taken": _DENIED,
    "ghcb-changes-between-reads": Lie("p-.*.again (p-.*)"),

    "launched-at-vmpl-1": Lie("cp-carry invalid valid validate", ends=sev_guest.TERMINATED,
                              says=f"reason set 15, reason {_EXCEPTION}:", vector=29),
    "launch-validates-all": Lie("unused use-it"),
    "cpuid-page-too-many": Lie("cp-count cp"),
    "cpuid-page-empty": Lie("cp-count cp"),
    "cpuid-page-wrong-c-bit": Lie("cp"),
    "cpuid-page-hides-sev": Lie("cp"),
    "cpuid-page-contradicts": Lie("cp-count cp"),
    "cpuid-page-garbage-in-reserved": Lie("cp-count cp"),
    "cpuid-page-not-validated": Lie("cp-carry"),
    "secrets-page-ones": Lie("secrets"),
    "blob-without-magic": Lie("blob"),
    "blob-elsewhere": Lie("blob"),
    "blob-outside": Lie("blob"),
    "blob-sizes": Lie("blob"),
    "launch-bss-chosen": Lie(ends=sev_guest.TERMINATED),
    "launch-memory-chosen": Lie("unused use-it"),
    "cpuid-not-intercepted": Lie("(vc.?|unused)"),
    "ports-not-intercepted": Lie(),
    "two-frames-a-page": Lie("vc.?"),
    "memory-map-too-large": Lie("map(-n)?"),
    "memory-map-overlaps": Lie("map(-n)?"),
    "memory-map-empty": Lie("map(-n)?"),
    "memory-map-wraps": Lie("map(-n)?"),
    "msr-own-dropped": Lie("p-(lstar|pat).rax p-(lstar|pat).rdx"),
    "pat-shadowed": Lie("p-pat.rax p-pat.rdx"),

    "pvh-modules-at-secret": Lie(),
    "cmdline-at-secrets": Lie(ends=sev_guest.TERMINATED,
                              says=f"reason set 15, reason {_NO_SCENE}:"),
    "secrets-page-usable": Lie("map(-n)?"),
    "blob-long-pages": Lie("blob map(-n)?"),
    "blob-secrets-on-image": Lie("blob"),
    "blob-secrets-on-cpuid-page": Lie("blob"),
    "blob-secrets-on-information": Lie("blob"),
    "window-no-memory": Lie("map(-n)?"),

    "unknown-requests-end": Lie(ends=sev_guest.REFUSED,
                                says="an old host does not know this request, and ends the VM$"),
    "malformed-requests-end": Lie(ends=sev_guest.REFUSED, says="GHCB request .*, and ends the VM$"),

    "processor-never-started": _others("(come|last|id)[12] again1 result1", "(come|last|id)[12]"),
    "processor-started-late": _others("come1"),
    "processor-started-twice": _others("last1"),
    "processor-started-elsewhere": _others("(come|last|id)1 (free|answer)2 again1 result1", "id1"),
    "processors-at-one-door": _others("(free|answer)2"),
    "creation-refused-and-done": _others(""),
    "processors-swapped": _others("come1 id[12] rmpadj"),
    "processor-outlives-destruction": _others("rmpadj"),
    "hold-ends-without-sipi": _others("free1 answer1 again1", "free1 answer1"),
    "hold-ends-unasked": _others("free1 answer1 again1", "free1 answer1"),

    "cmdline-changed": Lie(ends=sev_guest.TERMINATED,
                           says=f"reason set 15, reason {_NO_SCENE}:"),
}

_SNP_ONLY = {
    "register-another-frame", "register-refused", "preferred-ghcb-elsewhere",
    "page-state-msr-fails", "features-hidden", "attestation-sizes", "page-zeroed",
    "page-corrupted", "pages-swapped", "page-replayed", "page-unvalidated", "code-unvalidated",
    "page-taken", "ghcb-taken", "launched-at-vmpl-1", "launch-validates-all", "launch-bss-chosen",
    "launch-memory-chosen", "secrets-page-ones",
    "cmdline-at-secrets", "secrets-page-usable",
    "processors-swapped", "processor-outlives-destruction", "creation-refused-and-done",
    *(name for name in _LIES
      if name.startswith(("page-state-", "cpuid-page-", "blob-")))}
_RESTRICTED = {"hv-at-step", "hv-storm", "vectors-in-spite", "doorbell-taken",
               "doorbell-at-random"}  # in restricted.py
# Of kernels of Prologue's: in withstands.py, and of their processors in processors.py.
_OF_KERNELS = {"forged-eip": ("es", "snp"), "processor-frozen-at-door": ("es",),
               "processor-nmi-in-real-mode": ("es",), "processor-efer-intercepted": ("es",)}
_ES_ONLY = {"processor-started-twice", "processors-at-one-door", "unknown-requests-end",
            "malformed-requests-end", "jump-table-elsewhere", "memory-zeroed", "memory-corrupted",
            "memory-swapped", "memory-replayed", "pat-shadowed"}


def _modes(name: str) -> tuple:
    return ("snp",) if name in _SNP_ONLY else ("es",) if name in _ES_ONLY else ("es", "snp")


def _run(sev: str, scene: str, hostile: str = "", timeout: float = 20):
    """The C-bit decides nothing for a guest of 32-bit mode without paging."""
    width = 32 if scene == "early" else 64
    if scene == _OTHERS:
        return sev_guest.run(Run(cases.BUILD / "guests/others64.elf", sev=sev, memory="32M",
                                 host="firmware" if sev == "es" else "", cpus=3, cmdline=scene,
                                 hostile=hostile, timeout=timeout))
    return sev_guest.run(Run(cases.BUILD / f"guests/probe{width}.elf", sev=sev, memory="32M",
                             rmp="2m", cmdline=scene, hostile=hostile, timeout=timeout))


def _marks(result) -> list:
    return [int(value, 16) for value in result.lines(r"^sevhost: marker 0x([0-9a-f]+):")]


def _notes(result, scene: str) -> dict:
    """What was noted, by its name; details of a request go by that request's name too."""
    marks = _marks(result)
    if scene == "early":
        marks = [low | high << 32 for low, high in zip(marks[0::2], marks[1::2])]
    notes, request = {}, ""
    for letters, value in zip(marks[0::2], marks[1::2]):
        name = letters.to_bytes(8, "little").rstrip(b"\0").decode("latin-1")
        if name.startswith("  "):
            name = f"{request}.{name.strip()}"
        else:
            request = name
        while name in notes:
            name += "'"
        notes[name] = value
    return notes


@functools.lru_cache(maxsize=None)
def _honest(sev: str, scene: str) -> dict:
    result = _run(sev, scene)
    assert f"reason set 15, reason {_DONE}:" in result.serial, result.outcome
    return _notes(result, scene)


def _does_what_it_says(name: str, lie: Lie, sev: str) -> None:
    honest = _honest(sev, lie.scene)
    result = _run(sev, lie.scene, name, lie.timeout)
    assert result.lines(f"^sevhost: hostile: {name} acts at "), "it does not act"
    assert result.lines(lie.says), f"no word of: {lie.says}"
    notes = _notes(result, lie.scene)
    if lie.ends:
        assert re.fullmatch(lie.ends, result.outcome), result.outcome
    else:
        assert f"reason set 15, reason {_DONE}:" in result.serial, result.outcome
        assert set(notes) == set(honest), "the guest went another way"
    if lie.vector is not None:
        assert _marks(result)[-3] == lie.vector, _marks(result)[-3:]
    seen = lie.seen_as_snp if sev == "snp" and lie.seen_as_snp else lie.seen
    _compare(seen.split(), {note for note in honest
                            if note in notes and notes[note] != honest[note]})


def _compare(patterns: list, found: set) -> None:
    for pattern in patterns:
        assert any(re.fullmatch(pattern, note) for note in found), f"{pattern} is as it should be"
    beside = sorted(note for note in found
                    if not any(re.fullmatch(pattern, note) for pattern in patterns))
    assert not beside, f"these lie too: {', '.join(beside)}"


def _list_is_complete() -> None:
    output = subprocess.run(
        [sys.executable, guest.__file__], cwd=cases.ROOT, check=True, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        env=dict(os.environ, BUILD=str(cases.BUILD), HOSTILE="list")).stdout
    lines = re.findall(r"^\| `(\S+)` \| (?:detected|harmless|denial|not detectable) \| "
                       r"(es snp|es|snp|restricted) \| \S.*\S \|$", output, re.MULTILINE)
    assert len(lines) >= _LEAST, len(lines)
    listed = {(name, sev) for name, modes in lines for sev in modes.split()}
    tested = {(name, sev) for name in _LIES for sev in _modes(name)}
    tested |= {(name, "restricted") for name in _RESTRICTED}
    tested |= {(name, sev) for name, modes in _OF_KERNELS.items() for sev in modes}
    assert listed == tested, sorted(listed ^ tested)


CASES = [
    Case("sev hostile: every behaviour of the list is tested", _list_is_complete),
    *(Case(f"sev hostile: {name} does what it says, {sev.upper()}",
           lambda name=name, lie=lie, sev=sev: _does_what_it_says(name, lie, sev))
      for name, lie in _LIES.items() for sev in _modes(name)),
]
