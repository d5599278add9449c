"""Lays out what BSDs' loaders leave in memory, as composers.py does for others: the stack first,
and what its words point to behind it. Fields can be overwritten by name afterwards.

Sources: OpenBSD's biosvar.h and vmd's loadfile_elf.c; FreeBSD's bootinfo.h, sys/linker.h, and
userboot's bootinfo32.c.
"""

from typing import Iterable, NamedTuple, Optional

from composers import Layout, MemoryRange, Module, Text, raw, string, u8, u32, u64

# OpenBSD.

VMD_API = 0x0E
VMD_MEMMAP, VMD_CONSDEV, VMD_BOOTMAC, VMD_END = 0, 5, 7, 0xFFFFFFFF


class Console(NamedTuple):
    device: int = 0x800  # com0
    speed: int = 9600
    address: int = 0x3F8
    frequency: int = 0
    in_memory: bool = False
    old: bool = False  # as OpenBSD had it before 7.2: 32 bits for the address, and no more fields


def vmd_info(
    at: int,
    *,
    memory_map: Iterable[MemoryRange] = (),
    console: Optional[Console] = None,
    mac: Optional[bytes] = None,
    howto: int = 0,
    device: int = 0,
    kernel_end: int = 0,
    list_at: Optional[int] = None,
) -> Layout:
    """The stack: return_address, howto, bootdev, apiver, end, extmem, basemem, length, list. The
    list: args[i].type/.size/.next, mem[i].addr/.size/.type, consdev.*, mac, last.type. It lies
    behind the stack, or is vmd_list's, at `list_at`."""
    layout = Layout(at)
    layout.add([u32("return_address"), u32("howto", howto), u32("bootdev", device)])
    layout.add([u32("apiver", VMD_API), u32("end", kernel_end), u32("extmem"), u32("basemem")])
    layout.add([u32("length"), u32("list")])
    if list_at is None:
        start = layout.end
        size = _add_vmd_list(layout, memory_map, console, mac)
    else:
        start = list_at
        size = _add_vmd_list(Layout(0), memory_map, console, mac)
    return layout.set("length", size).set("list", start)


def vmd_list(
    at: int,
    memory_map: Iterable[MemoryRange] = (),
    console: Optional[Console] = None,
    mac: Optional[bytes] = None,
) -> Layout:
    """The list alone."""
    layout = Layout(at)
    _add_vmd_list(layout, memory_map, console, mac)
    return layout


def _add_vmd_list(layout: Layout, memory_map, console, mac) -> int:
    """Returns its size as vmd states it: without the record that ends it."""
    start, count = layout.end, 0

    def record(kind: int, fields: list) -> None:
        nonlocal count
        size = 12 + sum(len(f.data) for f in fields)
        layout.add([u32("type", kind), u32("size", size), u32("next", size)], f"args[{count}].")
        layout.add(fields)
        count += 1

    entries = []
    for i, (address, size, kind) in enumerate([*memory_map, (0, 0, 0)]):
        entries += [u64(f"mem[{i}].addr", address), u64(f"mem[{i}].size", size)]
        entries += [u32(f"mem[{i}].type", kind)]
    record(VMD_MEMMAP, entries)
    if console:
        record(VMD_CONSDEV, _console_fields(console))
    if mac:
        record(VMD_BOOTMAC, [raw("mac", mac + bytes(-len(mac) % 4))])
    size = layout.end - start
    layout.add([u32("last.type", VMD_END), u32("last.size"), u32("last.next")])
    return size


def _console_fields(console: Console) -> list:
    fields = [u32("consdev.device", console.device), u32("consdev.speed", console.speed)]
    address, frequency = "consdev.address", u32("consdev.frequency", console.frequency)
    if console.old:
        return fields + [u32(address, console.address), frequency]
    fields += [u64(address, console.address), frequency, u32("consdev.flags", console.in_memory)]
    return fields + [u32("consdev.width", 1), u32("consdev.shift", 0)]


# FreeBSD.

FREEBSD_HAS_BOOTINFO = 0x80000000
_END, _NAME, _TYPE, _ADDR, _SIZE, _ARGS, _METADATA = 0, 1, 2, 3, 4, 6, 0x8000
_ELFHDR, _ENVP, _HOWTO, _KERNEND, _SMAP = 2, 6, 7, 8, 0x1001
_RETURN_ADDRESS = 0xBEEFFACE


