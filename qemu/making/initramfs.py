#!/usr/bin/python3
"""Archives that Linux unpacks as its first file system.

initramfs.py INIT OUTPUT makes one with that program as /init, and a console for it.
"""

import stat
import sys
from pathlib import Path
from typing import Dict

_TRAILER = "TRAILER!!!"
_CONSOLE = (5, 1)  # major, minor: Linux's Documentation/admin-guide/devices.txt


def archive(init: bytes, files: Dict[str, bytes] = {}) -> bytes:
    """With /init, /dev/console, and the files in the root directory, which may be run."""
    entries = [
        ("dev", stat.S_IFDIR | 0o755, b"", (0, 0)),
        ("dev/console", stat.S_IFCHR | 0o600, b"", _CONSOLE),
        ("init", stat.S_IFREG | 0o755, init, (0, 0)),
        *((name, stat.S_IFREG | 0o755, contents, (0, 0)) for name, contents in files.items()),
    ]
    return b"".join(_entry(inode, *entry) for inode, entry in enumerate(entries, 1)) + _entry(
        0, _TRAILER, 0, b"", (0, 0))


def _entry(inode: int, name: str, mode: int, contents: bytes, device: tuple) -> bytes:
    """One entry of a newc archive (Linux: driver-api/early-userspace/buffer-format)."""
    path = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(contents), 0, 0, *device, len(path), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(header + path) + _padded(contents)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def main() -> None:
    init, output = map(Path, sys.argv[1:])
    output.write_bytes(archive(init.read_bytes()))


if __name__ == "__main__":
    main()
