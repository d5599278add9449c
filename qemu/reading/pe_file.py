"""What a PE file's headers say. Source: Microsoft's PE format."""

import struct
from typing import Dict, NamedTuple

_PE_AT = 0x3C  # in the file, where the header stands
_SECTION_COUNT, _OPTIONAL_BYTES, _OPTIONAL = 6, 20, 24  # in that
_IMAGE_BYTES, _HEADERS_BYTES, _CHARACTERISTICS = 56, 60, 70  # in what is called optional
_SECTION_BYTES = 40
CODE, EXECUTE, WRITE = 0x20, 0x20000000, 0x80000000
NX_COMPAT = 0x100


class Section(NamedTuple):
    address: int  # in the image
    memory: int  # bytes there
    place: int  # in the file
    size: int
    rights: int


class Headers(NamedTuple):
    image_bytes: int
    headers_bytes: int
    characteristics: int
    sections: Dict[str, Section]


def headers_of(image: bytes) -> Headers:
    start, = struct.unpack_from("<I", image, _PE_AT)
    count, = struct.unpack_from("<H", image, start + _SECTION_COUNT)
    optional, = struct.unpack_from("<H", image, start + _OPTIONAL_BYTES)
    table = start + _OPTIONAL + optional
    sections = {}
    for at in range(table, table + count * _SECTION_BYTES, _SECTION_BYTES):
        name, memory, address, size, place, rights = struct.unpack_from("<8sIIII12xI", image, at)
        sections[name.rstrip(b"\0").decode()] = Section(address, memory, place, size, rights)
    field = lambda kind, at: struct.unpack_from(kind, image, start + _OPTIONAL + at)[0]
    return Headers(field("<I", _IMAGE_BYTES), field("<I", _HEADERS_BYTES),
                   field("<H", _CHARACTERISTICS), sections)
