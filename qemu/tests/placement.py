"""Linux's, vmd's and FreeBSD's contracts: where modules and the loader's structures lie.
Touching the image they are whole; on the image they are refused, with both ranges named."""

from dataclasses import replace
from typing import Callable, Dict, Iterable, Sequence

import bsd_loaders
import e820
import feeding
import machine
import modes
from any_loader import FREEBSD, LINUX, VMD, Load, Placed, expect_exactly, fed
from cases import Case
from guests import expected_paging
from handoff_report import GIB, MIB, PAGE, Range, expect_memory, expect_not_usable, expect_report
from images import Image
from memory_model import expected_map
from refusals import TIMEOUT, expect_fatal, filled_in, wrong

_ODD = 0x345000
_MODES = {LINUX: (modes.PROTECTED32, modes.COMPAT32, modes.LONG64),
          VMD: (modes.PROTECTED32, modes.COMPAT32, modes.PAGED32),
          FREEBSD: (modes.PROTECTED32, modes.PAE32)}
_TEXT = b"touches".ljust(5000, b".")


def placed(name: str, load: Load, place: Callable[[Load], Load], cpu: str = "max",
           **options) -> Case:
    """`place` completes the load, whose image's place is known."""

    def function() -> None:
        done = place(load)
        report = expect_exactly(done, machine.run(fed(done, cpu=cpu, **options)),
                                **expected_paging("demo", cpu))
        expect_not_usable(report, [range(m.start, m.end) for m in done.marks()])

    where = f"image at {load.base:#x}, {load.contract} in {load.mode} on {cpu}"
    return Case(f"placement: {name}, {where}", function)


def image_end(load: Load) -> int:
    return load.marks()[0].end


def information_behind(load: Load) -> Load:
    return replace(load, info_at=image_end(load))


def module_behind(load: Load) -> Load:
    return replace(load, modules=[Placed(image_end(load), _TEXT)])


def module_before(load: Load) -> Load:
    return replace(load, modules=[Placed(load.base - len(_TEXT), _TEXT)])


def all_behind(load: Load) -> Load:
    """The module, and at its last byte's heels the information."""
    behind = module_behind(load)
    return replace(behind, info_at=behind.modules[-1].end)


def all_before(load: Load) -> Load:
    """The information ends where the module begins, and that where the image begins."""
    before = module_before(load)
    information = replace(before, info_at=0).information()
    return replace(before, info_at=before.modules[0].start - information.end)


_WITH_MODULES = {"a module behind": module_behind, "a module before": module_before,
                 "a module and the information behind": all_behind,
                 "the information and a module before": all_before}


def touching() -> Iterable[Case]:
    for contract, entered in _MODES.items():
        for mode, cpu in ((mode, cpu) for mode in entered for cpu in ("max", "qemu64")):
            load = Load(contract, mode=mode, base=_ODD,
                        cmdline=None if contract == VMD else "a b")
            yield placed("information behind", load, information_behind, cpu)
            for name, place in {} if contract == VMD else _WITH_MODULES.items():
                yield placed(name, load, place, cpu)


def userboot_packs_them(cpu: str) -> Case:
    """Modules from .bss's last byte on, each at the end of the one before, then the records."""

    def function() -> None:
        path = Load(FREEBSD).path
        image = Image(path)
        first = Placed(image.end, _TEXT, "/boot/kernel/a.ko")
        modules = (first, Placed(first.end, b"second", "/boot/b"))
        records, registers, end = bsd_loaders.userboot(image, modules=modules, cmdline="-v")
        report = expect_report(
            machine.run(feeding.feed(records, registers, cpu=cpu)), path, loader="freebsd",
            cmdline="-v", modules=[(m.start, len(m.contents), m.cmdline) for m in modules],
            **expected_paging("demo", cpu))
        expect_memory(report, expected_map(bsd_loaders.RAM_128M, [
            Range(MIB, image.end, "kernel"), Range(image.end, end, "loader"),
            Range(bsd_loaders.USERBOOT_STACK, bsd_loaders.USERBOOT_STACK_END, "loader"),
            *(Range(m.start, m.end, "module") for m in modules)]))

    return Case(f"placement: userboot packs modules behind .bss, on {cpu}", function)


