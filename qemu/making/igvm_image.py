"""What prologue-igvm makes of a kernel; and an IGVM file read again, by Microsoft's igvm_defs and
not by the tool: what SNP measures of it."""

import hashlib
import struct
import subprocess
import sys
from pathlib import Path
from typing import Iterator, NamedTuple

import cases

TOOL = cases.ROOT / "linker" / "prologue-igvm"
_PLATFORM, _PAGE, _INSERT, _CONTEXT, _AREA = 0x1, 0x302, 0x303, 0x304, 0x301
_SNP = 2  # IgvmPlatformType


def run_tool(*options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, TOOL, *map(str, options)], capture_output=True,
                          text=True, check=False)


def igvm(kernel: Path, *options) -> Path:
    path = cases.scratch_directory() / "guest.igvm"
    made = run_tool(*options, "-o", path, kernel)
    assert made.returncode == 0, made.stderr
    return path


class Header(NamedTuple):
    kind: int
    fields: bytes


def headers(contents: bytes) -> Iterator[Header]:
    at, size = struct.unpack_from("<II", contents, 8)
    end = at + size
    while at < end:
        kind, length = struct.unpack_from("<II", contents, at)
        yield Header(kind, contents[at + 8:at + 8 + length])
        at += 8 + (length + 7) // 8 * 8


def measured_by_snp(contents: bytes) -> Iterator[tuple]:
    """(page type of SNP_LAUNCH_UPDATE, address, contents or None) of each page, in their order."""
    mask, areas = 0, {}
    for kind, fields in headers(contents):
        if kind == _PLATFORM and fields[5] == _SNP:
            mask, = struct.unpack_from("<I", fields)
        elif kind == _AREA:
            size, index = struct.unpack_from("<QI", fields)
            areas[index] = size
        elif kind in (_PAGE, _INSERT, _CONTEXT):
            gpa, platforms, where = struct.unpack_from("<QII", fields)
            if not platforms & mask:
                continue
            if kind == _INSERT:
                yield from ((4, gpa + page, None) for page in range(0, areas[where], 4096))
            elif kind == _CONTEXT:
                yield 2, gpa, contents[where:where + 4096]
            else:
                page_type = {0: 1, 1: 5, 2: 6}[struct.unpack_from("<H", fields, 20)[0]]
                yield page_type, gpa, contents[where:where + 4096] if page_type == 1 else None


def launch_digest(contents: bytes) -> str:
    """PAGE_INFO of AMD's document 56860, 8.17.2: 0x70 bytes, and SHA-384 of them for each page."""
    digest = bytes(0x30)
    for page_type, gpa, page in measured_by_snp(contents):
        info = bytearray(0x70)
        info[0x00:0x30] = digest
        info[0x30:0x60] = hashlib.sha384(page).digest() if page is not None else bytes(0x30)
        info[0x60:0x62] = (0x70).to_bytes(2, "little")
        info[0x62] = page_type
        info[0x68:0x70] = gpa.to_bytes(8, "little")
        digest = hashlib.sha384(info).digest()
    return digest.hex()
