"""The kit for a machine with SEV: what it would run is what docs/sev.md says, and without the
hardware it says what is missing."""

import os
import re
import shutil
import subprocess

import cases
import machine
import sev_guest
from cases import Case
from sev_guest import Run

_SCRIPT = "try-on-hardware.sh"
_SOURCES = cases.ROOT / "qemu/hardware"
_PAGE = (cases.ROOT / "docs/sev.md").read_text()


def _run(*ways: str, **settings: str):
    """In a copy of the kit without its images, on a path without an OpenBSD."""
    kit = cases.scratch_directory() / "kit"
    shutil.copytree(_SOURCES, kit)
    environment = {"PATH": os.environ["PATH"], **settings}
    result = subprocess.run(["sh", kit / _SCRIPT, *ways], env=environment, text=True, check=False,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=60)
    return kit, result


def _commands_are_the_docs() -> None:
    kit, result = _run(DRY_RUN="1")
    assert result.returncode == 0, result.stdout
    section = _PAGE[_PAGE.index("## On hardware"):_PAGE.index("## What the model cannot show")]
    printed = [line for line in result.stdout.splitlines() if line]
    told = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    assert told == [f"sh {_SCRIPT}", *printed]
    assert not (kit / "report").exists(), "it ran something"
    ways = re.findall(r"^== (\S+)$", result.stdout, re.MULTILINE)
    table = re.findall(r"`([\w-]+)`", "".join(re.findall(r"^(\| `[^|]+\|)", section, re.MULTILINE)))
    assert ways == table, (ways, table)


def _says_what_is_missing() -> None:
    kit, result = _run("vmd-es", "stage0-snp", STAGE0="/nowhere/stage0.bin", QEMU="no-such-qemu")
    assert result.returncode == 2, result.stdout
    for missing in ("vmctl", "no-such-qemu", "oak's stage0"):
        assert f"missing: {missing}" in result.stdout, result.stdout
    report = (kit / "report/report.txt").read_text()
    assert report.splitlines() == result.stdout.splitlines(), "the report lacks something"


def _refuses_an_unknown_way() -> None:
    _, result = _run("pvh")
    assert result.returncode == 1 and "no way pvh" in result.stdout, result.stdout


def _tries_and_reports() -> None:
    """With a QEMU of the test's own, and a machine that has all: what is said of a guest that ran,
    one that ended itself, and one that said nothing."""
    kit = cases.scratch_directory() / "kit"
    shutil.copytree(_SOURCES, kit)
    text = (kit / _SCRIPT).read_text()
    assert "missing_for() {" in text
    text = text.replace("missing_for() {", "missing_for() {\n    return", 1)
    (kit / _SCRIPT).write_text(text)
    qemu = kit / "qemu"
    qemu.write_text("#!/bin/sh\ncase \"$*\" in\n"
                    "*grub-es*) printf 'sev: es\\r\\nresult: ok\\r\\n' >report/grub-es.serial ;;\n"
                    "*grub-sev*) echo 'prologue: fatal: no' >report/grub-sev.serial ;;\n"
                    "*grub-snp*) sleep 60 ;;\nesac\n")
    qemu.chmod(0o755)
    result = subprocess.run(["sh", kit / _SCRIPT, "grub-es", "grub-sev", "grub-snp"],
                            env={"PATH": os.environ["PATH"], "QEMU": str(qemu),
                                 "SECONDS_EACH": "2"},
                            text=True, check=False, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    verdicts = re.findall(r"^verdict: (\w+: .*)$", result.stdout, re.MULTILINE)
    assert [verdict.split(":")[0] for verdict in verdicts] == ["ok", "ended", "nothing"], verdicts
    assert "sev: es" in verdicts[0] and "prologue: fatal: no" in verdicts[1], verdicts
    assert result.returncode == 0 and (kit / "report.tar.gz").exists(), result.stdout


def _igvm_file_starts() -> None:
    """As it is launched, by the SEV host's reader. What UEFI finds on the disk is the bzImage."""
    subprocess.run(["make", "-s", "hardware-kit", f"BUILD={cases.BUILD}"], cwd=cases.ROOT,
                   check=True, stdout=subprocess.DEVNULL)
    kit = cases.BUILD / "hardware-kit"
    assert (kit / "esp/EFI/BOOT/BOOTX64.EFI").read_bytes() == (kit / "demo.bzImage").read_bytes()
    for sev in ("es", "snp"):
        result = sev_guest.run(Run(kit / "demo.igvm", sev=sev, memory="128M"))
        result.expect(machine.OK, "^loader: igvm$", f"^sev: {sev}$", "^cmdline: hardware$",
                      "^result: ok$")


CASES = [
    Case("sev hardware: the kit's IGVM file starts as SEV-ES and as SNP", _igvm_file_starts),
    Case("sev hardware: what the kit would run is what the docs say", _commands_are_the_docs),
    Case("sev hardware: the kit says what is missing, and reports it", _says_what_is_missing),
    Case("sev hardware: the kit refuses a way that there is not", _refuses_an_unknown_way),
    Case("sev hardware: the kit tries, waits no longer than it should, and reports",
         _tries_and_reports),
]
