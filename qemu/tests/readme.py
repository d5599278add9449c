"""What the README says a newcomer should type, typed."""

import importlib
import re
import subprocess

import cases
import doc_pages
import machine
from cases import Case
from tests.payload import INITRAMFS, LINUX, expect_user_space

_SECTION = doc_pages.section("README.md", "## A kernel in twenty lines")


def twenty_lines_boot() -> None:
    """The kernel, its two commands and QEMU's, as they stand there."""
    here = cases.scratch_directory()
    for name, target in (("boot", cases.ROOT / "boot"), ("linker", cases.ROOT / "linker"),
                         ("build", cases.BUILD)):
        (here / name).symlink_to(target)
    (source,) = (block.text for block in doc_pages.blocks(_SECTION) if block.language == "c")
    assert len(source.strip().split("\n")) <= 21, "more than twenty lines"
    (here / "hello.c").write_text(source)
    compile_it, link_it, boot_it = doc_pages.commands(_SECTION)
    for command in (compile_it, link_it):
        result = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
    said = doc_pages.spoken(boot_it, here, "hello, kernel")
    assert "pvh: hello, kernel" in said, (boot_it, said)


def another_kernel_boots() -> None:
    """Debian's Linux to user space: as a module, and packed."""
    here = cases.scratch_directory()
    for name, target in (("build", cases.BUILD), ("linker", cases.ROOT / "linker"),
                         ("vmlinuz", LINUX), ("initrd.img", INITRAMFS)):
        assert target.exists(), f"{target} is not there: make debian-guests"
        (here / name).symlink_to(target)
    boot_it, pack_it = doc_pages.commands(
        doc_pages.section("README.md", "## Boot a kernel that was not built for this"))
    assert "init: user space" in doc_pages.spoken(boot_it, here, "init: user space"), boot_it
    result = subprocess.run(pack_it, cwd=here, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    packed = machine.Boot(kernel=here / "packed.elf", memory="256M", timeout=60)
    expect_user_space(machine.run(packed).serial)


def fatal_lines_are_explained() -> None:
    source = "".join((cases.ROOT / "boot" / name).read_text()
                     for name in ("errors.h", "payload/refusals.h"))
    sentences = re.findall(r'X\(\w+,\s*"([^"]*)"\)', source)
    report = (cases.ROOT / "docs" / "report.md").read_text()
    missing = [sentence for sentence in sentences if sentence not in report]
    assert len(sentences) > 30 and not missing, missing


def loaders_are_named_with_versions() -> None:
    """What is run has a version; the groups of both tables have tests, and who plays is said."""
    run, played = re.findall(r"^\| loader \|.*\n\|[-|]+\n((?:\|.*\n)+)",
                             doc_pages.section("README.md", "## What is supported"), re.MULTILINE)
    names = [case.name for folder in ("tests", "tests.sev") for path in sorted(
        cases.ROOT.joinpath("qemu", *folder.split(".")).glob("[!_]*.py"))
        for case in importlib.import_module(f"{folder}.{path.stem}").CASES]
    for table in (run, played):
        for row in table.splitlines():
            loader, *_, tests = (cell.strip() for cell in row.strip("|").split("|"))
            groups = re.findall(r"`([\w ]+:)`", tests)
            assert groups, row
            for group in groups:
                assert any(name.startswith(group) for name in names), (row, group)
            for program in re.split(r"; (?![^`]*`)", loader) if table is run else ():
                assert re.search(r"\d\.\d", program), f"no version: {program}"


CASES = [
    Case("readme: what is run is named with its version, and has tests",
         loaders_are_named_with_versions),
    Case("readme: every fatal line is explained in docs/report.md", fatal_lines_are_explained),
    Case("readme: a kernel that was not built for this boots", another_kernel_boots),
    Case("readme: the kernel in twenty lines boots", twenty_lines_boot),
]
