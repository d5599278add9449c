"""ACPI tables of our own, for a loader that puts them where they say they lie."""

import struct
from dataclasses import dataclass

MADT, XSDT, RSDT = b"APIC", b"XSDT", b"RSDT"
_MAILBOX_OFFSET = 0x1000


def _sealed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([-(sum(data) - data[at]) % 256]) + data[at + 1:]


def table(signature: bytes, body: bytes) -> bytes:
    """A table whose length and checksum are right."""
    head = signature + struct.pack("<IBB6s8sI4sI", 36 + len(body), 1, 0, b"OWN", b"OWN", 1, b"OWN",
                                   1)
    return _sealed(head + body, 9)


def apic(apic_id: int, enabled: bool = True) -> bytes:
    return struct.pack("<BBBBI", 0, 8, apic_id, apic_id, enabled)


def x2apic(apic_id: int, enabled: bool = True) -> bytes:
    return struct.pack("<BBHIII", 9, 16, 0, apic_id, enabled, apic_id)


def mailbox(phys: int) -> bytes:
    return struct.pack("<BBHIQ", 16, 16, 0, 0, phys)


def madt(entries: bytes) -> bytes:
    return table(MADT, struct.pack("<II", 0xFEE00000, 1) + entries)


@dataclass(frozen=True)
class Tables:
    """RSDP, XSDT, MADT, and a page that can be a mailbox, from `at` on; as of ACPI 1.0 with an
    RSDT, and behind it in the RSDP what means nothing there."""

    at: int
    madt: bytes
    is_first: bool = False  # ACPI 1.0
    rsdp_lie: tuple = ()  # (offset, bytes) that stand there instead, sealed or not
    xsdt_lie: tuple = ()

    @property
    def mailbox(self) -> int:
        return self.at + _MAILBOX_OFFSET

    def image(self) -> bytes:
        xsdt_at, madt_at = self.at + 0x40, self.at + 0x2000
        rsdp = b"RSD PTR \0OWN   \2" + struct.pack("<IIQ4x", 0, 36, xsdt_at)
        xsdt = table(XSDT, struct.pack("<QQ", self.at + 0x800, madt_at))
        if self.is_first:
            rsdp = b"RSD PTR \0OWN   \0" + struct.pack("<IIQ4x", xsdt_at, 36, self.at + 0x800)
            xsdt = table(RSDT, struct.pack("<II", self.at + 0x800, madt_at))
        rsdp = _sealed(_sealed(rsdp[:20], 8) + rsdp[20:], 32)
        parts = {0: _lied(rsdp, self.rsdp_lie), 0x40: _lied(xsdt, self.xsdt_lie),
                 0x2000: self.madt}
        image = bytearray(0x2000 + len(self.madt))
        for at, part in parts.items():
            image[at:at + len(part)] = part
        return bytes(image)


def _lied(data: bytes, lie: tuple) -> bytes:
    if not lie:
        return data
    at, instead = lie
    return data[:at] + instead + data[at + len(instead):]
