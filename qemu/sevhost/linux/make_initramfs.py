#!/usr/bin/python3
"""make_initramfs.py INIT OUTPUT: an initramfs with that program as /init, and a console for it."""

import stat
import sys
from pathlib import Path

_TRAILER = "TRAILER!!!"
_CONSOLE = (5, 1)  # major, minor: Linux's Documentation/admin-guide/devices.txt


def entry(name: str, mode: int, contents: bytes = b"", device=(0, 0), inode: int = 0) -> bytes:
    """One entry of a newc archive (Linux: Documentation/driver-api/early-userspace/buffer-format)."""
    path = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(contents), 0, 0, *device, len(path), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return padded(header + path) + padded(contents)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def main() -> None:
    init, output = map(Path, sys.argv[1:])
    output.write_bytes(
        entry("dev", stat.S_IFDIR | 0o755, inode=1)
        + entry("dev/console", stat.S_IFCHR | 0o600, device=_CONSOLE, inode=2)
        + entry("init", stat.S_IFREG | 0o755, init.read_bytes(), inode=3)
        + entry(_TRAILER, 0))


if __name__ == "__main__":
    main()
