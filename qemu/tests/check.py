"""prologue-check on kernels that are wrong in each way that it knows, on right ones, and on what is
no kernel; and that loaders do as it says."""

import functools
import json
import random
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import cases
import iso
import linking
import machine
import staging
import wrong_kernels
import wrong_pe
from cases import Case
from elf_edit import Elf
from prologue_check import REFUSED, TAKEN, UNUSABLE, Said, asking, check, report_on, rules
from tests.uefi import signed
from wrong_kernels import Wrong


_WRONG = [*wrong_kernels.ALL, *wrong_pe.ALL]


# ---- Wrong kernels ----


def _expect(wrong: Wrong) -> None:
    kernel = wrong.image()
    report = report_on(kernel, wrong.asked)
    found = {finding["id"] for finding in report["findings"]}
    assert found == {wrong.rule, *wrong.also}, sorted(found)
    findings = [finding for finding in report["findings"] if finding["id"] == wrong.rule]
    assert {name for finding in findings for name in finding["loaders"]} == wrong.loaders, findings
    assert all(finding["severity"] == wrong.severity for finding in findings), findings
    assert all(finding["mend"] == rules()[wrong.rule]["mend"] for finding in findings), findings

    refused_by = {loader for finding in report["findings"] if finding["severity"] == "error"
                  for loader in finding["loaders"]}
    assert refused_by >= (wrong.loaders if wrong.severity == "error" else set())
    for loader in report["loaders"]:
        wanted = loader["name"] not in refused_by if loader["asked"] else None
        assert loader["taken"] is wanted, loader
        if loader["asked"]:
            status = check("--loader", loader["name"], kernel).status
            assert status == (TAKEN if wanted else REFUSED), (loader, status)
    assert f"\n{wrong.severity}: {wrong.rule} (" in check(*asking(wrong.asked), kernel).output


def _case(rule: str) -> Case:
    def expect_all() -> None:
        for wrong in _WRONG:
            if wrong.rule == rule:
                _expect(wrong)
    return Case(f"check: {rule}", expect_all)


def _every_finding_has_a_wrong_kernel() -> None:
    tried = {wrong.rule for wrong in _WRONG}
    assert tried == set(rules()), tried ^ set(rules())


# ---- Right kernels ----

# Kernels of ours that are what a warning or a refusal is for.
_NOT_RIGHT = {"demo-low", "state-window"}


def _all_kernels_of_ours() -> list:
    return subprocess.run(["make", "-s", "kernel-names"], cwd=cases.ROOT, stdout=subprocess.PIPE,
                          text=True, check=True).stdout.split()


def _kernels_of_ours() -> list:
    return [name for name in _all_kernels_of_ours()
            if name not in _NOT_RIGHT and not name.startswith("sums-random")]


def _kernels_with_relocations() -> None:
    """Those that go to a random place: GRUB alone refuses them, by Multiboot 2."""
    names = [name for name in _all_kernels_of_ours() if name.startswith("sums-random")]
    assert names
    for name in names:
        findings = report_on(cases.BUILD / f"{name}.elf")["findings"]
        assert [finding["id"] for finding in findings] == ["relocation-sections"], (name, findings)
        assert set(findings[0]["loaders"]) == wrong_kernels.GRUB2, (name, findings)


def _is_right(kernel: Path) -> dict:
    report = report_on(kernel)
    assert report["taken"] and not report["findings"], (kernel, report["findings"])
    return report


def _right_kernels() -> None:
    names = _kernels_of_ours()
    assert len(names) > 15, names
    for name in names:
        report = _is_right(cases.BUILD / f"{name}.elf")
        taken = {loader["name"] for loader in report["loaders"] if loader["taken"]}
        wanted = wrong_kernels.EVERY
        if "multiboot1" in name or "every" in name:
            wanted = (wanted | wrong_kernels.MULTIBOOT1) - {"qemu-pvh"}
        if "every" in name:
            wanted |= {"openbsd-vmd", "freebsd-userboot", "igvm"}
        if "every" in name or "low_memory" in name:
            wanted |= {"efi"}
        assert taken == wanted, (name, taken)


