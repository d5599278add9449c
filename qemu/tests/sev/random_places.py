"""A kernel at a random place in SEV guests: by the processor's own randomness, and where it was
loaded."""

import cases
import sev_guest
from cases import Case
from handoff_report import MIB
from sev_guest import Run
from tests.random_places import place

_KERNEL = cases.BUILD / "sums-random-every.elf"


def boots_differ(sev: str) -> Case:
    """Physically they do not: where a guest's pages lie the host knows."""

    def function() -> None:
        guest = Run(_KERNEL, sev=sev, memory="64M")
        one, other = (place(sev_guest.run(guest)) for _ in range(2))
        assert one[0] == other[0] == MIB and one[1:] != other[1:], (one, other)

    return Case(f"sev: a kernel at a random place, {sev}", function)


CASES = [*map(boots_differ, ("sev", "es", "snp"))]
