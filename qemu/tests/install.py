"""`make install`, and kernels that are built from nothing but what it puts in place: the
templates, by make and by CMake, with clang and lld and with gcc and GNU ld."""

import re
import shutil
from pathlib import Path

import cases
import iso
import machine
from cases import Case
from staging import (
    BUILDS,
    PREFIX,
    Build,
    built,
    by_cmake,
    install,
    pkgconfig,
    run,
    staged,
    uninstall,
)

VERSION = (cases.ROOT / "VERSION").read_text().strip()
_FIRST, _SECOND = b"the first line\nof the first\n", b"the second's\n"


def _boots(build: Build) -> None:
    kernel = built(build)
    files = [(cases.scratch_file(text, name), name)
             for text, name in ((_FIRST, "one"), (_SECOND, "two"))]
    expect = {"identity": _expect_identity, "higher-half": _expect_higher_half}[build.template]
    expect(machine.run(machine.Boot(kernel=kernel)), "pvh", "", None)
    boot = machine.Boot(kernel=kernel, append="a b=c", initrd=[path for path, _ in files[:1]],
                        extra=("-smp", "4"))
    result = machine.run(boot)
    expect(result, "pvh", "a b=c", _FIRST)
    result.expect(machine.OK, r"^processors: 4 of 4\r?$")
    cmdline = "motd=two initrd=two"
    image = iso.grub_iso(kernel, "multiboot2", cmdline, files)
    expect(iso.run_iso(image), "multiboot2", cmdline, _SECOND)


def _expect_identity(result: machine.Result, loader: str, cmdline: str, module) -> None:
    result.expect(machine.OK, rf"loader: {loader}\r?$", rf"^command line: {re.escape(cmdline)}\r?$",
                  r"^local apic: version 0x14\r?$", r"^result: ok\r?$")
    free = [int(end, 16) - int(start, 16)
            for start, end in re.findall(r"^free: (\w+) to (\w+)\r?$", result.serial, re.M)]
    result.expect(machine.OK, rf"^free in all: {sum(free) >> 10} KiB\r?$")
    assert 120 << 20 < sum(free) < 128 << 20, free
    said = re.findall(r"^motd: (.*?)\r?$", result.serial, re.M)
    assert said == ([first_line(module)] if module else []), said


def _expect_higher_half(result: machine.Result, loader: str, cmdline: str, module) -> None:
    result.expect(machine.OK, r"exception 3, error code 0x0, at 0xffffffff801",
                  r"^page tables: \d+ pages\r?$", rf"^command line: {re.escape(cmdline)}\r?$",
                  r"^memory: 0x100000 to 0x1\w+: kernel\r?$", r"^result: ok\r?$")
    said = re.findall(r"^initrd: (.*?)\r?$", result.serial, re.M)
    wanted = [f"{len(module)} bytes: {first_line(module)}"] if module else []
    assert said == wanted, said


def first_line(text: bytes) -> str:
    return text.decode().split("\n")[0]


# ---- The least kernel, in the default layout ----

_LEAST_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-ffreestanding", "-fno-pic",
                "-fno-stack-protector", "-mcmodel=kernel", "-mno-red-zone", "-DC_KERNEL_WISHES")
_LEAST_CMAKE = f"""\
cmake_minimum_required(VERSION 3.16)
project(least C)
find_package(Prologue REQUIRED)
add_executable(kernel.elf c_kernel.c)
target_compile_options(kernel.elf PRIVATE {" ".join(_LEAST_FLAGS)})
target_link_libraries(kernel.elf PRIVATE Prologue::layout)
"""


def _least_source() -> Path:
    source = cases.scratch_directory()
    for name in ("c_kernel.c", "serial.h"):
        shutil.copy(cases.ROOT / "qemu/kernels" / name, source)
    (source / "CMakeLists.txt").write_text(_LEAST_CMAKE)
    return source


def _pkg_config(*words: str) -> list:
    said = run("pkg-config", *words, "prologue", cwd=staged(), PKG_CONFIG_PATH=str(pkgconfig()))
    return said.split()


