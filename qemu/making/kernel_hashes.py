"""The table of hashes that QEMU puts into an encrypted guest's memory with kernel-hashes=on (QEMU:
target/i386/sev.c, build_kernel_loader_hashes): of the command line, the initrd and the kernel."""

import hashlib
import struct
import uuid

_TABLE = uuid.UUID("9438d606-4f22-4cc9-b479-a793d411fd21")
_CMDLINE = uuid.UUID("97d02dd8-bd20-4c94-aa78-e7714d36ab2a")
_INITRD = uuid.UUID("44baf731-3a2f-4bd7-9af1-41e29169781d")
_KERNEL = uuid.UUID("4de79437-abd2-427f-b835-d5b172d2045b")
_ALIGNMENT = 16


def table(kernel: bytes, initrd: bytes, cmdline: str) -> bytes:
    """An entry is a GUID, its own length, and a hash; so is the table, of entries."""
    entries = b"".join(_entry(guid, hashlib.sha256(data).digest()) for guid, data in (
        (_CMDLINE, cmdline.encode() + b"\0"), (_INITRD, initrd), (_KERNEL, kernel)))
    whole = _entry(_TABLE, entries)
    return whole + bytes(-len(whole) % _ALIGNMENT)


def _entry(guid: uuid.UUID, data: bytes) -> bytes:
    return guid.bytes_le + struct.pack("<H", 18 + len(data)) + data
