#!/usr/bin/python3
"""Counts what Prologue costs, exactly and the same on every run: guest instructions from the
loader's jump to the first 64-bit instruction and to kernel_main, accesses that a VM pays for,
bytes added to an image, bytes held at the handoff. Beside each stands what it should not exceed.

The maps are given by the feeder, so that they do not depend on QEMU's version. Only the last line
depends on the machine: how many exits a second the SEV host carries.
"""

import os
import re
import sys
from dataclasses import dataclass
from typing import Optional

import rooms  # noqa: F401, the harness's folders
import any_loader
import bsd_loaders
import cases
import composers
import count
import efi_exit
import exit_rate
import feeding
import footprint
import images
import machine
import modes
import pages
import sev_guest

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
USABLE, RESERVED = 1, 2
WINDOWS = (0xFFFF800000000000, 0xFF00000000000000)
INFO_AT = 0x2000
QEMU = os.environ.get("QEMU") or "qemu-system-x86_64"
MODULE = (0x4000000, 5000)

# Ten sorted ranges of a PC with 6 GiB; edges of RAM above the first MiB lie at GiBs.
TEN_RANGES = [
    (0, 0xA0000, USABLE),
    (0xA0000, 0x60000, RESERVED),
    (MIB, 2 * GIB - MIB, USABLE),
    (0xB0000000, 0x10000000, RESERVED),
    (0xFEC00000, 0x1000, RESERVED),
    (0xFED00000, 0x1000, RESERVED),
    (0xFEE00000, 0x1000, RESERVED),
    (0xFFFC0000, 0x40000, RESERVED),
    (4 * GIB, 4 * GIB, USABLE),
    (0xFD00000000, 0x300000000, RESERVED),
]
MORE = 40
FURTHER = [(0x10000000000 + 2 * i * GIB, GIB, RESERVED) for i in range(MORE)]
# The same RAM, in ranges that do not end at any large page's edge.
RAGGED = [
    (start, size, kind) if start != MIB else (start, size - 0x20000, kind)
    for start, size, kind in TEN_RANGES
]


TEN_SORTED = "to kernel_main: ten sorted ranges, one module"
EACH_FURTHER = "  each further sorted range"
BYTES_ADDED = "bytes added to an image, without SEV guests"
BYTES_OF_CPUS = "  bytes of an image that starts them"
BYTES_OF_SEV_CPUS = "  and in SEV guests"
LOW_PAGE = 0x9d000  # the highest two below SeaBIOS's share begin there
BYTES_WITH_SEV = "  with SEV guests, as by default"
BYTES_OF_SEV = "  of these, what only SEV guests need"
BYTES_WITH_CONTRACTS = "  without them, with the contracts linux, vmd and freebsd"
PAGES = "pages of memory touched first, to kernel_main"
SINCE_EXIT = "from ExitBootServices' return to kernel_main"
ABOVE_4_GIB = "to the 64-bit stage: Linux, 64-bit, above 4 GiB"
# Where these are over their limits, they must not grow further.
NEVER_MORE = {TEN_SORTED: 7580, EACH_FURTHER: 65, BYTES_ADDED: 31140, BYTES_WITH_SEV: 49200,
              BYTES_OF_CPUS: 7910, BYTES_OF_SEV: 18050, BYTES_WITH_CONTRACTS: 39450,
              ABOVE_4_GIB: 292}


@dataclass
class Row:
    what: str
    value: float
    limit: Optional[float] = None
    remark: str = ""

    def __str__(self) -> str:
        value = f"{self.value:,.1f}" if self.value % 1 else f"{int(self.value):,}"
        limit = "" if self.limit is None else f"{int(self.limit):,}"
        mark = "" if self.limit is None else ("ok" if self.value <= self.limit else "OVER")
        return f"{self.what:<58}{value:>10}{limit:>9}  {mark:<5}{self.remark}".rstrip()


def counted(kernel, memory_map=TEN_RANGES, cpu="max", start=None, until="kernel_main"):
    """The count of a PVH boot with this map and one module, through the feeder."""
    return counted_script(kernel, fed(images.Image(kernel), memory_map), until, cpu, start)


