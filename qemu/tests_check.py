"""prologue-check: what it says of kernels that are wrong in each way that it knows, and of right
ones. It is the tool with sanitizers that is run here."""

import functools
import json
import random
import re
import subprocess
import xml.etree.ElementTree
from pathlib import Path
from typing import NamedTuple

import cases
import doc_pages
import iso
import machine
import tests_install
import tests_link
import wrong_kernels
from cases import Case
from elf_edit import Elf
from wrong_kernels import Wrong

_TOOL = cases.BUILD / "prologue-check-sanitized"
_PAGE = (cases.ROOT / "docs/prologue-check.md").read_text()
_SVG = "{http://www.w3.org/2000/svg}"
_KERNELS_MK = (cases.ROOT / "qemu/kernels/kernels.mk").read_text()
TAKEN, REFUSED, UNUSABLE = range(3)


class Said(NamedTuple):
    status: int
    output: str
    errors: str


def check(*words) -> Said:
    result = subprocess.run([str(word) for word in (_TOOL, *words)], capture_output=True,
                            text=True, timeout=60, check=False)
    return Said(result.returncode, result.stdout, result.stderr)


def asking(loaders) -> list:
    return [word for loader in loaders for word in ("--loader", loader)]


def report_on(kernel: Path, loaders=()) -> dict:
    """The report, and with it the status."""
    said = check("--json", *asking(loaders), kernel)
    assert said.status in (TAKEN, REFUSED) and not said.errors, said
    report = json.loads(said.output)
    assert report["taken"] == (said.status == TAKEN), said
    return report


def rules() -> dict:
    """All findings that there are, by their names."""
    return {rule["id"]: rule for rule in json.loads(check("--list", "--json").output)}


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
        for wrong in wrong_kernels.ALL:
            if wrong.rule == rule:
                _expect(wrong)
    return Case(f"check: {rule}", expect_all)


def _every_finding_has_a_wrong_kernel() -> None:
    tried = {wrong.rule for wrong in wrong_kernels.ALL}
    assert tried == set(rules()), tried ^ set(rules())


# ---- Right kernels ----

# Kernels of ours that are what a warning or a refusal is for.
_NOT_RIGHT = {"demo-low", "state-window"}


def _kernels_of_ours() -> list:
    names = re.search(r"^KERNEL_NAMES := ((?:.*\\\n)*.*)", _KERNELS_MK, re.MULTILINE)[1]
    return [name for name in names.replace("\\\n", " ").split() if name not in _NOT_RIGHT]


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
        if "multiboot1" in name:
            wanted = (wanted | wrong_kernels.MULTIBOOT1) - {"qemu-pvh"}
        assert taken == wanted, (name, taken)


def _right_links() -> None:
    """By the documents' script and ours, with both linkers, and without symbols."""
    for linker in ("ld.lld", "ld.bfd"):
        for script in (tests_link.own_script(), Path("prologue.ld")):
            for flags in ([], ["-u", "prologue_multiboot1"], ["-s"]):
                _is_right(tests_link.link(linker, script, tests_link._PIE_OBJECTS, *flags))
    _is_right(wrong_kernels.rich())


def _right_templates() -> None:
    for build in tests_install._BUILDS:
        if build.tool == "make":
            _is_right(tests_install.built(build))


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
                          (("/",), "cannot be read"), (("--svg", "/nowhere/x", kernel), "/nowhere")):
        said = check(*words)
        assert said.status == UNUSABLE and wanted in said.errors, (words, said)
        assert said.errors.startswith("prologue-check: "), said
    assert check("--help").status == TAKEN


# ---- What it says, and draws ----


