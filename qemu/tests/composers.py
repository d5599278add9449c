"""The loader structures that tests make, held against their specifications byte by byte."""

import struct

import bsd_composers
import composers
from cases import Case
from composers import Framebuffer, Module


def pvh_info_is_laid_out() -> None:
    info = composers.pvh_info(
        0x20000,
        memory_map=[(0, 0x9F000, 1), (0x100000, 0x700000, 1)],
        modules=[Module(0x300000, 5, "one"), Module(0x301000, 6)],
        cmdline="verbose",
        rsdp=0xE0000,
    )
    ((at, data),) = info.records
    assert at == info.pointer == 0x20000 and info.end == at + len(data)
    header = struct.unpack_from("<IIIIQQQQII", data)
    modlist, cmdline, memmap = header[4], header[5], header[7]
    assert header[:4] == (0x336EC578, 1, 0, 2) and header[6] == 0xE0000 and header[8:] == (2, 0)
    assert struct.unpack_from("<QQII", data, memmap - at + 24) == (0x100000, 0x700000, 1, 0)
    first = struct.unpack_from("<QQQQ", data, modlist - at)
    assert first[:2] == (0x300000, 5) and data[first[2] - at :].startswith(b"one\0")
    assert struct.unpack_from("<QQQQ", data, modlist - at + 32) == (0x301000, 6, 0, 0)
    assert data[cmdline - at :].startswith(b"verbose\0")
    assert len(composers.pvh_info(0, version=0).records[0][1]) == 40


def multiboot1_info_is_laid_out() -> None:
    info = composers.multiboot1_info(
        0x20000,
        memory=(639, 130048),
        cmdline="verbose",
        modules=[Module(0x300000, 5, "one")],
        memory_map=[(0, 0x9F000, 1)],
        loader_name="feeder",
        framebuffer=Framebuffer(0xFD000000, 4096, 1024, 768, 32),
    )
    ((at, data),) = info.records
    words = struct.unpack_from("<29I", data)
    assert words[:3] == (0x124D, 639, 130048), words
    assert data[words[4] - at :].startswith(b"verbose\0") and words[5] == 1 and words[11] == 24
    assert struct.unpack_from("<IQQI", data, words[12] - at) == (20, 0, 0x9F000, 1)
    module = struct.unpack_from("<IIII", data, words[6] - at)
    assert module[:2] == (0x300000, 0x300005) and data[module[2] - at :].startswith(b"one\0")
    assert data[words[16] - at :].startswith(b"feeder\0")
    assert struct.unpack_from("<QIIIBB", data, 88) == (0xFD000000, 4096, 1024, 768, 32, 1)
    assert composers.multiboot1_info(0).records[0][1] == bytes(116)


def multiboot2_info_is_laid_out() -> None:
    tags = [
        composers.tag_cmdline("odd"),
        composers.tag_module(Module(0x300000, 5, "one")),
        composers.tag_memory_map([(0x100000, 0x700000, 1)], entry_size=32),
        composers.tag_rsdp(bytes(36)),
    ]
    info = composers.multiboot2_info(0x20000, tags)
    ((at, data),) = info.records
    assert struct.unpack_from("<II", data) == (len(data), 0)
    seen, offset = [], 8
    while offset < len(data):
        kind, size = struct.unpack_from("<II", data, offset)
        seen.append((kind, size))
        offset += -(-size // 8) * 8
    assert seen == [(1, 12), (3, 20), (6, 48), (15, 44), (0, 8)], seen
    assert info.address("tags[2].entries[0].length") == at + 8 + 16 + 24 + 16 + 8


def any_field_can_be_corrupted() -> None:
    info = composers.pvh_info(0x20000, memory_map=[(0, 1, 1)])
    info.set("magic", b"XEN!").set("memmap_entries", -1).set("memmap[0].type", 77)
    ((at, data),) = info.records
    assert data[:4] == b"XEN!" and data[48:52] == b"\xff\xff\xff\xff"
    type_at = info.address("memmap[0].type") - at
    assert data[type_at : type_at + 4] == b"\x4d\0\0\0"


def vmd_info_is_laid_out() -> None:
    info = bsd_composers.vmd_info(0xF000, memory_map=[(0x100000, 0x700000, 1)], mac=b"\1\2\3\4\5\6",
                                  console=bsd_composers.Console(), howto=2, device=3,
                                  kernel_end=0x123000)
    ((at, data),) = info.records
    assert struct.unpack_from("<9I", data) == (
        0, 2, 3, 0x0E, 0x123000, 0, 0, 12 + 40 + 12 + 32 + 12 + 8, at + 36)
    assert struct.unpack_from("<3IQQIQQI", data, 36) == (
        0, 52, 52, 0x100000, 0x700000, 1, 0, 0, 0)
    assert struct.unpack_from("<3I2IQ4I", data, 88) == (
        5, 44, 44, 0x800, 9600, 0x3F8, 0, 0, 1, 0)
    assert struct.unpack_from("<3I", data, 132) == (7, 20, 20)
    assert data[144:152] == b"\1\2\3\4\5\6\0\0" and data[152:156] == b"\xff" * 4


def freebsd_info_is_laid_out() -> None:
    info = bsd_composers.freebsd_info(
        0x1FDC, memory_map=[(0x100000, 0x700000, 1)], modules=[Module(0x300000, 5, "m")],
        cmdline="-v", environment=["a=b"], howto=0x800)
    ((at, data),) = info.records
    words = struct.unpack_from("<9I", data)
    assert words[:6] == (0xBEEFFACE, 0x80000800, 0, 0, 0, 0) and words[6] == at + 36, words
    bootinfo = struct.unpack_from("<12I", data, 36)
    assert bootinfo[0] == 1 and not any(bootinfo[2:12])
    assert struct.unpack_from("<IB3xI", data, 36 + 0x30) == (84, 1, 640)
    kernel_end, environment, records = struct.unpack_from("<3I", data, 36 + 72)
    assert (records, kernel_end) == words[7:] and kernel_end % 4096 == 0
    assert data[environment - at :].startswith(b"a=b\0\0")
    first = data[records - at :]
    assert first.startswith(struct.pack("<II", 1, 20) + b"/boot/kernel/kernel\0")
    assert struct.pack("<IIQQI", 0x9001, 20, 0x100000, 0x700000, 1) in first
    assert struct.pack("<II4sIII", 1, 2, b"m\0", 2, 11, 0x20666C65) in first
    assert struct.pack("<III", 3, 4, 0x300000) + struct.pack("<IIQ", 4, 8, 5) in first
    assert info.end <= kernel_end and data.endswith(bytes(8))


CASES = [
    Case("composers: vmd's information is laid out", vmd_info_is_laid_out),
    Case("composers: FreeBSD's information is laid out", freebsd_info_is_laid_out),
    Case("composers: PVH information is laid out", pvh_info_is_laid_out),
    Case("composers: Multiboot 1 information is laid out", multiboot1_info_is_laid_out),
    Case("composers: Multiboot 2 information is laid out", multiboot2_info_is_laid_out),
    Case("composers: any field can be corrupted", any_field_can_be_corrupted),
]