def _right_links() -> None:
    """By the documents' script and ours, with both linkers, and without symbols."""
    for linker in (linking.LLD, linking.GNU):
        for script in (linking.own_script(), Path("prologue.ld")):
            for flags in ([], ["-u", "prologue_multiboot1"], ["-s"]):
                _is_right(linking.link(linker, script, linking.PIE_OBJECTS, *flags))
    _is_right(wrong_kernels.rich())


def _right_templates() -> None:
    for build in staging.BUILDS:
        if build.tool == "make":
            _is_right(staging.built(build))


def _right_pe_images() -> None:
    """Whatever kernel they are of; signed, too."""
    images = sorted(cases.BUILD.glob("*.bzImage"))
    assert len(images) > 8, images
    for image in [*images, cases.scratch_file(signed(wrong_pe.right()), "signed.efi")]:
        taken = [loader for loader in _is_right(image)["loaders"] if loader["taken"]]
        assert [loader["name"] for loader in taken] == ["efi"], (image, taken)
        assert int(taken[0]["entry"], 16) % 0x1000 == 0x200, taken


# ---- Files that are no kernels ----


def _survives(contents: bytes) -> Said:
    """Whatever it is: a report, or a line that names the file."""
    path = cases.scratch_file(contents, "kernel")
    said = check("--json", path)
    if said.status == UNUSABLE:
        line = rf"prologue-check: {re.escape(str(path))}: [^\n]+\n"
        assert re.fullmatch(line, said.errors), said
    else:
        assert said.status in (TAKEN, REFUSED) and not said.errors, said
        json.loads(said.output)
    path.unlink()
    return said


def _cut_kernels() -> None:
    """Nothing behind the cut is needed to see that it was cut."""
    contents = wrong_kernels.both().read_bytes()
    for length in sorted({*range(0, 1024, 31), *range(1024, len(contents), 4099),
                          len(contents) - 1}):
        said = _survives(contents[:length])
        if length < 64:
            assert said.status == UNUSABLE, (length, said)
            continue
        assert said.status == REFUSED, (length, said)
        found = {finding["id"] for finding in json.loads(said.output)["findings"]}
        assert found & {"program-headers-broken", "segment-outside-file",
                        "sections-outside-file"}, (length, found)


def _cut_pe_images() -> None:
    """At each byte, through all headers, in the host test `PeFileTest.*`; the tool at some."""
    contents = wrong_pe.right().read_bytes()
    for length in [*range(2, 0x600, 19), *range(0x600, len(contents), 1021), len(contents) - 1]:
        said = _survives(contents[:length])
        assert said.status == REFUSED, (length, said)
        found = [finding["id"] for finding in json.loads(said.output)["findings"]]
        assert "pe-cut" in found, (length, found)


def _changed_pe_images() -> None:
    random_ = random.Random(3)
    contents = wrong_pe.right().read_bytes()
    stub = wrong_pe.Pe(wrong_pe.right()).section_field(".text", 20)
    for _ in range(150):
        changed = bytearray(contents)
        for _ in range(random_.randrange(1, 5)):
            at = random_.choice((random_.randrange(0x40), random_.randrange(0x40, 0x1F0),
                                 stub + random_.randrange(72)))
            value = random_.choice((bytes(4), b"\xff" * 4, b"\xff", random_.randbytes(2)))
            changed[at:at + len(value)] = value
        _survives(bytes(changed))


def _garbage() -> None:
    for contents in (b"", b"\x7fELF", b"#!/bin/sh\n", b"!<arch>\n", bytes(4096)):
        assert _survives(contents).status == UNUSABLE, contents
    random_ = random.Random(1)
    for _ in range(50):
        _survives(b"\x7fELF\x02\x01\x01" + random_.randbytes(random_.randrange(4096)))


def _changed_bytes() -> None:
    """Headers, notes and section headers with numbers in them that nobody would write."""
    random_ = random.Random(2)
    contents = wrong_kernels.rich().read_bytes()
    elf = Elf(wrong_kernels.rich())
    places = [(0, 64), (64, elf.header("e_phnum") * 56), (elf.place("prologue_multiboot2"), 56),
              (elf.notes()[0].head, 300), (elf.header("e_shoff"), elf.header("e_shnum") * 64)]
    for _ in range(300):
        changed = bytearray(contents)
        for _ in range(random_.randrange(1, 6)):
            start, count = random_.choice(places)
            at = start + random_.randrange(count)
            value = random_.choice((bytes(8), b"\xff" * 8, b"\x80", b"\xff" * 4, b"\0" * 4,
                                    random_.randbytes(1)))
            changed[at:at + len(value)] = value
        _survives(bytes(changed[:len(contents)]))


