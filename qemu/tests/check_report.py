"""What prologue-check says, as text and as JSON, and what it draws, beside what its page says of
that."""

import re
import xml.etree.ElementTree
from pathlib import Path

import cases
import doc_pages
import staging
import wrong_kernels
import wrong_pe
from cases import Case
from elf_edit import Elf
from pe_file import EXECUTE, WRITE, headers_of
from prologue_check import check, report_on, rules

_PAGE = (cases.ROOT / "docs/prologue-check.md").read_text()
_SVG = "{http://www.w3.org/2000/svg}"


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
    sections = report_on(wrong_pe.right())["sections"]
    assert sections and report["sections"] == [], report["sections"]
    for section in sections:
        assert list(section) == _fields("An element of `sections`:"), section
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


def _picture_has_all_sections() -> None:
    """Of a PE image: as its headers say, by a reader of our own."""
    headers = headers_of(wrong_pe.right().read_bytes())
    root = xml.etree.ElementTree.fromstring(picture_of(wrong_pe.right()))
    groups = [" ".join(group.itertext()) for group in root.iter(f"{_SVG}g")]
    assert len(groups) == 1 + len(headers.sections), groups
    assert "headers" in groups[0] and hex(headers.headers_bytes) in groups[0], groups[0]
    for (name, section), text in zip(headers.sections.items(), groups[1:]):
        rights = "r" + ("w" if section.rights & WRITE else "-") + (
            "x" if section.rights & EXECUTE else "-")
        assert f"{name} {rights}" in text and hex(section.address) in text, (name, text)
        assert section.size == 0 or hex(section.place) in text, (name, text)
    _lies_within(root)
    for wrong in wrong_pe.ALL:
        xml.etree.ElementTree.fromstring(picture_of(wrong.image()))


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
    (build,) = (build for build in staging.BUILDS
                if (build.template, build.tool, build.settings) == ("higher-half", "make", ()))
    drawn = picture_of(staging.built(build))
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
    names = {"PVH": "pvh", "Multiboot": "multiboot", "[OpenBSD's](loaders/openbsd-vmd.md)": "vmd",
             "[FreeBSD's](loaders/freebsd-bhyve.md)": "freebsd", "[UEFI](loaders/uefi.md)": "efi",
             "[IGVM](loaders/igvm.md)": "igvm", "[kexec's](loaders/kexec.md)": "kexec"}
    wanted = [(loader["name"], loader["contract"].rstrip("12"))
              for loader in report_on(wrong_kernels.plain())["loaders"]]
    assert [(name, names[contract]) for name, contract in rows] == wanted, rows


def _page_shows_what_it_says() -> None:
    """The example, but for its numbers; and the usage."""
    (wrong,) = (each for each in wrong_kernels.ALL if each.rule == "multiboot2-too-far")
    said = check(wrong.image()).output.partition(": ")[2]
    shown = _PAGE.partition("$ prologue-check kernel.elf\n")[2].partition("\n| option")[0]
    shown = re.sub(r"^    ", "", shown, flags=re.MULTILINE).partition(": ")[2]
    assert _numberless(said).strip() == _numberless(shown).strip(), said
    usage = check("--help").output
    for line in doc_pages.lines(_PAGE)[:2]:
        assert line in usage, line
    documented = set(re.findall(r"^\| `(--\w+)", _PAGE, re.MULTILINE))
    assert documented == set(re.findall(r"--\w+", usage)) | {"--help"}, documented


CASES = [
    Case("check: the JSON has the documented fields", _json_is_as_documented),
    Case("check: the JSON has the kernel's numbers", _json_is_the_kernels),
    Case("check: the picture has every segment and window", _picture_has_all),
    Case("check: the picture has every section of a PE image", _picture_has_all_sections),
    Case("check: pictures of wrong kernels", _picture_of_what_is_wrong),
    Case("docs: the picture of a template is what prologue-check draws", _picture_of_the_page),
    Case("docs: prologue-check's findings", _page_lists_all_findings),
    Case("docs: prologue-check's loaders", _page_lists_all_loaders),
    Case("docs: prologue-check's words and options", _page_shows_what_it_says),
]