# On the image: in a part of .bss that nothing is written to before the loader's words are read,
# unless it is cleared, as by Linux's entry.

_SPARE = "prologue_early_pd"  # begins a page


def module(at: int) -> str:
    return f"module: {at:x} to {at + len(_TEXT):x}"


def on_image(load: Load, name: str, fields: Dict[str, int], what: str,
             damage: Sequence = ()) -> Case:
    return wrong(f"{name} on the image, in {load.mode}", load,
                 f"{what} lies on the kernel image (<image> to <image end>)", fields, damage)


def refused() -> Iterable[Case]:
    image = Image(Load(VMD).path)
    at, last, before = image.physical(_SPARE), image.end - 1, MIB + 1 - len(_TEXT)
    structure = f"information: {at:x} to {at + PAGE:x}"
    for load in (Load(contract, mode=mode) for contract in _MODES for mode in _MODES[contract]):
        yield on_image(replace(load, info_at=at), "all", {}, structure)
    for mode in _MODES[LINUX]:
        load = Load(LINUX, mode=mode, modules=[Placed(0x300000, _TEXT)])
        yield on_image(load, "command line", {"cmd_line_ptr": at}, structure)
        yield on_image(load, "setup_data", {"setup_data": at}, structure)
        yield on_image(load, "initrd", {"ramdisk_image": at}, module(at))
        yield on_image(load, "initrd's first byte", {"ramdisk_image": last}, module(last))
        yield on_image(load, "initrd's last byte", {"ramdisk_image": before}, module(before))
    load = Load(VMD)
    yield on_image(load, "list", {"list": at}, structure, _copied(load, "args[0].type", at))
    load = Load(FREEBSD, modules=[Placed(0x300000, _TEXT)])
    address = "file[1].address.data"
    yield on_image(load, "bootinfo", {"bootinfo": at}, structure, _copied(load, "bi.version", at))
    yield on_image(load, "environment", {"bi.envp": at}, structure)
    yield on_image(load, "module", {address: at}, module(at))
    yield on_image(load, "module's last byte", {address: before}, module(before))


def _copied(load: Load, first: str, at: int) -> list:
    """What the loader has from that field on, at another place too."""
    information = load.information()
    ((start, data),) = information.records
    return [(at - load.base, data[information.address(first) - start:])]


_LARGE = {"memory": "7G", "machine": "pc,max-ram-below-4g=4G"}
_ABOVE = Load(LINUX, mode=modes.LONG64, base=0x140001000, cmdline="a b",
              memory_map=e820.simple(0xC0000000, 3 * GIB))


def on_a_high_image(mode: str) -> Case:
    """Above 4 GiB, where a change of depth wants the loader's map before all else."""
    at = Image(_ABOVE.path).physical(_SPARE, _ABOVE.base)
    load = replace(_ABOVE, mode=mode, info_at=at)

    def run() -> tuple:
        message = f"information: {at:x} to {at + PAGE:x} lies on the kernel image " \
                  "(<image> to <image end>)"
        return machine.run(fed(load, timeout=TIMEOUT, **_LARGE)), filled_in(message, load)

    return Case(f"placement: the information on an image above 4 GiB, in {mode}",
                lambda: expect_fatal(*run()))


CASES = [
    *touching(),
    *map(on_a_high_image, modes.MODES_64),
    *(placed(name, _ABOVE, place, cpu, **_LARGE) for name, place in _WITH_MODULES.items()
      for cpu in ("max", "qemu64")),
    *(userboot_packs_them(cpu) for cpu in ("max", "qemu64")),
    *refused(),
]