def fed(image, memory_map=TEN_RANGES):
    """The feeder's script of that boot."""
    info = composers.pvh_info(
        INFO_AT, memory_map=memory_map, modules=[composers.Module(*MODULE, "init arg")],
        cmdline="console=ttyS0 root=/dev/ram0")
    registers = feeding.Registers(ebx=info.pointer, eip=image.pvh_entry())
    return cases.scratch_file(feeding.script(image.records() + info.records, registers))


def counted_script(kernel, script, until, cpu, start=None, **options):
    """The count of what the feeder's script enters."""
    options = {"windows": WINDOWS, "memory": "2G", **options}
    result = count.count(
        str(kernel), until=until, start=start, boot=str(cases.BUILD / "feeder.elf"),
        initrd=str(script), cpu=cpu, **options,
        qemu=QEMU, qemu_args=["-serial", "null"])
    assert result.reached, result.ended
    return result.tally


def kernel(name):
    return cases.BUILD / f"{name}.elf"


def table_entries(kernel_path, memory_map):
    """Leaves of 4 KiB and 2 MiB that the direct map of this map needs, with 1 GiB pages."""
    image = images.Image(kernel_path)
    edges = {image.base}
    for segment in image.segments:
        edges.add(segment.paddr & ~0xFFF)
    edges.add(max(s.paddr + s.memsz for s in image.segments) + 0xFFF & ~0xFFF)
    for start, size, kind in memory_map:
        if kind == USABLE:
            edges |= {max(start, 0x1000), start + size}
    gibs = {edge // GIB for edge in edges if edge % GIB}
    pages = {edge // (2 * MIB) for edge in edges if edge % (2 * MIB)}

    def in_ram(start, size):
        return any(kind == USABLE and base < start + size and start < base + length
                   for base, length, kind in memory_map)
    large = sum(in_ram(gib * GIB + i * 2 * MIB, 2 * MIB) and gib * 512 + i not in pages
                for gib in gibs for i in range(512))
    small = sum(in_ram(page * 2 * MIB + i * 4096, 4096) and page * 512 + i != 0
                for page in pages for i in range(512))
    return large + small


def way_up():
    plain = counted(kernel("demo"))
    yield Row("to the first IDT",
              counted(kernel("demo"), until="prologue_idt32_stands").until.instructions)
    yield Row("to the first 64-bit instruction", plain.first64.instructions, 64)
    yield Row("  with five levels, more",
              counted(kernel("demo-best")).first64.instructions - plain.first64.instructions, 16)
    yield Row("  with 2 MiB pages",
              counted(kernel("demo"), cpu="qemu64").first64.instructions, 2600)


# mov %eax, %ss with a loader's magic in EAX: #GP, in the two bytes of the RDMSR.
LOAD_BAD_SS = bytes((0x8E, 0xD0))


def sev_test():
    """What runs between the first instruction that only asks for an SEV guest, and the first that
    does not, where there is none."""
    yield Row("to know that this is no SEV guest", of_sev_test(kernel("demo")), 6)
    faulting = images.patch(kernel("demo"), "sev_status_read", LOAD_BAD_SS)
    yield Row("  where the read of SEV_STATUS faults",
              of_sev_test(faulting, "prologue_reports32") - 2, 12)  # SS is loaded besides


def of_sev_test(path, until="no_sev"):
    return counted(path, start="sev_test", until=until).until.instructions


def to_kernel():
    plain = counted(kernel("demo")).until
    small_pages = table_entries(kernel("demo"), TEN_RANGES)
    yield Row(TEN_SORTED, plain.instructions,
              2400 + 2 * small_pages,
              f"2,400 and 2 for each of {small_pages} entries below 1 GiB")
    ragged_pages = table_entries(kernel("demo"), RAGGED)
    ragged = counted(kernel("demo"), RAGGED).until.instructions
    yield Row("  an edge of RAM off the large pages: each entry more",
              (ragged - plain.instructions) / (ragged_pages - small_pages), 2,
              f"{ragged_pages - small_pages} entries")
    further = counted(kernel("demo"), TEN_RANGES + FURTHER).until.instructions
    yield Row(EACH_FURTHER, (further - plain.instructions) / MORE, 60)
    reversed_map = TEN_RANGES + FURTHER[::-1]
    inversions = MORE * (MORE - 1) // 2
    yield Row("  each inversion",
              (counted(kernel("demo"), reversed_map).until.instructions - further) / inversions, 12)
    yield Row("  REP instructions", plain.reps)
    yield Row("  their iterations: bytes cleared or copied", plain.rep_iterations)
    yield Row("CPUIDs", plain.cpuid, 3)
    yield Row("  with five levels", counted(kernel("demo-best")).until.cpuid, 4)
    yield Row("MSR accesses", plain.rdmsr + plain.wrmsr, 4)
    yield Row("port accesses", plain.port_in + plain.port_out, 0)
    yield Row("to kernel_main without SEV guests",
              counted(kernel("demo-nosev")).until.instructions)
    yield Row("to kernel_main with five levels",
              counted(kernel("demo-best")).until.instructions)
    yield Row("to kernel_main with 2 MiB pages",
              counted(kernel("demo"), cpu="qemu64").until.instructions)


def ways_in():
    """From each contract's entry, in each mode, to the first instruction of the 64-bit stage."""
    for contract, mode, what in WAYS_IN:
        load = any_loader.Load(contract, kernel="demo-every", mode=mode, cmdline="a b")
        script = cases.scratch_file(any_loader.script(load))
        wide = mode in modes.MODES_64
        until = "prologue_start64_wide" if wide else "prologue_start64"
        if wide:
            first = counted_script(load.path, script, "prologue_idt64_stands", "max")
            yield Row(f"to the first IDT: {what}", first.until.instructions)
        tally = counted_script(load.path, script, until, "max")
        yield Row(f"to the 64-bit stage: {what}", tally.until.instructions, 250 if wide else 90)


def stacks():
    """The contracts that are known by a stack, in each state that their loaders leave."""
    image = images.Image(kernel("demo-every"))
    ways = [(f"vmd, {state}", bsd_loaders.vmd(image, state)) for state in bsd_loaders.VMD_STATES]
    ways += [("FreeBSD's userboot", bsd_loaders.userboot(image)[:2])]
    for what, (records, registers) in ways:
        script = cases.scratch_file(feeding.script(records, registers))
        tally = counted_script(image.path, script, "prologue_start64", "max")
        yield Row(f"to the 64-bit stage: {what}", tally.until.instructions, 90)


WAYS_IN = (
    (any_loader.MULTIBOOT1, modes.PROTECTED32, "Multiboot 1"),
    (any_loader.MULTIBOOT2, modes.PROTECTED32, "Multiboot 2"),
    (any_loader.LINUX, modes.PROTECTED32, "Linux, 32-bit"),
    (any_loader.MULTIBOOT2, modes.PAGED32, "32-bit paging on"),
    (any_loader.MULTIBOOT2, modes.PAE32, "PAE paging on"),
    (any_loader.MULTIBOOT2, modes.COMPAT32, "compatibility mode"),
    (any_loader.LINUX, modes.LONG64, "Linux, 64-bit"),
)


def depth():
    """A 64-bit entry that changes paging's depth, with the image above 4 GiB: the change alone,
    and all of its price over an entry that needs none."""
    plain = deep_entry(modes.LONG64, "demo-every").until.instructions
    yield Row(ABOVE_4_GIB, plain, 250)
    for mode, kernel_name, what in DEPTHS:
        alone = deep_entry(mode, kernel_name, "prologue_toggles_depth", "prologue_toggled_depth")
        yield Row(f"a change of depth, {what}", alone.until.instructions, 20)
        change = deep_entry(mode, kernel_name)
        there = sum(times for name, times in change.profile()
                    if any(part in name for part in OF_THE_CHANGE))
        yield Row("  with its two pages found, saved and put back", there, 300)
        yield Row("  and the loader's information read for that",
                  change.until.instructions - plain)


def behind_uefi():
    """Real firmware's map, with ranges by the dozen; the stub's last steps are counted too."""
    figures = efi_exit.since_exit("demo-every", WINDOWS, QEMU)
    yield Row(SINCE_EXIT, figures.instructions, 12000, "OVMF with 256 MiB, its map as it is")
    yield Row("  their iterations: bytes cleared or copied", figures.rep_iterations)


# "?" is what runs in the two pages.
OF_THE_CHANGE = ("find_low_pages", "change_depth", "prologue_switch_depth", "toggle", "own_cs", "?")
LOW_PAGES = (0x9D000, 0x2000)  # where they are found, with QEMU's BIOS
DEPTHS = (
    (modes.LONG64, "demo-five-every", "from four levels to five"),
    (modes.LONG64_FIVE, "demo-every", "from five levels to four"),
)


def deep_entry(mode, kernel_name, start="prologue_linux64_entry", until="prologue_start64_wide"):
    load = any_loader.Load(any_loader.LINUX, kernel=kernel_name, mode=mode, base=5 * GIB,
                           memory_map=TEN_RANGES)
    moved = load.base - MIB
    image = images.Image(load.path)
    start, until = (hex(image.physical(symbol, load.base)) for symbol in (start, until))
    script = cases.scratch_file(any_loader.script(load))
    ranges = count.Image(str(load.path), (moved,)).ranges() + [LOW_PAGES]
    tally = counted_script(load.path, script, until, "max", start=start, windows=(moved,),
                           memory="7G", ranges=ranges)
    return tally


def of_library(path, member=""):
    """What the library, or one object in it, adds to a kernel."""
    return footprint.footprint(str(path.with_suffix(".map")), str(path), member=member)


def sizes():
    added, with_sev = of_library(kernel("demo-nosev")), of_library(kernel("demo"))
    yield size_row(BYTES_ADDED, added, 24 * KIB)
    yield size_row(BYTES_WITH_SEV, with_sev, 36 * KIB)
    yield Row(BYTES_OF_SEV, with_sev["file"] - added["file"], 12 * KIB)
    every = kernel("demo-nosev-every")
    of_multiboot1 = of_library(every, "multiboot1.o")["file"]
    yield Row("  without them, with the contracts linux, vmd and freebsd",
              of_library(every)["file"] - of_multiboot1, 32 * KIB)
    yield held_row("bytes held at the handoff, 512 GiB with 1 GiB pages", "demo-nosev", added,
                   128 * KIB)
    yield held_row("  with SEV guests", "demo", with_sev)


# Instructions on the way that the TSS needs: its GDT, data selectors, LTR.
OF_TSS = 7


def processors():
    """A second processor's way, which alone runs in these ranges; and what all of it takes."""
    path = kernel("cpus-four")
    symbols = images.Image(path).symbols
    lands = symbols["prologue_ap_lands"]
    ranges = [(LOW_PAGE, 0x1000), (lands, symbols["prologue_ap_lands_end"] - lands),
              (symbols["second_main"], 4)]
    result = count.count(str(path), until="second_main", start=hex(LOW_PAGE), ranges=ranges,
                         memory="256M", qemu=QEMU,
                         qemu_args=["-smp", "2", "-serial", "null"])
    assert result.reached, result.ended
    yield Row("another processor, from SIPI to its entry", result.tally.until.instructions,
              60 + OF_TSS)
    for others in (1, 4, 16, 64):
        yield Row(f"  the boot processor's, {others} to start, without its waits",
                  of_boot_processor(path, others))
    one, many = times_to_start(path, 64)
    yield Row("  the time of 64, in times that of one", many / one, 2,
              f"{many // 1000:,} and {one // 1000:,} us")
    members = ("ap_start", "apic", "clock", "find_cpus", "peephole", "start_cpus", "madt",
               "low_pages", "small_pages")
    of_sev = ("start_sev_cpus", "ap_start_sev", "vmsa")
    for what, names, limit in ((BYTES_OF_CPUS, members, 3 * KIB),
                               (BYTES_OF_SEV_CPUS, of_sev, None)):
        yield Row(what, sum(of_library(path, f"{name}.o")["file"] for name in names), limit)


# Whose loops last as long as what is waited for: a time, or the others.
OF_WAITING = ("wait_for_all", "wait_microseconds", "Clock")


def of_boot_processor(path, others):
    """Of a start of that many. Waits are short where an instruction takes a microsecond."""
    image = count.Image(str(path))
    result = count.count(str(path), start="prologue_start_cpus", until="read_tsc", processor=0,
                         ranges=image.functions("prologue") + image.functions("read_tsc"),
                         append="once", memory="256M", qemu=QEMU,
                         qemu_args=[*clocked(10), "-smp", str(others + 1), "-serial", "null"])
    assert result.reached, result.ended
    return sum(times for name, times in result.tally.profile()
               if not any(part in name for part in OF_WAITING))


def times_to_start(path, others):
    """In ns, of one and then, in the same run, of that many: an instruction of any of them takes
    four, and they run one after the other."""
    serial = machine.run(machine.Boot(
        kernel=path, append="one once", memory="256M", timeout=60,
        extra=(*clocked(2), "-smp", str(others + 2)))).expect(machine.OK).serial
    one, many = (int(ticks, 16) for ticks in re.findall(r"^ticks: (\S+)\r?$", serial, re.MULTILINE))
    return one, many


def clocked(shift):
    """QEMU's clock goes by instructions, 2 ** shift ns each: the same on every run."""
    return "-icount", f"shift={shift},sleep=off"


def size_row(what, added, limit):
    return Row(what, added["file"], limit,
               f"code {added['code']:,}, rodata {added['rodata']:,}, data {added['data']:,}")


def held_row(what, name, added, limit=None):
    report = machine.run(machine.Boot(kernel=kernel(name), memory="512G", machine="q35")).serial
    held = sum(int(end, 16) - int(start, 16) for start, end in re.findall(
        r"^memory: (0x[0-9a-f]+) (0x[0-9a-f]+) prologue", report, re.MULTILINE))
    return Row(what, held + added["nobits"], limit,
               f"tables and handoff {held:,}, .bss {added['nobits']:,}")


def pages_touched():
    """Each is a nested fault where a hypervisor gives memory when it is touched. Beside ours those
    of kernels that others built, where they were fetched."""
    path = str(kernel("demo"))
    yield page_row(PAGES, pages.touched(
        path, {images.Image(path).pvh_entry()}, count.Image(path).run_addresses("kernel_main"),
        options=["-initrd", str(cases.scratch_file(bytes(MODULE[1])))], qemu=QEMU), 40)
    debian = cases.BUILD / "debian"
    for what, path, options in OTHERS_PAGES:
        if (debian / path).exists():
            yield page_row(what, pages.of_boot(str(debian / path), qemu=QEMU, **options))


# Linux's decompressor runs at 1 MiB, and what it decompressed at 16 MiB; Xen's way to 64-bit mode
# leads through the BIOS's memory, and asks for a screen.
OTHERS_PAGES = (
    ("  Debian's Linux, to its first 64-bit instruction", "vmlinuz", {}),
    ("  and decompressed, to the kernel's first", "vmlinuz",
     {"start": "0x100000", "until": "0x1000000", "append": "nokaslr"}),
    ("  Debian's Xen, to its first 64-bit instruction", "loaders/xen",
     {"start": "0x200000", "ranges": [(0, 0xA0000), (0x200000, 8 * MIB)],
      "qemu_args": ["-vga", "std"]}),
)


def page_row(what, new, limit=None):
    return Row(what, len(new.others), limit, f"and {len(new.image):,} of the image's own")


def sev_guest_costs():
    """What an SEV guest asks of its host, but for SNP's own pages."""
    for what, name, sev, host, most in (
            ("SEV-ES, four levels", "demo", "es", "", 2),
            ("SEV-ES, nothing preset", "demo", "es", "sev-info-not-preset", 2),
            ("SEV-ES, five levels", "demo-best", "es", "", 3),
            ("SNP with a CPUID page", "demo", "snp", "", 0)):
        said = sev_guest.run(sev_guest.Run(kernel(name), sev=sev, hostile=host,
                                           memory="64M")).serial
        asked = re.findall(r"^  (\d+) (?:CPUID|SEV information) ",
                           said.partition("requests by the GHCB MSR:")[2], re.MULTILINE)
        yield Row(f"VMGEXITs to the GHCB page: {what}", sum(map(int, asked)), most)


def sev_host():
    yield Row("exits a second under the SEV host", exit_rate.exits_a_second(),
              remark="wall time: at least 50,000 where nothing else runs")


def main() -> int:
    print(f"{'guest instructions, QEMU TCG, PVH, -cpu max, four levels':<58}{'':>10}{'at most':>9}")
    for part in (way_up, sev_test, ways_in, stacks, depth, to_kernel, behind_uefi, pages_touched,
                 sizes, processors, sev_guest_costs, sev_host):
        for row in part():
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
