"""Lays out loaders' information structures from Python values, well-formed or not.

Each composer returns a Layout, whose every field can be overwritten by name afterwards:

    info = pvh_info(0x20000, memory_map=[(0, 0x9F000, 1)], cmdline="verbose")
    info.set("memmap_entries", 0xFFFFFFFF)
    script(image.records() + info.records, Registers(ebx=info.pointer, ...))
"""

from typing import Iterable, List, NamedTuple, Optional, Tuple, Union

Text = Union[str, bytes]
MemoryRange = Tuple[int, int, int]  # address, bytes, type


class Field(NamedTuple):
    name: str
    data: bytes


class Module(NamedTuple):
    """A module that lies in physical memory already; its contents are a record of their own."""

    paddr: int
    bytes: int
    cmdline: Optional[Text] = None


class Framebuffer(NamedTuple):
    paddr: int
    pitch: int
    width: int
    height: int
    bpp: int
    kind: int = 1  # 0 palette, 1 RGB, 2 text
    color_info: bytes = bytes((16, 8, 8, 8, 0, 8))  # position and width of red, green and blue


_NO_FRAMEBUFFER = Framebuffer(0, 0, 0, 0, 0, 0, bytes(6))


class Tag(NamedTuple):
    """A Multiboot 2 tag: its size is that of its fields, its padding not counted."""

    kind: int
    fields: List[Field]


class Layout:
    """Bytes being laid out from a physical address upward, with names for the fields."""

    def __init__(self, at: int):
        self.pointer = at  # what the loader hands to the kernel
        self._data = bytearray()
        self._fields = {}  # name: (offset, bytes)

    @property
    def end(self) -> int:
        """The first address behind everything."""
        return self.pointer + len(self._data)

    @property
    def records(self) -> List[Tuple[int, bytes]]:
        return [(self.pointer, bytes(self._data))]

    def address(self, name: str) -> int:
        return self.pointer + self._fields[name][0]

    def align(self, alignment: int) -> int:
        self._data += bytes(-len(self._data) % alignment)
        return self.end

    def add(self, fields: Iterable[Field], prefix: str = "") -> int:
        """Appends fields, named prefix + name; returns their address."""
        start = self.end
        for name, data in fields:
            self._fields[prefix + name] = (len(self._data), len(data))
            self._data += data
        return start

    def set(self, name: str, value: Union[int, bytes]) -> "Layout":
        """Overwrites a field with an integer, taken modulo the field's size, or with raw bytes,
        which may run past the field."""
        offset, size = self._fields[name]
        if isinstance(value, int):
            value = (value % (1 << 8 * size)).to_bytes(size, "little")
        assert offset + len(value) <= len(self._data), f"{name} would grow the structure"
        self._data[offset : offset + len(value)] = value
        return self


def u8(name: str, value: int = 0) -> Field:
    return Field(name, value.to_bytes(1, "little"))


def u16(name: str, value: int = 0) -> Field:
    return Field(name, value.to_bytes(2, "little"))


def u32(name: str, value: int = 0) -> Field:
    return Field(name, value.to_bytes(4, "little"))


def u64(name: str, value: int = 0) -> Field:
    return Field(name, value.to_bytes(8, "little"))


def raw(name: str, data: bytes) -> Field:
    return Field(name, data)


def string(name: str, text: Text) -> Field:
    return Field(name, (text if isinstance(text, bytes) else text.encode()) + b"\0")


def _add_string(layout: Layout, pointer: str, name: str, text: Optional[Text]) -> None:
    """Appends a text, if there is one, and sets the field that points to it."""
    if text is not None:
        layout.set(pointer, layout.add([string(name, text)]))


# PVH: Xen's public start_info.h.


