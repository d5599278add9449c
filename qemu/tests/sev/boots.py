"""Prologue's kernels as SEV guests, under the SEV host (docs/sev.md): they boot the same way as
anywhere, by each entry; and end where memory or wish does not go with the guest that they are."""

import re
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
from sev_ends import exception, has_c_bit_everywhere, requests, terminated
from sev_entries import C_BITS, ENCRYPTED, ES, KERNELS, MODES, elf, entered
from sev_guest import Run

_VMD_STATES = ("vmd", "vmd-compat", "vmd-paged")
_MUST_BE = (
    ("required", "none", "", "MISSING"), ("required", "sev", "", ""), ("required", "es", "", ""),
    ("required", "snp", "", ""), ("required", "es", "gp-hides-sev", "MISSING"),
    ("snponly", "none", "", "MISSING"), ("snponly", "sev", "", "MISSING"),
    ("snponly", "es", "", "MISSING"), ("snponly", "snp", "", ""),
    ("snponly", "snp", "gp-hides-sev", "MISSING"), ("restricted", "snp", "", "MISSING"),
)


def _boots(entry: str, levels: int, sev: str, c_bit: int, cpu: str = "") -> None:
    with tempfile.TemporaryDirectory() as directory:
        result = sev_guest.run(Run(**entered(entry, levels, directory), sev=sev, c_bit=c_bit,
                                   memory="64M", cmdline="as any other", cpu=cpu))
    result.expect(machine.OK, rf"^sev: {sev}$", f"^c-bit: {1 << c_bit:#x}$", "^result: ok$",
                  rf"^entry-mode: {MODES[entry]}$", f"^paging: {levels}-level$",
                  rf"^ghcb: {'0x0' if sev == 'sev' else '0x[1-9a-f][0-9a-f]*000'}$")


def _ends_at_a_structure_beyond_the_c_bit() -> None:
    """PVH's list of modules, one of them, where the C-bit is: what is at 0 is not it."""
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.pvh64(Path(directory) / "state")
        with state.open("a") as more:
            more.write("at 0x9600c\nu32 1 0 1\n")
        result = sev_guest.run(Run(elf("demo-best-every"), c_bit=32, memory="64M", state=state))
    terminated(result, CODES["FATAL"])
    said = re.sub(r"(.)\1", r"\1", result.serial)  # by serial port and debug console
    assert "pvh module list: ? bytes at ?" in said, said


def _ends_beyond_the_c_bit(sev: str) -> None:
    """Memory from the C-bit on: its entry would show the memory at 0."""
    result = sev_guest.run(Run(elf("demo-best"), sev=sev, c_bit=32, memory="64M", high="64M"))
    if sev == "sev":
        assert result.outcome == machine.FATAL, result.outcome
    else:
        terminated(result, CODES["FATAL"])
        has_c_bit_everywhere(result, 32)


def _exits(levels: int, sev: str, most: int, msr: int, hostile: str = "") -> None:
    """Those up to the GHCB page are all by its MSR."""
    result = sev_guest.run(Run(elf(KERNELS[levels]), sev=sev, memory="64M", hostile=hostile))
    result.expect(machine.OK)
    cpuids, infos = requests(result, "CPUID .0x4."), requests(result, "SEV information")
    assert cpuids + infos <= most, (cpuids, infos)
    total = sum(int(count) for count in re.findall(
        r"^  (\d+) ", result.serial.partition("requests by the GHCB MSR:")[2], re.MULTILINE))
    assert total == cpuids + infos + msr, total


def _boots_on_vmm(state: str, levels: int) -> None:
    """From each state of vmd's, without asking what vmm does not answer: CPUID by the MSR, and by
    the page only the ports of what the kernel prints."""
    result = sev_guest.run(Run(
        elf(KERNELS[levels]), host="vmm", memory="64M",
        state=cases.ROOT / f"qemu/sevhost/states/{state}.state"))
    result.expect(machine.OK, "^result: ok$", "^loader: vmd$", "^sev: es$")
    _, _, told = result.serial.partition("requests by the GHCB page:\n")
    assert re.findall(r"^  \d+ (\w+)", told, re.MULTILINE) == ["IOIO", "CPUID"], told


def _boots_after_another(sev: str) -> None:
    """The GHCB MSR holds a firmware's GHCB: SEV_INFO is asked for, and a page of one's own
    opened."""
    result = sev_guest.run(Run(elf("demo"), sev=sev, host="firmware", memory="64M"))
    result.expect(machine.OK, "^result: ok$", f"^sev: {sev}$")
    assert requests(result, "SEV information") == 1