def _flags_of_pkg_config_are_enough() -> None:
    for compiler, linker in ((("gcc",), "ld"), (("clang", "--target=x86_64-none-elf"), "ld.lld")):
        source = _least_source()
        run(*compiler, *_LEAST_FLAGS, *_pkg_config("--cflags"), "-c", "c_kernel.c", cwd=source)
        run(linker, "-static", "-nostdlib", "-z", "max-page-size=4096",
            *_pkg_config("--libs-only-L"), "-T", "prologue.ld", "-o", "kernel.elf", "c_kernel.o",
            *_pkg_config("--libs-only-l"), cwd=source)
        boot = machine.Boot(kernel=source / "kernel.elf")
        machine.run(boot).expect(machine.OK, r"^result: ok\r?$")


def _layout_links_and_links_again() -> None:
    """In a tree that has been moved."""
    moved = cases.scratch_directory() / "moved"
    shutil.copytree(staged(), moved)
    for toolchain in ("identity/gcc.cmake", "higher-half/clang.cmake"):
        source = _least_source()
        by_cmake(source, moved / "share/prologue/templates" / toolchain, moved)
        kernel = source / "build/kernel.elf"
        machine.run(machine.Boot(kernel=kernel)).expect(machine.OK, r"^result: ok\r?$")
        before = kernel.stat().st_mtime_ns
        run("cmake", "--build", "build", cwd=source)
        assert kernel.stat().st_mtime_ns == before
        (moved / "share/prologue/prologue-notes.ld").touch()
        run("cmake", "--build", "build", cwd=source)
        assert kernel.stat().st_mtime_ns > before, toolchain


# ---- What is installed ----


def _version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION), VERSION
    assert _pkg_config("--modversion") == [VERSION]
    major, minor, patch = map(int, VERSION.split("."))
    older = f"{major}.{minor}.{patch - 1}" if patch else f"{major}.{minor}"
    for wanted, taken in (("", True), (VERSION, True), (f"{VERSION} EXACT", True), (older, True),
                          (f"{major}.{minor}.{patch + 1}", False), (f"{major + 1}.0", False),
                          (f"{major}.{minor + 1}", False), ("0.0.1", False)):
        assert _found_by_cmake(wanted) == (VERSION if taken else ""), wanted
    section = re.search(r"^## (\d.*)$", (cases.ROOT / "CHANGELOG.md").read_text(), re.M)
    crate = (staged() / "share/prologue/rust/Cargo.toml").read_text()
    assert section[1] == VERSION, section[1]
    assert re.findall(r'^version = "(.*)"$', crate, re.M) == [VERSION]


def _found_by_cmake(wanted: str) -> str:
    source = cases.scratch_directory()
    (source / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(finds NONE)\n"
        f"find_package(Prologue {wanted} QUIET)\n"
        'if(Prologue_FOUND)\nmessage(STATUS "found ${Prologue_VERSION}.")\nendif()\n')
    said = run("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={staged()}", cwd=source)
    found = re.search(r"^-- found (.*)\.$", said, re.M)
    return found[1] if found else ""


_COMPILERS = {
    "gcc": ("-nostdinc", "-isystem", "{own}/include"),
    "clang": ("--target=x86_64-none-elf", "-nostdlibinc"),
}
_LANGUAGES = {
    "C": ("-x", "c", "-std=c11"),
    "C++": ("-x", "c++", "-std=c++20"),
    "assembly": ("-x", "assembler-with-cpp",),
}


def _headers_compile_alone() -> None:
    """With the compiler's own headers, and without any other's before them."""
    headers = sorted(path.name for path in (staged() / "include/prologue").iterdir())
    assert headers == ["boot_services.h", "cpus.h", "handoff.h", "kernel.h", "multiboot.h",
                       "paging_depth.h", "payload.h", "sev.h", "sev_reasons.h", "wishes.h"], headers
    for compiler, flags in _COMPILERS.items():
        own = run(compiler, "-print-file-name=", cwd=staged()).strip()
        flags = [flag.format(own=own) for flag in flags]
        for language, standard in _LANGUAGES.items():
            for header in headers:
                if language == "assembly" and header not in ("handoff.h", "sev_reasons.h",
                                                             "wishes.h"):
                    continue  # for C and C++
                semicolon = "" if language == "assembly" else ";"
                wish = "PROLOGUE_WISH_STACK(0x4000)" + semicolon if header == "wishes.h" else ""
                source = cases.scratch_file(f"#include <prologue/{header}>\n{wish}\n".encode())
                run(compiler, *flags, *standard, "-ffreestanding", "-Wall", "-Wextra", "-Werror",
                    f"-I{staged()}/include", "-c", "-o", "/dev/null", source, cwd=staged())


