"""The memory map that a kernel ought to get, from what its loader said: counted, not merged.

Written from handoff.h alone, as the map's second opinion.
"""

from collections import Counter
from typing import Iterable, Iterator, List, Tuple

from handoff_report import KINDS, PAGE, Range, merged, page_down, page_up

_E820_KINDS = {1: "usable", 3: "acpi", 4: "nvs", 5: "bad"}
_LAST_PAGE = 2**64 - PAGE


def expected_map(raw: Iterable[Tuple[int, int, int]], marks: Iterable[Range]) -> List[Range]:
    """`raw` are a loader's ranges (start, bytes, e820 type); `marks` what lies in memory."""
    return list(_flatten([*map(_rounded_range, raw), *map(_grown, marks)]))


def _rounded_range(entry: Tuple[int, int, int]) -> Range:
    start, size, kind = entry[0], entry[1], _E820_KINDS.get(entry[2], "reserved")
    if kind != "usable":
        return _grown(Range(start, start + size, kind))
    return Range(max(page_up(start), PAGE), page_down(start + size), kind)


def _grown(r: Range) -> Range:
    if r.start == r.end:
        return r
    return Range(page_down(r.start), min(page_up(r.end), _LAST_PAGE), r.kind)


def _flatten(ranges: List[Range]) -> Iterator[Range]:
    """Between each two places where something begins or ends, what covers it stays the same; the
    most restrictive kind is the one that counts; but a module's bytes are the module's."""
    ranges = [r for r in ranges if r.start < r.end]
    changes = sorted(
        [(r.start, KINDS.index(r.kind), 1) for r in ranges]
        + [(r.end, KINDS.index(r.kind), -1) for r in ranges]
    )
    return iter(merged(_pieces(changes)))


def _strength(kind: int) -> float:
    """Stronger than all but the kernel is a module."""
    return KINDS.index("bad") + 0.5 if KINDS[kind] == "module" else kind


def _pieces(changes: List[Tuple[int, int, int]]) -> Iterator[Range]:
    covering: Counter = Counter()
    for (at, kind, change), following in zip(changes, [*changes[1:], None]):
        covering[kind] += change
        strongest = max((k for k, count in covering.items() if count > 0), key=_strength,
                        default=None)
        if following and following[0] != at and strongest is not None:
            yield Range(at, following[0], KINDS[strongest])
