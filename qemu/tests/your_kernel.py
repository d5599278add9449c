"""docs/your-kernel.md, followed to the letter by one who has what was installed, and no more."""

import functools
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import List

import cases
import doc_pages
import iso
import machine
import staging
from cases import Case
from machine import Boot

_PAGE = "docs/your-kernel.md"
_WITH = {"gcc": (), "clang": ("CC=clang --target=x86_64-none-elf", "LD=ld.lld")}
_SAYS = ("command line: a b=c", "kernel: ready")


def new_user(prefix: Path) -> dict:
    """The environment that the page asks for."""
    return {"PATH": f"{prefix}/bin:{os.environ['PATH']}", "CMAKE_PREFIX_PATH": str(prefix),
            "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}


def type_in(lines: List[str], here: Path, settings: tuple = (), installed: bool = True) -> None:
    """Lines for a shell; `make` gets the settings that the page offers."""
    environment = {**os.environ, **(new_user(staging.staged()) if installed else {})}
    for name in ("MAKEFLAGS", "MAKELEVEL", "CC", "LD"):
        environment.pop(name, None)
    for line in lines:
        if line.split()[0] == "make":
            line = shlex.join(["make", *line.split()[1:], *settings])
        result = subprocess.run(["sh", "-ec", line], cwd=here, env=environment, text=True,
                                capture_output=True, timeout=120)
        assert result.returncode == 0, f"{line}: {result.stdout}{result.stderr}"
        assert "warning" not in result.stderr, result.stderr


def says(line: str, here: Path) -> None:
    text = doc_pages.spoken(shlex.split(line), here, _SAYS[-1])
    assert all(words in text for words in _SAYS), (line, text)


def write(here: Path, section: str) -> None:
    """The section's files, each block by the language that it is in."""
    names = {"c": "kernel.c", "make": "Makefile"}
    cmake = iter(("CMakeLists.txt", "gcc.cmake"))
    for language, text in doc_pages.blocks(section):
        if language == "text":
            continue  # a line of a file
        (here / (next(cmake) if language == "cmake" else names[language])).write_text(text)


def from_nothing(compiler: str) -> None:
    section = doc_pages.section(_PAGE, "## From nothing")
    here = cases.scratch_directory()
    write(here, section)
    assert len((here / "kernel.c").read_text().rstrip("\n").split("\n")) <= 20
    make, check, boot, configure, build, *to_iso, boot_iso = doc_pages.lines(section)
    type_in([make, check], here, _WITH[compiler])
    says(boot, here)
    type_in(to_iso, here)
    says(boot_iso, here)
    if compiler == "gcc":
        type_in([configure, build], here)
        says(boot.replace("kernel.elf", "build/kernel.elf"), here)


def all_its_processors(compiler: str) -> None:
    """The kernel from nothing, and ten lines."""
    section = doc_pages.section(_PAGE, "## All its processors")
    here = cases.scratch_directory()
    write(here, doc_pages.section(_PAGE, "## From nothing"))
    [(language, text)] = doc_pages.blocks(section)
    added = [line for line in text.split("\n")
             if line.startswith("+") and not line.startswith("+++") and line != "+"]
    assert language == "diff" and len(added) == 10, added
    result = subprocess.run(["patch", "-p0"], cwd=here, input=text, text=True, capture_output=True,
                            timeout=20)
    assert result.returncode == 0, result.stdout
    make, boot = doc_pages.lines(section)
    type_in([make], here, _WITH[compiler])
    said = doc_pages.spoken(shlex.split(boot), here, _SAYS[-1])
    assert all(words in said for words in (*_SAYS, "processors: four")), said


def as_part_of_a_build(tool: str) -> None:
    """By CMake and Meson, which find the checkout where they would have put it."""
    nothing = doc_pages.section(_PAGE, "## From nothing")
    blocks = {language: text for language, text in reversed(doc_pages.blocks(nothing))}
    more = dict(doc_pages.blocks(doc_pages.section(_PAGE, "## As part of your build")))
    here = cases.scratch_directory()
    (here / "kernel.c").write_text(blocks["c"])
    if tool == "CMake":
        toolchain = [text for language, text in doc_pages.blocks(nothing) if language == "cmake"][1]
        (here / "gcc.cmake").write_text(toolchain)
        (here / "CMakeLists.txt").write_text(more["cmake"])
        type_in([f"cmake -B build -DCMAKE_TOOLCHAIN_FILE=gcc.cmake -DPROLOGUE_BUILD={cases.BUILD} "
                 f"-DFETCHCONTENT_SOURCE_DIR_PROLOGUE={cases.ROOT}", "cmake --build build"], here,
                installed=False)
    else:
        (here / "subprojects").mkdir()
        (here / "subprojects/prologue.wrap").write_text(more["ini"])
        (here / "subprojects/prologue").symlink_to(cases.ROOT)
        (here / "meson.build").write_text(more["meson"])
        setup, build = doc_pages.lines(doc_pages.section(_PAGE, "## As part of your build"))
        type_in([f"{setup} -Dprologue:build={cases.BUILD}", build], here, installed=False)
        meson = staging.run("meson", "introspect", "--projectinfo", "build", cwd=here)
        version = (cases.ROOT / "VERSION").read_text().strip()
        assert [part["version"] for part in json.loads(meson)["subprojects"]] == [version], meson
    says("qemu-system-x86_64 -display none -serial stdio -kernel build/kernel.elf -append 'a b=c'",
         here)


def from_a_boot_stub(compiler: str) -> None:
    here = cases.scratch_directory() / "kernel"
    shutil.copytree(staging.staged() / "share/prologue/templates/multiboot-stub", here)
    settings = _WITH[compiler]
    section = doc_pages.section(_PAGE, "## From a boot stub")
    (delete, make, check, boot, make_iso, boot_iso) = doc_pages.lines(section)
    assert delete == "rm boot.S"
    before(here, settings)

    type_in([delete], here)
    for language, text in doc_pages.blocks(section):
        assert language == "diff", language
        result = subprocess.run(["patch", "-p0"], cwd=here, input=text, text=True,
                                capture_output=True, timeout=20)
        assert result.returncode == 0, result.stdout
    type_in([make, check], here, settings)
    says(boot, here)
    type_in([make_iso], here, settings)
    says(boot_iso, here)
    for protocol in ("multiboot", "multiboot2"):
        image = iso.grub_iso(here / "kernel.elf", protocol, "a b=c", [(here / "Makefile", "one")])
        command = machine.command(Boot(iso=image), here / "port", here / "debug")
        said = doc_pages.spoken(serial_to_stdout(command), here, _SAYS[-1])
        assert all(words in said for words in (*_SAYS, "module: one")), said


def before(here: Path, settings: tuple) -> None:
    """The stub's kernel boots by GRUB, and by nothing else."""
    type_in(["make", "make iso"], here, settings)
    says("qemu-system-x86_64 -display none -serial stdio -cdrom kernel.iso", here)
    result = machine.run(Boot(kernel=here / "kernel.elf"))
    assert "Cannot load x86-64 image, give a 32bit one" in result.errors, result
    type_in(["make clean"], here)


def serial_to_stdout(command: List[str]) -> List[str]:
    return ["stdio" if word.startswith("file:") and command[at - 1] == "-serial" else word
            for at, word in enumerate(command)]


def links_lead_somewhere() -> None:
    """Files, and headings in them, that the pages name."""
    pages = [*(cases.ROOT / "docs").rglob("*.md"), *(cases.ROOT / "qemu/templates").glob("*/*.md")]
    for page in [cases.ROOT / "README.md", *pages]:
        for target in doc_pages.links(page.read_text()):
            path, _, anchor = target.partition("#")
            other = page.parent / path if path else page
            assert other.exists(), f"{page.name}: {target}"
            if anchor:
                assert anchor in doc_pages.anchors(other.read_text()), f"{page.name}: {target}"


CASES = [
    *(Case(f"your-kernel: from nothing, {compiler}", functools.partial(from_nothing, compiler))
      for compiler in _WITH),
    *(Case(f"your-kernel: all its processors, {compiler}",
           functools.partial(all_its_processors, compiler)) for compiler in _WITH),
    *(Case(f"your-kernel: from a boot stub, {compiler}",
           functools.partial(from_a_boot_stub, compiler)) for compiler in _WITH),
    *(Case(f"your-kernel: as part of a build by {tool}",
           functools.partial(as_part_of_a_build, tool)) for tool in ("CMake", "Meson")),
    Case("docs: every link leads somewhere", links_lead_somewhere),
]
