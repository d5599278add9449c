#!/usr/bin/python3
"""Runs a command on a clean clone in a tree of a Debian release, as a user of it would:

    in_debian.py RELEASE [COMMAND...]    RELEASE: bookworm, trixie, trixie-backports, sid

The tree is made once with debootstrap, below TREES (BUILD/debian-trees), and holds what
`make setup` installs in it. MIRROR names another mirror than Debian's. With -backports what the
backports have newer is taken from there, and the newest LLVM. It needs root.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import rooms  # noqa: F401, the harness's folders
import cases

_MIRROR = os.environ.get("MIRROR") or "http://deb.debian.org/debian"
_TREES = Path(os.environ.get("TREES") or cases.BUILD / "debian-trees")
_RELEASES = ("bookworm", "trixie", "trixie-backports", "sid")
_GIVEN = "make,git,ca-certificates"  # what README expects of a machine
# Of a pocket, under names with a version: made the ones that are found first.
_LLVM = 21
_LLVM_PACKAGES = tuple(f"{name}-{_LLVM}" for name in ("clang", "lld", "llvm")) + (
    f"libclang-rt-{_LLVM}-dev",)
_LLVM_PROGRAMS = ("clang", "clang++", "ld.lld", "llvm-ar", "llvm-objcopy", "llvm-symbolizer",
                  "llvm-nm", "llvm-readelf", "llvm-objdump", "llvm-strip")
_SHARED = ("proc", "sys", "dev", "dev/pts")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", choices=_RELEASES)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("in_debian.py: debootstrap and chroot need root")
    if not shutil.which("debootstrap"):
        sys.exit("in_debian.py: debootstrap is missing; Debian's package has its name")
    tree = _TREES / arguments.release
    make_tree(tree, *arguments.release.split("-"))
    clone(tree)
    return enter(tree, arguments.command or ["make", "setup", "check"])


def make_tree(tree: Path, release: str, pocket: str = "") -> None:
    """The release with what README expects, and what a pocket of it has newer."""
    done = tree / "made"
    if done.exists():
        return
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={_GIVEN}", release, tree,
                    _MIRROR], check=True)
    if pocket:
        add_pocket(tree, f"{release}-{pocket}")
    done.touch()


def add_pocket(tree: Path, pocket: str) -> None:
    (tree / f"etc/apt/sources.list.d/{pocket}.list").write_text(f"deb {_MIRROR} {pocket} main\n")
    # Above the release's own, so that `make setup` takes them too.
    (tree / "etc/apt/preferences.d/newer").write_text(
        f"Package: *\nPin: release n={pocket}\nPin-Priority: 600\n")
    for command in (["apt-get", "update"],
                    ["apt-get", "install", "-y", "--no-install-recommends", *_LLVM_PACKAGES]):
        if enter(tree, command, "/"):
            sys.exit(f"in_debian.py: {' '.join(command)} failed in {pocket}")
    for program in _LLVM_PROGRAMS:
        (tree / "usr/local/bin" / program).symlink_to(f"/usr/bin/{program}-{_LLVM}")


def clone(tree: Path) -> None:
    """What is committed, without what was built."""
    inside = tree / "prologue"
    shutil.rmtree(inside, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", cases.ROOT, inside], check=True)


def enter(tree: Path, command: list, directory: str = "/prologue") -> int:
    """Runs the command there, with the machine's own devices, and leaves nothing mounted."""
    mounted = []
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
    try:
        for name in _SHARED:
            subprocess.run(["mount", "--bind", f"/{name}", tree / name], check=True)
            mounted.insert(0, tree / name)
        line = ["chroot", tree, "/usr/bin/env", "-i",
                "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
                "/bin/sh", "-c", 'cd "$0" && exec "$@"', directory]
        return subprocess.run([*line, *command], check=False).returncode
    finally:
        for path in mounted:
            subprocess.run(["umount", path], check=True)


if __name__ == "__main__":
    sys.exit(main())
