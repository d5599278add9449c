"""Debian's kernel with an /init that starts another kernel by kexec."""

import functools
import os
import subprocess
from pathlib import Path
from typing import Dict, Sequence

import cases
import initramfs

_KERNEL = cases.BUILD / "debian" / "vmlinuz"
_KEXEC = cases.BUILD / "debian" / "loaders" / "kexec"
_INIT = cases.ROOT / "qemu" / "kernels" / "kexec_init.c"
_TIMEOUT = 120
# A loaded machine's timer seems broken to it.
_WORDS = "console=ttyS0 quiet no_timer_check panic=-1"


def boot(files: Dict[str, bytes]) -> dict:
    """Options for machine.Boot: a Linux with these files, of which it loads `kernel` and `initrd`
    by a system call."""
    for image in (_KERNEL, _KEXEC):
        assert image.exists(), f"{image} is not there: make debian-guests fetches it"
    archive = initramfs.archive(_init().read_bytes(), files)
    return {"kernel": _KERNEL, "initrd": [cases.scratch_file(archive, "initramfs")],
            "append": _WORDS, "timeout": _TIMEOUT}


def boot_by_kexec(files: Dict[str, bytes], options: Sequence[str]) -> dict:
    """The same by kexec-tools with those options."""
    words = ["ld.so", "--library-path", "/", "/kexec", "--load", *options, "/kernel"]
    tools = {file.name: file.read_bytes() for file in _KEXEC.iterdir()}
    arguments = b"".join(word.encode() + b"\0" for word in words)
    return boot({**tools, **files, "arguments": arguments})


@functools.lru_cache(maxsize=None)
def _init() -> Path:
    init = cases.scratch_directory() / "init"
    subprocess.run([os.environ.get("CLANG") or "clang", "-static", "-nostdlib", "-ffreestanding",
                    "-fno-stack-protector", "-O2", "-fuse-ld=lld", "-o", init, _INIT], check=True)
    return init
