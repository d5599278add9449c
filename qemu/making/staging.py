"""Prologue as `make install` puts it in place, and kernels that are built from nothing else: the
templates, as a user copies them."""

import functools
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import cases

PREFIX = "/opt/prologue"
MAKE_INSTALL = ("make", "-s", "-C", cases.ROOT, f"BUILD={cases.BUILD_OF_MAKE}", f"PREFIX={PREFIX}")
_lock = threading.RLock()


def run(*command, cwd: Path, **environment) -> str:
    """What a command says that must end well. Of this run's environment it knows as little as a
    newcomer's shell."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    result = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**clean, "LC_ALL": "C", **environment},
        text=True, errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=120)
    assert result.returncode == 0, f"{' '.join(map(str, command))}: {result.stdout[-800:]}"
    return result.stdout


def install(stage: Path) -> Path:
    """Installs below a directory; where the prefix lies there."""
    with _lock:
        run(*MAKE_INSTALL, "install", f"DESTDIR={stage}", cwd=stage)
    return stage / PREFIX.lstrip("/")


def uninstall(stage: Path) -> None:
    run(*MAKE_INSTALL, "uninstall", f"DESTDIR={stage}", cwd=stage)


@functools.lru_cache(maxsize=None)
def _staged() -> Path:
    return install(cases.scratch_directory())


def staged() -> Path:
    """A tree that all cases share, to be read only."""
    with _lock:
        return _staged()


@dataclass(frozen=True)
class Build:
    """A template, as a user copies and builds it. `settings` go to make, or name the file of
    CMake's toolchain, by the template that has it."""

    template: str
    tool: str
    compiler: str
    settings: Sequence[str] = ()

    @property
    def name(self) -> str:
        return f"install: the {self.template} template by {self.tool} with {self.compiler}"


BUILDS = [
    Build("identity", "make", "gcc and GNU ld"),
    Build("identity", "make", "clang and lld", ("CC=clang --target=x86_64-none-elf", "LD=ld.lld")),
    Build("identity", "CMake", "gcc and GNU ld", ("identity/gcc.cmake",)),
    Build("identity", "CMake", "clang and lld", ("higher-half/clang.cmake",)),
    Build("higher-half", "make", "clang and lld"),
    Build("higher-half", "make", "gcc and GNU ld", ("CXX=g++", "LD=ld")),
    Build("higher-half", "CMake", "clang and lld", ("higher-half/clang.cmake",)),
    Build("higher-half", "CMake", "gcc and GNU ld", ("identity/gcc.cmake",)),
]


def built(build: Build) -> Path:
    """The kernel. No word of warning, and no file of the checkout, is in it."""
    templates = staged() / "share/prologue/templates"
    source = cases.scratch_directory() / build.template
    shutil.copytree(templates / build.template, source)
    if build.tool == "make":
        said = run("make", *build.settings, cwd=source, PKG_CONFIG_PATH=str(pkgconfig()))
        kernel = source / "kernel.elf"
    else:
        said = by_cmake(source, templates / build.settings[0], staged())
        kernel = source / "build/kernel.elf"
    assert "warning" not in said, said
    for dependencies in source.rglob("*.d"):
        files = map(Path, dependencies.read_text().split())
        assert not [file for file in files if cases.ROOT in file.parents], dependencies
    return kernel


def by_cmake(source: Path, toolchain: Path, prefix: Path) -> str:
    said = run("cmake", "-B", "build", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",
               f"-DCMAKE_PREFIX_PATH={prefix}", cwd=source)
    return said + run("cmake", "--build", "build", cwd=source)


def pkgconfig() -> Path:
    return staged() / "lib/pkgconfig"