def freebsd_info(
    at: int,
    *,
    memory_map: Iterable[MemoryRange] = (),
    modules: Iterable[Module] = (),
    cmdline: Optional[Text] = None,
    environment: Iterable[Text] = (),
    howto: int = 0,
    device: int = 0,
    kernel: Module = Module(0x100000, 0x20000),
    files_at: Optional[int] = None,
) -> Layout:
    """The stack: return_address, howto, bootdev, zero0 to zero2, bootinfo, modulep, kernend. bi.*
    by bootinfo.h's names. The environment and the records follow, or are freebsd_files', at
    `files_at`."""
    layout = Layout(at)
    layout.add([u32("return_address", _RETURN_ADDRESS)])
    layout.add([u32("howto", howto | FREEBSD_HAS_BOOTINFO), u32("bootdev", device)])
    layout.add([u32("zero0"), u32("zero1"), u32("zero2"), u32("bootinfo")])
    layout.add([u32("modulep"), u32("kernend")])
    layout.set("bootinfo", layout.end)
    layout.add([u32("version", 1), u32("kernelname"), u32("nfs_diskless")], "bi.")
    layout.add([raw("bios", bytes(36)), u32("size", 84), u8("memsizes_valid", 1)], "bi.")
    layout.add([raw("pad", bytes(3)), u32("basemem", 640), u32("extmem")], "bi.")
    layout.add([u32("symtab"), u32("esymtab"), u32("kernend")], "bi.")
    layout.add([u32("envp"), u32("modulep")], "bi.")
    layout.set("bi.kernelname", layout.add([string("kernelname", "/boot/kernel")]))
    files = layout if files_at is None else Layout(files_at)
    environment_at, records_at = _add_files(
        files, memory_map, modules, cmdline, environment, howto, kernel)
    for prefix in ("", "bi."):
        layout.set(f"{prefix}modulep", records_at).set(f"{prefix}kernend", page_up(files.end))
    return layout.set("bi.envp", environment_at)


def freebsd_files(at: int, memory_map, modules, cmdline, environment, howto, kernel) -> Layout:
    """The environment and the records alone, as userboot puts them behind the last file."""
    layout = Layout(at)
    _add_files(layout, memory_map, modules, cmdline, environment, howto, kernel)
    return layout


def page_up(address: int) -> int:
    return -(-address // 0x1000) * 0x1000


def _add_files(layout, memory_map, modules, cmdline, environment, howto, kernel) -> tuple:
    """Records file[i].name/.type/.args/.address/.size, file[0].smap/.howto/.envp, end, each with
    its header .kind and .bytes."""
    environment_at = layout.align(0x10)
    for variable in environment:
        layout.add([string(f"env {variable}", variable)])
    layout.add([u8("env end")])
    records_at = layout.align(4)

    def record(name: str, kind: int, data: bytes) -> None:
        layout.align(4)
        layout.add([u32("kind", kind), u32("bytes", len(data)), raw("data", data)], f"{name}.")

    def file(i: int, kind: str, module: Module, arguments: Optional[Text]) -> None:
        record(f"file[{i}].name", _NAME, _text(module.cmdline or ""))
        record(f"file[{i}].type", _TYPE, _text(kind))
        if arguments is not None:
            record(f"file[{i}].args", _ARGS, _text(arguments))
        record(f"file[{i}].address", _ADDR, module.paddr.to_bytes(4, "little"))
        record(f"file[{i}].size", _SIZE, module.bytes.to_bytes(8, "little"))

    file(0, "elf kernel", kernel._replace(cmdline="/boot/kernel/kernel"), cmdline)
    smap = b"".join(a.to_bytes(8, "little") + s.to_bytes(8, "little") + k.to_bytes(4, "little")
                    for a, s, k in memory_map)
    record("file[0].elfhdr", _METADATA | _ELFHDR, bytes(52))
    record("file[0].howto", _METADATA | _HOWTO, howto.to_bytes(4, "little"))
    record("file[0].envp", _METADATA | _ENVP, environment_at.to_bytes(8, "little"))
    record("file[0].smap", _METADATA | _SMAP, smap)
    for i, module in enumerate(modules, 1):
        file(i, "elf module", module, "its own arguments" if i % 2 else None)
    record("end", _END, b"")
    return environment_at, records_at


def _text(text: Text) -> bytes:
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"
