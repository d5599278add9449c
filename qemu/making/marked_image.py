"""A bzImage whose EFI stub tells the SEV host that it is about to enter the kernel: what is before
that, a firmware's boot, is not what a test is about."""

import struct
from pathlib import Path

import cases
from images import Image
from wrong_pe import Pe

# The end of prologue_efi_enter: xorl %ebp, %ebp; xorl %edi, %edi; jmpq *%rax. In its place a jump
# behind the code, to the same and, before the last, VMMCALL with the marker in EAX.
_END = bytes.fromhex("31ed31ffffe0")
_MARKING = bytes.fromhex("31ed31ff 4989c0 b84d41524b 0f01d9 41ffe0")
_BYTES, _FILE_BYTES, _PLACE = 8, 16, 20  # of a section


def marked_image(kernel: str) -> Path:
    pe = Pe(cases.BUILD / f"{kernel}.bzImage")
    size, room, place = (pe.section_field(".text", field)
                         for field in (_BYTES, _FILE_BYTES, _PLACE))
    assert room - size >= len(_MARKING), "there is no room behind the stub's code"
    enter = Image(cases.BUILD / "prologue-efi.elf").symbols["prologue_efi_enter"]
    at, tail = pe.bytes.index(_END, place + enter), place + size
    pe.bytes[tail:tail + len(_MARKING)] = _MARKING
    pe.bytes[at:at + len(_END)] = b"\xe9" + struct.pack("<i", tail - (at + 5)) + b"\x90"
    pe.section(".text", _BYTES, room)
    return pe.saved()
