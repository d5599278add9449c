"""Prologue's own kernel from the state files, under the SEV host: it finds what the loader left,
and reports an exception at the worst moments. bsd_loaders.py is the second account of both."""

from pathlib import Path

import bsd_loaders
import cases
import guest
import machine
import reports
import sev_guest
import worst_moments
from any_loader import Placed
from cases import Case
from guests import expected_paging
from handoff_report import MIB, PAGE, Range, expect_memory, expect_report, page_up
from images import Image
from memory_model import expected_map
from sev_guest import Run
from worst_moments import MOMENTS, Moment

_STATES = cases.ROOT / "qemu/sevhost/states"
_KERNELS = {4: "demo-every", 5: "demo-five-every", 0: "demo-best-every"}
_MEMORY = 64 * MIB
_VMD = {"vmd": bsd_loaders.LEFT_OVER, "vmd-compat": bsd_loaders.COMPATIBILITY,
        "vmd-paged": bsd_loaders.PAGED}
_USERBOOT = "freebsd"
_CPU = "max,phys-bits=52"


def _kernel(levels: int = 4) -> Path:
    return cases.BUILD / f"{_KERNELS[levels]}.elf"


def _start(kernel: Path, state: Path, sev: str = "none") -> sev_guest.Result:
    return sev_guest.run(Run(kernel, sev=sev, memory=f"{_MEMORY // MIB}M", state=state))


def _handoff(kernel: Path, result: sev_guest.Result, levels: int, **expected):
    """The report alone, and not what the host says behind it."""
    assert result.outcome == machine.OK, result.outcome
    report, end, _ = result.serial.partition("result: ok\n")
    plain = machine.Result(report + end, "", "", _status_of(machine.OK))
    return expect_report(plain, kernel, load_base=MIB, **expected,
                         **expected_paging("demo", _CPU, levels))


def _status_of(outcome: str) -> int:
    return next(status for status, name in guest.OUTCOMES.items() if name == outcome)


# The files that come with the host.


def vmd(name: str, levels: int) -> Case:
    def function() -> None:
        kernel = _kernel(levels)
        report = _handoff(
            kernel, _start(kernel, _STATES / f"{name}.state"), levels, loader="vmd", cmdline="",
            modules=[], entry_mode=bsd_loaders.VMD_MODES[_VMD[name]], boot_device="0xa0000004",
            console="0x800 port 0x3f8 9600 0")
        assert "howto" not in report.fields and "mac" not in report.fields
        expect_memory(report, expected_map([(0, 0x9F000, 1), (MIB, _MEMORY - MIB, 1)], [
            Range(MIB, Image(kernel).end, "kernel"),
            Range(bsd_loaders.VMD_LIST, bsd_loaders.VMD_LIST + 1, "loader"),
            Range(bsd_loaders.VMD_STACK, bsd_loaders.VMD_STACK + 1, "loader")]))

    return Case(f"sev loaders: {name}, wish {levels}", function)


_USERBOOTS_RAM = ((0, 0xA0000, 1), (MIB, _MEMORY - MIB, 1))
_USERBOOTS_STACK = Range(bsd_loaders.USERBOOT_STACK, bsd_loaders.USERBOOT_STACK_END, "loader")


def freebsd(levels: int) -> Case:
    def function() -> None:
        kernel = _kernel(levels)
        report = _handoff(kernel, _start(kernel, _STATES / f"{_USERBOOT}.state"), levels,
                          loader="freebsd", cmdline="", modules=[], howto="0x80000000")
        assert report.environment == ["console=comconsole"], report.environment
        end = page_up(Image(kernel).end)
        expect_memory(report, expected_map(_USERBOOTS_RAM, [
            Range(MIB, end, "kernel"), Range(end, end + 2 * PAGE, "loader"), _USERBOOTS_STACK]))

    return Case(f"sev loaders: freebsd, wish {levels}", function)


# The same registers, and in memory what else these loaders can say.


def _state_saying(name: str, kernel: Path, records: list) -> Path:
    """The file's registers, and these records; the host itself places the image."""
    directory = cases.scratch_directory()
    registers = (_STATES / f"{name}.state").read_text().partition("\nat ")[0]
    lines = [registers]
    for i, (at, data) in enumerate(records[len(Image(kernel).records()):]):
        (directory / f"{i}.bin").write_bytes(data)
        lines.append(f"at {at:#x}\nfile {i}.bin\n")
    path = directory / f"{name}.state"
    path.write_text("\n".join(lines))
    return path