def _files(root: Path) -> set:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def _uninstall_leaves_nothing() -> None:
    stage = cases.scratch_directory()
    prefix = install(stage)
    run(prefix / "bin/prologue-check", "--list", cwd=stage)
    installed = _files(prefix)
    for path in ("lib/libprologue.a", "include/prologue/handoff.h", "share/prologue/prologue.ld",
                 "share/prologue/prologue.elf", "bin/prologue-check",
                 "lib/pkgconfig/prologue.pc", "lib/cmake/Prologue/PrologueConfig.cmake",
                 "share/prologue/templates/identity/kernel.c", "share/doc/prologue/README.md"):
        assert path in installed, path
    (prefix / "lib/libother.a").touch()
    uninstall(stage)
    left = {str(path.relative_to(stage)) for path in stage.rglob("*")}
    assert _files(prefix) == {"lib/libother.a"}, left
    named = [path for path in left if "prologue" in path.removeprefix(PREFIX[1:]).lower()]
    assert not named, named


def _no_debug_sections() -> None:
    """In a kernel that asks for none; a directory of the library has them."""
    source = _least_source()
    run("gcc", *_LEAST_FLAGS, *_pkg_config("--cflags"), "-c", "c_kernel.c", cwd=source)
    sizes = {}
    for title, flags in (("plain", ()), ("debug", ("-L", *_pkg_config("--variable=debug")))):
        kernel = source / f"{title}.elf"
        run("ld", "-static", "-z", "max-page-size=4096", *flags, *_pkg_config("--libs-only-L"),
            "-T", "prologue.ld", "-o", kernel, "c_kernel.o", *_pkg_config("--libs-only-l"),
            cwd=source)
        sizes[title] = kernel.stat().st_size
        has_debug = b".debug_info" in kernel.read_bytes()
        assert has_debug == (title == "debug"), title
    assert 3 * sizes["plain"] < sizes["debug"], sizes


def _install_replaces_an_earlier_one() -> None:
    stage = cases.scratch_directory()
    prefix = install(stage)
    fresh = _files(prefix)
    (prefix / "include/prologue/old.h").touch()
    with open(prefix / "share/prologue/installed", "a") as listed:
        listed.write("include/prologue/old.h\n")
    (prefix / "include/prologue/foreign.h").touch()
    install(stage)
    assert _files(prefix) == fresh | {"include/prologue/foreign.h"}, _files(prefix) ^ fresh


def _templates_share_files() -> None:
    """A template is a folder that is copied alone: what two of them need stands in both."""
    files = {}
    for path in sorted((cases.ROOT / "qemu/templates").glob("*/*.[ch]")):
        files.setdefault(path.name, set()).add(path.read_bytes())
    unlike = {name for name, texts in files.items() if len(texts) > 1}
    assert unlike == {"kernel.c"}, unlike


CASES = [
    Case("install: files that two templates have are alike", _templates_share_files),
    Case("install: the installed headers compile alone", _headers_compile_alone),
    Case("install: one version, for pkg-config, CMake, the crate and the changelog",
         _version_is_one),
    Case("install: pkg-config's flags are enough", _flags_of_pkg_config_are_enough),
    Case("install: CMake's layout, in a tree that was moved", _layout_links_and_links_again),
    *(Case(build.name, lambda build=build: _boots(build)) for build in BUILDS),
    Case("install: uninstall leaves nothing of it", _uninstall_leaves_nothing),
    Case("install: a kernel has no debug sections that it does not ask for", _no_debug_sections),
    Case("install: an earlier install is replaced", _install_replaces_an_earlier_one),
]