def pvh_info(
    at: int,
    *,
    version: int = 1,
    flags: int = 0,
    memory_map: Iterable[MemoryRange] = (),
    modules: Iterable[Module] = (),
    cmdline: Optional[Text] = None,
    rsdp: int = 0,
) -> Layout:
    """hvm_start_info; version 0 has no memory map. Fields by their names in start_info.h, and
    memmap[i].addr/.size/.type/.reserved, modlist[i].paddr/.size/.cmdline_paddr/.reserved, cmdline,
    modlist[i].cmdline."""
    modules, memory_map = list(modules), list(memory_map)
    layout = Layout(at)
    layout.add([u32("magic", 0x336EC578), u32("version", version), u32("flags", flags)])
    layout.add([u32("nr_modules", len(modules)), u64("modlist_paddr"), u64("cmdline_paddr")])
    layout.add([u64("rsdp_paddr", rsdp)])
    if version >= 1:
        layout.add([u64("memmap_paddr"), u32("memmap_entries", len(memory_map)), u32("reserved")])
        if memory_map:
            layout.set("memmap_paddr", _add_pvh_memory_map(layout, memory_map))
    if modules:
        layout.set("modlist_paddr", _add_pvh_modules(layout, modules))
    _add_string(layout, "cmdline_paddr", "cmdline", cmdline)
    for i, module in enumerate(modules):
        _add_string(layout, f"modlist[{i}].cmdline_paddr", f"modlist[{i}].cmdline", module.cmdline)
    return layout


def _add_pvh_memory_map(layout: Layout, memory_map: List[MemoryRange]) -> int:
    start = layout.align(8)
    for i, (address, size, kind) in enumerate(memory_map):
        entry = [u64("addr", address), u64("size", size), u32("type", kind), u32("reserved")]
        layout.add(entry, f"memmap[{i}].")
    return start


def _add_pvh_modules(layout: Layout, modules: List[Module]) -> int:
    start = layout.align(8)
    for i, module in enumerate(modules):
        place = [u64("paddr", module.paddr), u64("size", module.bytes)]
        layout.add(place + [u64("cmdline_paddr"), u64("reserved")], f"modlist[{i}].")
    return start


# Multiboot 1: specification 0.6.96, section 3.3.

MULTIBOOT1_MAGIC = 0x2BADB002  # in EAX

_MB1_MEMORY, _MB1_BOOT_DEVICE, _MB1_CMDLINE, _MB1_MODULES = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MB1_MEMORY_MAP, _MB1_LOADER_NAME, _MB1_FRAMEBUFFER = 1 << 6, 1 << 9, 1 << 12


def multiboot1_info(
    at: int,
    *,
    memory: Optional[Tuple[int, int]] = None,
    boot_device: Optional[int] = None,
    cmdline: Optional[Text] = None,
    modules: Optional[Iterable[Module]] = None,
    memory_map: Optional[Iterable[MemoryRange]] = None,
    loader_name: Optional[Text] = None,
    framebuffer: Optional[Framebuffer] = None,
) -> Layout:
    """Multiboot 1 information; what is None has its flag clear. `memory` is (lower, upper) in KiB.
    Fields by their names in the specification, mmap[i].size/.base_addr/.length/.type,
    mods[i].mod_start/.mod_end/.string/.reserved; strings are cmdline_text, loader_name_text and
    mods[i].text."""
    layout = Layout(at)
    layout.add(_mb1_header(memory, boot_device, framebuffer))
    flags = {
        _MB1_MEMORY: memory,
        _MB1_BOOT_DEVICE: boot_device,
        _MB1_CMDLINE: cmdline,
        _MB1_MODULES: modules,
        _MB1_MEMORY_MAP: memory_map,
        _MB1_LOADER_NAME: loader_name,
        _MB1_FRAMEBUFFER: framebuffer,
    }
    layout.set("flags", sum(flag for flag, value in flags.items() if value is not None))
    if memory_map is not None:
        _add_mb1_memory_map(layout, list(memory_map))
    if modules is not None:
        _add_mb1_modules(layout, list(modules))
    _add_string(layout, "cmdline", "cmdline_text", cmdline)
    _add_string(layout, "boot_loader_name", "loader_name_text", loader_name)
    return layout


def _mb1_header(memory, boot_device, framebuffer: Optional[Framebuffer]) -> List[Field]:
    lower, upper = memory or (0, 0)
    fields = [u32("flags"), u32("mem_lower", lower), u32("mem_upper", upper)]
    fields += [u32("boot_device", boot_device or 0), u32("cmdline")]
    fields += [u32("mods_count"), u32("mods_addr"), raw("syms", bytes(16))]
    fields += [u32("mmap_length"), u32("mmap_addr"), u32("drives_length"), u32("drives_addr")]
    fields += [u32("config_table"), u32("boot_loader_name"), u32("apm_table")]
    fields += [raw("vbe", bytes(16))]
    return fields + _framebuffer_fields(framebuffer or _NO_FRAMEBUFFER)


