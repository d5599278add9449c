"""Media that loaders start from: CDs, disks and a server's directory, with a loader of SYSLINUX's
family, GRUB 0.97 or iPXE on them. A medium gets `files` by their names, and the loader's words."""

import shutil
import subprocess
from pathlib import Path
from typing import Dict

import cases

Files = Dict[str, Path]

FETCHED = cases.BUILD / "debian" / "loaders"  # qemu/sevhost/linux/fetch.sh
_SYSLINUX = Path("/usr/lib/syslinux/modules/bios")
_SYSLINUX_MODULES = ("ldlinux.c32", "libcom32.c32", "mboot.c32")
_DISK_BYTES = 64 << 20  # syslinux wants a FAT16, or a FAT12 that is small

# Without a question.
_AT_ONCE = "default k\nprompt 0\nlabel k\n"


def isolinux(files: Files, words: str) -> list:
    """A CD; QEMU's words for it."""
    tree = _syslinux_tree(files, "isolinux.cfg", words)
    shutil.copy("/usr/lib/ISOLINUX/isolinux.bin", tree)
    return _cd(tree, "isolinux.bin")


def grub_legacy(files: Files, words: str) -> list:
    tree = _tree(files)
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copy(fetched("stage2_eltorito"), tree / "boot/grub")
    (tree / "boot/grub/menu.lst").write_text(f"default 0\ntimeout 0\ntitle k\n{words}")
    return _cd(tree, "boot/grub/stage2_eltorito")


def syslinux(files: Files, words: str) -> list:
    """A disk with a FAT of all of it."""
    disk = _empty_disk()
    _run("mformat", "-i", disk, "::")
    _run("syslinux", "--install", disk)
    for file in _syslinux_tree(files, "syslinux.cfg", words).iterdir():
        if file.name != "ldlinux.c32":  # which the installation puts there
            _run("mcopy", "-i", disk, file, "::/")
    return _disk(disk)


def extlinux(files: Files, words: str) -> list:
    """A disk with an ext2 of all of it. It can be installed only where a disk is mounted:
    PermissionError where this user, or this machine, does not."""
    disk, there = _empty_disk(), cases.scratch_directory()
    _run("mke2fs", "-q", "-F", "-d", _syslinux_tree(files, "extlinux.conf", words), disk)
    try:
        _run("mount", "-o", "loop", disk, there)
    except subprocess.CalledProcessError as error:
        raise PermissionError(error.stderr.decode().strip()) from error
    try:
        _run(fetched("extlinux"), "--install", there)
    finally:
        _run("umount", there)
    return _disk(disk)


def pxelinux(files: Files, words: str) -> list:
    """A network of QEMU's own, whose server has it; the card's ROM is iPXE, which is asked for it
    as any PXE ROM is."""
    tree = _syslinux_tree(files, "pxelinux.cfg", "")
    (tree / "pxelinux.cfg").unlink()
    (tree / "pxelinux.cfg").mkdir()
    (tree / "pxelinux.cfg" / "default").write_text(_AT_ONCE + words)
    shutil.copy("/usr/lib/PXELINUX/pxelinux.0", tree)
    return _network(tree, "pxelinux.0")


def ipxe(files: Files, words: str) -> list:
    """The same network, with a script for the card's ROM."""
    tree = _tree(files)
    (tree / "boot.ipxe").write_text(f"#!ipxe\n{words}boot\n")
    return _network(tree, "boot.ipxe")


def fetched(name: str) -> Path:
    path = FETCHED / name
    assert path.exists(), f"{path} is not there: make debian-guests fetches it"
    return path


def _syslinux_tree(files: Files, configuration: str, words: str) -> Path:
    tree = _tree({**files, **{name: _SYSLINUX / name for name in _SYSLINUX_MODULES}})
    (tree / configuration).write_text(_AT_ONCE + words)
    return tree


def _tree(files: Files) -> Path:
    tree = cases.scratch_directory()
    for name, file in files.items():
        shutil.copy(file, tree / name)
    return tree


def _cd(tree: Path, loader: str) -> list:
    iso = cases.scratch_directory() / "boot.iso"
    _run("xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", iso, "-b", loader, "-no-emul-boot",
         "-boot-load-size", "4", "-boot-info-table", tree)
    return ["-drive", f"file={iso},format=raw,media=cdrom,readonly=on", "-boot", "d"]


def _empty_disk() -> Path:
    disk = cases.scratch_directory() / "disk"
    with disk.open("wb") as out:
        out.truncate(_DISK_BYTES)
    return disk


def _disk(disk: Path) -> list:
    return ["-drive", f"file={disk},format=raw", "-boot", "c"]


def _network(tree: Path, file: str) -> list:
    return ["-netdev", f"user,id=network,tftp={tree},bootfile={file}",
            "-device", "e1000,netdev=network", "-boot", "n"]


def _run(*command) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