def vmd_says_all(name: str) -> Case:
    def function() -> None:
        kernel = _kernel()
        image = Image(kernel)
        records, _ = bsd_loaders.vmd(image, _VMD[name], mac=bytes.fromhex("fee1bad12301"), howto=2,
                                     device=0xA0000400, memory_map=_USERBOOTS_RAM)
        report = _handoff(
            kernel, _start(kernel, _state_saying(name, kernel, records)), 4, loader="vmd",
            cmdline="", modules=[], entry_mode=bsd_loaders.VMD_MODES[_VMD[name]], howto="0x2",
            boot_device="0xa0000400", console="0x800 port 0x3f8 9600 0",
            mac="0xfe 0xe1 0xba 0xd1 0x23 0x1")
        symbols = Range(image.end, image.end + len(bsd_loaders.VMD_SYMBOLS), "loader")
        assert any(r.start <= page_up(symbols.start) and symbols.end <= r.end
                   for r in report.of_kind("loader")), f"{symbols} is not the loader's"

    return Case(f"sev loaders: {name}, a MAC and symbols", function)


_MODULES = (Placed(0x300000, b"m" * 5000, "/boot/kernel/a.ko"),
            Placed(0x302000, b"n" * 0x1000, "/boot/b"))
_ENVIRONMENT = ("console=comconsole", "boot_verbose=", "x=a b")


def freebsd_says_all() -> None:
    kernel = _kernel()
    image = Image(kernel)
    records, _, end = bsd_loaders.userboot(
        image, memory_map=_USERBOOTS_RAM, modules=_MODULES, cmdline="-v verbose",
        environment=_ENVIRONMENT, howto=0x800)
    report = _handoff(
        kernel, _start(kernel, _state_saying(_USERBOOT, kernel, records)), 4, loader="freebsd",
        cmdline="-v verbose", howto="0x80000800",
        modules=[(m.start, len(m.contents), m.cmdline) for m in _MODULES])
    assert tuple(report.environment) == _ENVIRONMENT, report.environment
    expect_memory(report, expected_map(_USERBOOTS_RAM, [
        Range(MIB, image.end, "kernel"), Range(image.end, end, "loader"), _USERBOOTS_STACK,
        *(Range(m.start, m.end, "module") for m in _MODULES)]))


# One exception at each moment from each file; tests/moments.py has them all.


def raises(name: str, moment: Moment) -> Case:
    def function() -> None:
        raised = worst_moments.raised_at(moment)[0]
        kernel, at = worst_moments.kernel_raising(_kernel(), moment, raised)
        result = _start(kernel, _STATES / f"{name}.state")
        assert result.outcome == machine.FATAL, result.outcome
        report = reports.parse(result.serial)
        worst_moments.expect_reported(report, kernel, moment, at, raised.vector, raised.error)

    return Case(f"sev loaders: {name}: {worst_moments.raised_at(moment)[0].title} {moment.title}",
                function)


# The same as an SEV-ES guest: its first #VC comes in the loader's state, and an exception is a
# code.


def boots_as_es(name: str) -> Case:
    def function() -> None:
        result = _start(_kernel(), _STATES / f"{name}.state", sev="es")
        assert result.outcome == machine.OK, result.outcome
        loader = name.partition("-")[0]
        assert result.lines(rf"^(loader: {loader}|sev: es)$") == [f"loader: {loader}", "sev: es"]
        assert result.lines(r"^  (\d+) IOIO \(0x7b\)$"), "no #VC was served"

    return Case(f"sev loaders: {name}, SEV-ES", function)


def ends_as_es(name: str) -> Case:
    """In 64-bit mode, which alone is reached on the same way."""
    moment = next(moment for moment in MOMENTS if moment.bits == 64)
    raised = worst_moments.raised_at(moment)[0]

    def function() -> None:
        kernel, _ = worst_moments.kernel_raising(_kernel(), moment, raised)
        result = _start(kernel, _STATES / f"{name}.state", sev="es")
        assert result.outcome == sev_guest.TERMINATED, result.outcome
        assert result.lines(r"reason set 10, reason (\d+)") == [str(0x80 + raised.vector)]

    return Case(f"sev loaders: {name}, SEV-ES: {raised.title} {moment.title}", function)


CASES = [
    *(vmd(name, levels) for name in _VMD for levels in _KERNELS),
    *(freebsd(levels) for levels in _KERNELS),
    *map(vmd_says_all, _VMD),
    Case("sev loaders: freebsd, modules and a command line", freebsd_says_all),
    *(raises(name, moment) for name in (*_VMD, _USERBOOT) for moment in MOMENTS),
    *map(boots_as_es, (*_VMD, _USERBOOT)),
    *map(ends_as_es, (*_VMD, _USERBOOT)),
]