def _framebuffer_fields(f: Framebuffer) -> List[Field]:
    """The same in both versions, but for two reserved bytes before the colours in version 2."""
    fields = [u64("framebuffer_addr", f.paddr), u32("framebuffer_pitch", f.pitch)]
    fields += [u32("framebuffer_width", f.width), u32("framebuffer_height", f.height)]
    fields += [u8("framebuffer_bpp", f.bpp), u8("framebuffer_type", f.kind)]
    return fields + [raw("color_info", f.color_info)]


def _add_mb1_memory_map(layout: Layout, memory_map: List[MemoryRange]) -> None:
    start = layout.align(4)
    for i, (address, size, kind) in enumerate(memory_map):
        entry = [u64("base_addr", address), u64("length", size), u32("type", kind)]
        layout.add([u32("size", 20)] + entry, f"mmap[{i}].")
    layout.set("mmap_addr", start).set("mmap_length", layout.end - start)


def _add_mb1_modules(layout: Layout, modules: List[Module]) -> None:
    layout.set("mods_addr", layout.align(4)).set("mods_count", len(modules))
    for i, module in enumerate(modules):
        place = [u32("mod_start", module.paddr), u32("mod_end", module.paddr + module.bytes)]
        layout.add(place + [u32("string"), u32("reserved")], f"mods[{i}].")
    for i, module in enumerate(modules):
        _add_string(layout, f"mods[{i}].string", f"mods[{i}].text", module.cmdline)


# Multiboot 2: specification 2.0, section 3.6.

MULTIBOOT2_MAGIC = 0x36D76289  # in EAX


def multiboot2_info(at: int, tags: Iterable[Tag], *, end_tag: bool = True) -> Layout:
    """Multiboot 2 information. Fields: total_size, reserved, tags[i].type/.size and the tag's own;
    the end tag is the last of them."""
    layout = Layout(at)
    layout.add([u32("total_size"), u32("reserved")])
    for i, tag in enumerate(list(tags) + [Tag(0, [])] * end_tag):
        layout.align(8)
        size = 8 + sum(len(field.data) for field in tag.fields)
        layout.add([u32("type", tag.kind), u32("size", size)] + tag.fields, f"tags[{i}].")
    return layout.set("total_size", layout.end - at)


def tag_cmdline(text: Text) -> Tag:
    return Tag(1, [string("string", text)])


def tag_loader_name(text: Text) -> Tag:
    return Tag(2, [string("string", text)])


def tag_module(module: Module) -> Tag:
    place = [u32("mod_start", module.paddr), u32("mod_end", module.paddr + module.bytes)]
    return Tag(3, place + [string("string", module.cmdline or "")])


def tag_basic_memory(lower_kib: int, upper_kib: int) -> Tag:
    return Tag(4, [u32("mem_lower", lower_kib), u32("mem_upper", upper_kib)])


def tag_memory_map(memory_map: Iterable[MemoryRange], entry_size: int = 24) -> Tag:
    """Fields entry_size, entry_version, entries[i].base_addr/.length/.type/.reserved."""
    fields = [u32("entry_size", entry_size), u32("entry_version")]
    for i, (address, size, kind) in enumerate(memory_map):
        fields += [u64(f"entries[{i}].base_addr", address), u64(f"entries[{i}].length", size)]
        fields += [u32(f"entries[{i}].type", kind)]
        fields += [raw(f"entries[{i}].reserved", bytes(entry_size - 20))]
    return Tag(6, fields)


def tag_framebuffer(framebuffer: Framebuffer) -> Tag:
    fields = _framebuffer_fields(framebuffer)
    return Tag(8, fields[:-1] + [u16("reserved")] + fields[-1:])


def tag_rsdp(table: bytes) -> Tag:
    """A copy of the RSDP: 20 bytes of ACPI 1.0, or 36 of a later one."""
    return Tag(14 if len(table) == 20 else 15, [raw("rsdp", table)])


def tag_efi_table(paddr: int, bits: int = 64) -> Tag:
    if bits == 32:
        return Tag(11, [u32("pointer", paddr)])
    return Tag(12, [u64("pointer", paddr)])