def _misuse() -> None:
    kernel = wrong_kernels.plain()
    for words, wanted in (((), "which kernel?"), (("--loader", "lilo", kernel), "lilo"),
                          (("--wrong", kernel), "--wrong"), ((kernel, kernel), "state-wishless"),
                          (("--loader",), "needs a value"), (("/nowhere/kernel",), "No such file"),
                          (("/",), "cannot be read"),
                          (("--svg", "/nowhere/x", kernel), "/nowhere/x: ")):
        said = check(*words)
        assert said.status == UNUSABLE and wanted in said.errors, (words, said)
        assert said.errors.startswith("prologue-check: "), said
    assert check("--help").status == TAKEN


# ---- What loaders really do ----


class Boot(NamedTuple):
    """How a loader, or Prologue behind it, ends with the first kernel that is wrong so."""

    rule: str
    loader: str
    says: str
    loops_from: tuple = ()  # the version of GRUB's that says nothing any more, and loops


_BOOTS = [
    Boot("elf-type", "grub-multiboot2", "this ELF file is not of the right type"),
    Boot("relocation-sections", "grub-multiboot2", "ELF files with relocs are not supported",
         loops_from=(2, 12)),
    Boot("multiboot2-too-far", "grub-multiboot2", "no multiboot header found"),
    Boot("headers-not-loaded", "qemu-pvh", "is not that of this kernel"),
    Boot("image-in-direct-map", "qemu-pvh", "in the direct map"),
    Boot("low-memory-of-firmware", "qemu-pvh", ""),
    Boot("part-missing", "qemu-pvh", "prologue: fatal: "),
    Boot("pvh-note-alignment", "qemu-pvh", "without PVH ELF Note"),
    Boot("pvh-note-behind-other", "qemu-pvh", ""),
    Boot("pvh-note-no-segment", "qemu-pvh", "without PVH ELF Note"),
    Boot("multiboot1-no-addresses", "qemu-multiboot1", "give a 32bit one"),
    Boot("multiboot1-flags", "grub-multiboot1", "unsupported flag"),
    Boot("window-overlap", "qemu-pvh", "a window lies where something is mapped"),
]


def _fails_so(boot: Boot) -> None:
    wrong = next(each for each in wrong_kernels.ALL
                 if each.rule == boot.rule and boot.loader in each.loaders)
    kernel = wrong.image()
    if boot.loader.startswith("qemu"):
        result = machine.run(machine.Boot(kernel=kernel, timeout=5))
    else:
        protocol = "multiboot" if boot.loader == "grub-multiboot1" else "multiboot2"
        result = iso.run_iso(iso.grub_iso(kernel, protocol), timeout=8)
    if boot.loops_from and iso.grub_version() >= boot.loops_from:
        assert result.outcome == machine.HANG, result
        return
    assert result.outcome != machine.OK, result
    assert boot.says in result.serial + result.errors, result


CASES = [
    *(Case(f"check: {boot.rule} is what {boot.loader} fails at",
           functools.partial(_fails_so, boot)) for boot in _BOOTS),
    *(_case(rule) for rule in dict.fromkeys(wrong.rule for wrong in _WRONG)),
    Case("check: every finding has a wrong kernel", _every_finding_has_a_wrong_kernel),
    Case("check: right kernels of ours", _right_kernels),
    Case("check: kernels of ours with relocations", _kernels_with_relocations),
    Case("check: right links", _right_links),
    Case("check: right templates", _right_templates),
    Case("check: kernels that were cut off", _cut_kernels),
    Case("check: PE images of ours", _right_pe_images),
    Case("check: PE images that were cut off", _cut_pe_images),
    Case("check: PE images with bytes changed", _changed_pe_images),
    Case("check: files that are no kernels", _garbage),
    Case("check: kernels with bytes changed", _changed_bytes),
    Case("check: words that it does not know", _misuse),
]