def _fields(heading: str) -> list:
    """The fields that the page documents below such a line."""
    table = re.search(rf"^{heading}.*\n(?:.+\n)*\n\| field.*\n\|.*\n((?:\|.*\n)+)", _PAGE,
                      re.MULTILINE)[1]
    return [name for row in table.splitlines()
            for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def _json_is_as_documented() -> None:
    (wrong,) = (each for each in wrong_kernels.ALL if each.rule == "window-rights")
    report = report_on(wrong.image())
    assert list(report) == _fields("One object"), list(report)
    assert report["format"] == 1
    for name in ("loaders", "findings", "segments", "headers", "notes"):
        assert report[name], name
        for element in report[name]:
            assert list(element) == _fields(f"An element of `{name}`:"), element
    for rule in rules().values():
        assert list(rule) == ["id", "severity", "meaning", "mend"], rule


def _json_is_the_kernels() -> None:
    """Its numbers, as others read them."""
    kernel = wrong_kernels.rich()
    report, elf = report_on(kernel), Elf(kernel)
    for segment, (index, loaded) in zip(report["segments"], enumerate(elf.image.segments)):
        rights = "".join(letter if loaded.flags & bit else "-"
                         for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        assert segment == {
            "index": index, "virtual": hex(loaded.vaddr), "physical": hex(loaded.paddr),
            "bytes": hex(loaded.memsz), "file_offset": hex(loaded.offset),
            "file_bytes": hex(len(loaded.data)), "rights": rights}, segment
    notes = [(note["owner"].encode(), int(note["type"], 16), int(note["file_offset"], 16))
             for note in report["notes"]]
    assert notes == [(note.owner, note.kind, note.head) for note in elf.notes()], notes
    wishes = {note["wish"]: note["values"] for note in report["notes"]}
    assert wishes["WINDOW"] == ["0xffffe00000000000", "0xfee00000", "0x1000", "0x1"], wishes
    assert wishes["IDENTITY_MAP"] == ["0x100000000", "0x1000"], wishes
    headers = {header["kind"]: int(header["file_offset"], 16) for header in report["headers"]}
    assert headers == {"pvh": elf.note("Xen", 18).head,
                       "multiboot2": elf.place("prologue_multiboot2")}, headers
    entries = {loader["name"]: loader["entry"] for loader in report["loaders"]}
    assert entries["qemu-pvh"] == hex(elf.image.pvh_entry()), entries
    assert entries["grub-multiboot2"] == hex(elf.image.physical("prologue_start")), entries


def picture_of(kernel: Path) -> str:
    path = cases.scratch_directory() / "picture.svg"
    said = check("--svg", path, kernel)
    assert not said.errors, said
    return path.read_text()


def _picture_has_all() -> None:
    for kernel in (wrong_kernels.plain(), wrong_kernels.rich()):
        report, picture = report_on(kernel), picture_of(kernel)
        root = xml.etree.ElementTree.fromstring(picture)
        groups = {group.get("id"): " ".join(group.itertext()) for group in root.iter(f"{_SVG}g")}
        windows = [note for note in report["notes"] if note["wish"] == "WINDOW"]
        wanted = {f"segment-{segment['index']}" for segment in report["segments"]}
        assert set(groups) == wanted | {f"window-{i}" for i, _ in enumerate(windows)}, groups
        for segment in report["segments"]:
            text = groups[f"segment-{segment['index']}"]
            for field in ("virtual", "physical", "bytes", "rights"):
                assert segment[field] in text, (field, text)
        for index, window in enumerate(windows):
            assert all(value in groups[f"window-{index}"] for value in window["values"][:3])
        _lies_within(root)


def _lies_within(root) -> None:
    width, height = (int(number) for number in root.get("viewBox").split()[2:])
    for shape in root.iter(f"{_SVG}rect"):
        assert int(shape.get("x")) + int(shape.get("width")) <= width, shape.attrib
        assert int(shape.get("y")) + int(shape.get("height")) <= height, shape.attrib


def _picture_of_what_is_wrong() -> None:
    """Whatever the numbers are, it is a picture still."""
    for wrong in wrong_kernels.ALL:
        if wrong.rule in ("segment-wraps", "no-segments", "elf-class", "above-4g"):
            xml.etree.ElementTree.fromstring(picture_of(wrong.image()))


def _numberless(picture: str) -> str:
    """Sizes of the library, the compiler and so on are no part of what is drawn."""
    return re.sub(r"\b(0x[0-9a-f]+|\d+)\b", "N", picture)


def _picture_of_the_page() -> None:
    (build,) = (build for build in tests_install._BUILDS
                if (build.template, build.tool, build.settings) == ("higher-half", "make", ()))
    drawn = picture_of(tests_install.built(build))
    committed = (cases.ROOT / "docs/prologue-check.svg").read_text()
    assert _numberless(drawn) == _numberless(committed), "draw docs/prologue-check.svg again"


def _page_lists_all_findings() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)`( \(warning\))? \| (.*) \| (.*) \|$",
                      _PAGE[_PAGE.index("## Findings"):], re.MULTILINE)
    listed = [(rule["id"], " (warning)" if rule["severity"] == "warning" else "",
               rule["meaning"], rule["mend"]) for rule in rules().values()]
    for row, wanted in zip(rows, listed):
        assert row == wanted, (row, wanted)
    assert len(rows) == len(listed)


def _page_lists_all_loaders() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\S+)", doc_pages.section(
        "docs/prologue-check.md", "## Loaders"), re.MULTILINE)
    names = {"PVH": "pvh", "Multiboot": "multiboot", "none": "none"}
    wanted = [(loader["name"], loader["contract"].rstrip("12"))
              for loader in report_on(wrong_kernels.plain())["loaders"]]
    assert [(name, names[contract]) for name, contract in rows] == wanted, rows


def _page_shows_what_it_says() -> None:
    """The example, but for its numbers; and the usage."""
    (wrong,) = (each for each in wrong_kernels.ALL if each.rule == "image-end-unpadded")
    said = check(wrong.image()).output.partition(": ")[2]
    shown = _PAGE.partition("$ prologue-check kernel.elf\n")[2].partition("\n| option")[0]
    shown = re.sub(r"^    ", "", shown, flags=re.MULTILINE).partition(": ")[2]
    assert _numberless(said).strip() == _numberless(shown).strip(), said
    usage = check("--help").output
    for line in doc_pages.lines(_PAGE)[:2]:
        assert line in usage, line
    documented = set(re.findall(r"^\| `(--\w+)", _PAGE, re.MULTILINE))
    assert documented == set(re.findall(r"--\w+", usage)) | {"--help"}, documented


# ---- What loaders really do ----


class Boot(NamedTuple):
    """How a loader, or Prologue behind it, ends with the first kernel that is wrong so."""

    rule: str
    loader: str
    says: str


_BOOTS = [
    Boot("elf-type", "grub-multiboot2", "this ELF file is not of the right type"),
    Boot("relocation-sections", "grub-multiboot2", "ELF files with relocs are not supported"),
    Boot("image-end-unpadded", "grub-multiboot2", "lies on the kernel image"),
    Boot("multiboot2-too-far", "grub-multiboot2", "no multiboot header found"),
    Boot("headers-not-loaded", "qemu-pvh", "the ELF header at 100000 is not that of this kernel"),
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
        result = iso.run_iso(iso.grub_iso(kernel, protocol))
    assert result.outcome != machine.OK, result
    assert boot.says in result.serial + result.errors, result


CASES = [
    *(Case(f"check: {boot.rule} is what {boot.loader} fails at",
           functools.partial(_fails_so, boot)) for boot in _BOOTS),
    *(_case(rule) for rule in dict.fromkeys(wrong.rule for wrong in wrong_kernels.ALL)),
    Case("check: every finding has a wrong kernel", _every_finding_has_a_wrong_kernel),
    Case("check: right kernels of ours", _right_kernels),
    Case("check: right links", _right_links),
    Case("check: right templates", _right_templates),
    Case("check: kernels that were cut off", _cut_kernels),
    Case("check: files that are no kernels", _garbage),
    Case("check: kernels with bytes changed", _changed_bytes),
    Case("check: words that it does not know", _misuse),
    Case("check: the JSON has the documented fields", _json_is_as_documented),
    Case("check: the JSON has the kernel's numbers", _json_is_the_kernels),
    Case("check: the picture has every segment and window", _picture_has_all),
    Case("check: pictures of wrong kernels", _picture_of_what_is_wrong),
    Case("docs: the picture of a template is what prologue-check draws", _picture_of_the_page),
    Case("docs: prologue-check's findings", _page_lists_all_findings),
    Case("docs: prologue-check's loaders", _page_lists_all_loaders),
    Case("docs: prologue-check's words and options", _page_shows_what_it_says),
]