def tag_efi_memory_map(descriptors: Iterable[MemoryRange], stride: int = 48) -> Tag:
    """Fields descr_size, descr_vers, efi[i].type/.start/.pages; `descriptors` are (start, pages,
    EFI memory type)."""
    fields = [u32("descr_size", stride), u32("descr_vers", 1)]
    for i, (start, pages, kind) in enumerate(descriptors):
        fields += [u32(f"efi[{i}].type", kind), raw(f"efi[{i}].pad", bytes(4))]
        fields += [u64(f"efi[{i}].start", start), raw(f"efi[{i}].virtual", bytes(8))]
        fields += [u64(f"efi[{i}].pages", pages), raw(f"efi[{i}].rest", bytes(stride - 32))]
    return Tag(17, fields)


def tag_load_base(paddr: int) -> Tag:
    return Tag(21, [u32("load_base_addr", paddr)])


# Linux: Documentation/arch/x86/boot.rst and zero-page.rst.

LINUX_E820_MOST = 128
_LINUX_E820_AT = 0x2D0
_SETUP_E820_EXT = 1


def linux_boot_params(
    at: int,
    *,
    memory_map: Iterable[MemoryRange] = (),
    cmdline: Optional[Text] = None,
    ramdisk: Optional[Module] = None,
    rsdp: int = 0,
    version: int = 0x20F,
    header_end: int = 0x26C,
    efi: bool = False,
) -> Layout:
    """boot_params, with what it points to behind it. Fields by their names in the protocol, and
    e820[i].addr/.size/.type, cmdline; what 128 entries do not hold is setup_data[0], with the
    fields .next, .type, .len, .e820[i].*."""
    memory_map = list(memory_map)
    layout = Layout(at)
    layout.add([raw("screen_info", bytes(0x40)), raw("between", bytes(0x30))])
    layout.add([u64("acpi_rsdp_addr", rsdp), raw("before_high", bytes(0x48))])
    layout.add([u32("ext_ramdisk_image"), u32("ext_ramdisk_size"), u32("ext_cmd_line_ptr")])
    layout.add([raw("before_efi", bytes(0xF4)), raw("efi_signature", b"EL64" if efi else bytes(4))])
    layout.add([raw("before_count", bytes(0x24)), u8("e820_entries"), raw("k", bytes(6))])
    layout.add([u8("sentinel"), u8("k2"), u8("setup_sects"), raw("k3", bytes(12))])
    layout.add([u16("boot_flag", 0xAA55), u8("jump", 0xEB), u8("header_rest", header_end - 0x202)])
    layout.add([raw("header", b"HdrS"), u16("version", version), raw("k4", bytes(8))])
    layout.add([u8("type_of_loader", 0xB0), u8("loadflags", 1), raw("k5", bytes(6))])
    layout.add([u32("ramdisk_image"), u32("ramdisk_size"), raw("k6", bytes(8))])
    layout.add([u32("cmd_line_ptr"), raw("k7", bytes(16)), u32("hardware_subarch")])
    layout.add([raw("k8", bytes(16)), u64("setup_data"), raw("k9", bytes(0x2D0 - 0x258))])
    assert layout.end - at == _LINUX_E820_AT, hex(layout.end - at)
    here, more = memory_map[:LINUX_E820_MOST], memory_map[LINUX_E820_MOST:]
    _add_linux_e820(layout, here, "")
    layout.set("e820_entries", len(here))
    layout.add([raw("rest", bytes(4096 - (layout.end - at)))])
    if ramdisk:
        _set_halves(layout, "ramdisk_image", "ext_ramdisk_image", ramdisk.paddr)
        _set_halves(layout, "ramdisk_size", "ext_ramdisk_size", ramdisk.bytes)
    if cmdline is not None:
        start = layout.add([string("cmdline", cmdline)])
        _set_halves(layout, "cmd_line_ptr", "ext_cmd_line_ptr", start)
    if more:
        start = layout.align(8)
        size = 20 * len(more)
        layout.add([u64("next"), u32("type", _SETUP_E820_EXT), u32("len", size)], "setup_data[0].")
        _add_linux_e820(layout, more, "setup_data[0].")
        layout.set("setup_data", start)
    return layout


def _add_linux_e820(layout: Layout, memory_map: List[MemoryRange], prefix: str) -> None:
    for i, (address, size, kind) in enumerate(memory_map):
        entry = [u64("addr", address), u64("size", size), u32("type", kind)]
        layout.add(entry, f"{prefix}e820[{i}].")


def _set_halves(layout: Layout, low: str, high: str, value: int) -> None:
    layout.set(low, value).set(high, value >> 32)