def _refuses_boot_services(c_bit_in_cr3: bool) -> None:
    """Of a firmware's CR3 nothing tells: edk2's has no C-bit, whose tables are private anyway."""
    kernel = Image(elf("demo-services"))
    entry = kernel.physical("prologue_boot_services")
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.multiboot2_efi64(Path(directory) / "state", entry)
        if not c_bit_in_cr3:
            state.write_text(re.sub(r"^(cr3 \w+)\|\$cbit$", r"\1", state.read_text(), flags=re.M))
        result = sev_guest.run(Run(kernel.path, sev="sev", state=state, memory="64M"))
    result.expect(machine.FATAL,
                  r"^prologue: fatal: entry: EFI is an SEV guest's, .* serve \(1, 0\)")


def _left_out(kernel: str, state: bool, sev: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = sev_states.pvh64(Path(directory) / "state") if state else None
        result = sev_guest.run(Run(elf(kernel), sev=sev, state=path, memory="64M"))
    if sev == "sev":
        assert result.outcome == machine.FATAL, result.outcome
    else:
        terminated(result, CODES["LEFT_OUT"])


def _is_known_again(sev: str) -> None:
    """Behind the way through 32-bit mode, an exception has its own code, and not that of who does
    not know yet what it is."""
    kernel = images.patch(elf("demo-every"), "kernel_main", b"\x0f\x0b")
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.pvh64(Path(directory) / "state")
        result = sev_guest.run(Run(kernel, sev=sev, memory="64M", state=state))
    terminated(result, exception(6))


def _must_be(wish: str, sev: str, hostile: str, code: str) -> None:
    """A kernel that must be an SEV guest of a kind, as another, or where that is hidden."""
    result = sev_guest.run(Run(elf(f"demo-{wish}"), sev=sev, memory="64M", hostile=hostile))
    if not code:
        result.expect(machine.OK, rf"^sev: {sev}$", "^result: ok$")
    elif sev in ES:
        terminated(result, CODES[code])
    else:
        assert result.outcome == machine.FATAL, result.outcome


CASES = [
    *(Case(f"sev: guest boots: {entry}, {levels} levels, {sev}, C-bit {c_bit}",
           lambda *a, e=entry, n=levels, s=sev, c=c_bit: _boots(e, n, s, c))
      for entry in MODES for levels in KERNELS for sev in ENCRYPTED for c_bit in C_BITS),
    *(Case(f"sev: guest boots with the lowest C-bit, {sev}",
           lambda s=sev: _boots("pvh", 5, s, 32)) for sev in ENCRYPTED),
    *(Case(f"sev: guest ends where memory begins at the C-bit, {sev}",
           lambda s=sev: _ends_beyond_the_c_bit(s)) for sev in ENCRYPTED),
    Case("sev: guest ends where a structure lies at the C-bit",
         _ends_at_a_structure_beyond_the_c_bit),
    *(Case(f"sev: guest boots with 2 MiB pages, {sev}",
           lambda s=sev: _boots("pvh", 4, s, 51, "max,phys-bits=52,-xsave,-pdpe1gb"))
      for sev in ENCRYPTED),
    Case("sev: guest exits: two CPUIDs, SEV-ES with four levels", lambda: _exits(4, "es", 2, 0)),
    Case("sev: guest exits: one more with five", lambda: _exits(5, "es", 3, 0)),
    *(Case(f"sev: guest of a kernel that wishes for no SEV, {kernel}, {sev}",
           lambda k=kernel, t=state, s=sev: _left_out(k, t, s))
      for kernel, state in (("demo-nosev", False), ("demo-nosev-every", True))
      for sev in ENCRYPTED),
    Case("sev: guest exits: no more where nothing is preset, and nobody is asked for SEV_INFO",
         lambda: _exits(4, "es", 2, 0, "sev-info-not-preset")),
    *(Case(f"sev: guest that was entered in 64-bit mode knows itself, {sev}",
           lambda s=sev: _is_known_again(s)) for sev in ES),
    *(Case(f"sev: guest of a kernel that must be one: {wish}, {sev}{hostile and ', hidden'}",
           lambda w=wish, s=sev, h=hostile, c=code: _must_be(w, s, h, c))
      for wish, sev, hostile, code in _MUST_BE),
    *(Case(f"sev: guest refuses a firmware whose boot services it cannot call, C-bit {where}",
           lambda c=c_bit: _refuses_boot_services(c))
      for where, c_bit in (("in CR3", True), ("nowhere in CR3", False))),
    *(Case(f"sev: guest boots on OpenBSD's vmm: {state}, {levels} levels",
           lambda t=state, n=levels: _boots_on_vmm(t, n))
      for state in _VMD_STATES for levels in KERNELS),
    *(Case(f"sev: guest boots after another has had a GHCB, {sev}",
           lambda s=sev: _boots_after_another(s)) for sev in ES),
    Case("sev: guest exits: none for CPUID with a CPUID page", lambda: _exits(4, "snp", 0, 3)),
]
