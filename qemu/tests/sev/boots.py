"""Prologue's kernels as SEV guests, under the SEV host: they boot the same way as anywhere, and end
by a reason of their own where the host is not to be believed (docs/sev.md)."""

import functools
import re
import subprocess
import tempfile
from pathlib import Path

import cases
import images
import machine
import sev_guest
import sev_states
from cases import Case
from images import Image
from sev_codes import CODES, REASON_SET
from sev_guest import Run

_C_BITS = (51, 47)
_ENCRYPTED = ("sev", "es", "snp")
_ES = ("es", "snp")
_MEMORY = 64 << 20
_4_GIB = 4 << 30
_HOSTS_SECRETS_PAGE = 0x94000  # where the SEV host has it for Linux's protocol
_UD2 = b"\x0f\x0b"
_STILL_FITS, _LONG, _VERY_LONG = 150, 400, 10_000  # ranges: .bss has room for the first
_KERNELS = {4: "demo-every", 5: "demo-best-every"}
_ENTRIES = ("pvh", "linux32", "pvh64", "linux64")
_MODES = {"pvh": "protected32", "linux32": "protected32", "pvh64": "long64", "linux64": "long64"}

# What qemu/kernels/sev_calls.cpp keeps to itself, and what it shows.
_CANARY, _SHOWN = 0x5ec7e7a1b2c3d4e5, 0x51a7ede1f2a3b4c5
_KERNELS_CODE = 0xc5
_CALLS = {"none": {"cpuid", "ports", "a", "its"}}
_CALLS["sev"] = _CALLS["none"] | {"share", "unshare"}
_CALLS["es"] = _CALLS["sev"] | {"vmgexit", "its"}
_CALLS["snp"] = _CALLS["es"] | {"accept"}
_LEAKS = {"leak-port": "at port 0xcf8", "leak-page": "in the GHCB page, offset 0x318",
          "leak-memory": "in shared memory"}


def _exception(vector: int) -> int:
    return 0x80 + vector


def _elf(name: str) -> Path:
    return cases.BUILD / f"{name}.elf"


def _terminated(result: sev_guest.Result, *codes: int) -> None:
    said = result.lines(r"^sevhost: the guest terminated at .*: reason set (\d+), reason (\d+)")
    assert result.outcome == sev_guest.TERMINATED, result.outcome
    assert [(int(a), int(b)) for a, b in said] in [[(REASON_SET, code)] for code in codes], said


def _requests(result: sev_guest.Result, name: str) -> int:
    counts = result.lines(rf"^  (\d+) {name}")
    return int(counts[-1]) if counts else 0


def _bzimage(kernel: Path, directory: str) -> Path:
    image = Path(directory) / "bzimage"
    subprocess.run(["linker/prologue-bzimage", "--setup", cases.BUILD / "prologue-linux16.bin",
                    kernel, image], cwd=cases.ROOT, check=True)
    return image


def _guest(entry: str, levels: int, directory: str) -> dict:
    kernel = _elf(_KERNELS[levels])
    state = Path(directory) / "state"
    if entry == "linux32":
        return {"image": _bzimage(kernel, directory)}
    if entry == "pvh64":
        return {"image": kernel, "state": sev_states.pvh64(state)}
    if entry == "linux64":
        return {"image": kernel, "accept": "all",
                "state": sev_states.linux64(state, _MEMORY)}
    return {"image": kernel}


def _boots(entry: str, levels: int, sev: str, c_bit: int, cpu: str = "") -> None:
    with tempfile.TemporaryDirectory() as directory:
        result = sev_guest.run(Run(**_guest(entry, levels, directory), sev=sev, c_bit=c_bit,
                                   memory="64M", cmdline="as any other", cpu=cpu))
    result.expect(machine.OK, rf"^sev: {sev}$", f"^c-bit: {1 << c_bit:#x}$", "^result: ok$",
                  rf"^entry-mode: {_MODES[entry]}$", f"^paging: {levels}-level$",
                  rf"^ghcb: {'0x0' if sev == 'sev' else '0x[1-9a-f][0-9a-f]*000'}$")


def _ends_at_a_structure_beyond_the_c_bit() -> None:
    """PVH's list of modules, one of them, where the C-bit is: what is at 0 is not it."""
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.pvh64(Path(directory) / "state")
        with state.open("a") as more:
            more.write("at 0x9600c\nu32 1 0 1\n")
        result = sev_guest.run(Run(_elf("demo-best-every"), c_bit=32, memory="64M", state=state))
    _terminated(result, CODES["FATAL"])
    said = re.sub(r"(.)\1", r"\1", result.serial)  # by serial port and debug console
    assert "pvh module list: ? bytes at ?" in said, said


def _has_c_bit_everywhere(result: sev_guest.Result, c_bit: int) -> None:
    """In CR3 and in each table's entry on the way to where the guest ended."""
    walk = "".join(result.lines(r"^  RIP 0x\w+: .*$"))
    words = [*result.lines(r"^  cr0 .* cr3 (0x\w+)"), *re.findall(r"=(0x\w+)", walk)]
    assert len(words) >= 4, walk
    assert all(int(word, 16) >> c_bit & 1 for word in words), words


def _ends_beyond_the_c_bit(sev: str) -> None:
    """Memory from the C-bit on: its entry would show the memory at 0."""
    result = sev_guest.run(Run(_elf("demo-best"), sev=sev, c_bit=32, memory="64M", high="64M"))
    if sev == "sev":
        assert result.outcome == machine.FATAL, result.outcome
    else:
        _terminated(result, CODES["FATAL"])
        _has_c_bit_everywhere(result, 32)


def _says_the_same(kernel: str, sev: str) -> None:
    plain, encrypted = (_forms(kernel, kind) for kind in ("none", sev))
    assert plain == encrypted, [pair for pair in zip(plain, encrypted) if pair[0] != pair[1]]


# The plain one, too, has nothing that goes with what it lacks: the host's guests see one CPU.
_ONE_CPU = "max,phys-bits=52,-xsave,-fma,-avx,-avx2,-f16c,-vaes,-vpclmulqdq,-pku,-mpx"


@functools.lru_cache(None)
def _forms(kernel: str, sev: str) -> list:
    result = sev_guest.run(Run(_elf(kernel), sev=sev, memory="64M", timeout=60,
                               cpu=_ONE_CPU))
    result.expect(machine.OK, "^result: ok$")
    lines = result.serial.splitlines()
    return [_FEATURES.sub(_without_monitor, line) for line in lines[1:lines.index("result: ok")]]


# CPUID 1, by the version that QEMU's CPU has; its ECX. MONITOR is offered to no SEV-ES guest.
_FEATURES = re.compile(r"^(cpuid: 0x60fb1 \S+) (\S+)")
_MONITOR = 1 << 3


def _without_monitor(cpuid: "re.Match[str]") -> str:
    return f"{cpuid[1]} {int(cpuid[2], 16) & ~_MONITOR:#x}"


def _reports_no_memory(where: str, sev: str) -> None:
    """A host of plain SEV has the registers anyway, but no byte of memory."""
    kernel = images.patch(_elf("demo"), where, _UD2)
    result = sev_guest.run(Run(kernel, sev=sev, memory="64M"))
    result.expect(machine.FATAL, r"^prologue: fatal: #UD invalid opcode \(vector 6\), ",
                  "^prologue:  cs=", "^prologue:  [er]ax=")
    shown = re.findall("^prologue:  (bytes|stack):", result.serial, re.MULTILINE)
    assert set(shown) == (set() if sev == "sev" else {"bytes", "stack"}), shown


def _ends(what: str, sev: str, *codes: int) -> None:
    result = sev_guest.run(Run(_elf("forms"), sev=sev, memory="64M", cmdline=what))
    _terminated(result, *codes)
    _has_c_bit_everywhere(result, 51)
    assert "result:" not in result.serial


def _goes_on(what: str, sev: str, *lines: str) -> None:
    result = sev_guest.run(Run(_elf("forms"), sev=sev, memory="64M", cmdline=what))
    result.expect(machine.FATAL, *lines, "^result: went on$")


def _exits(levels: int, sev: str, most: int, msr: int, hostile: str = "") -> None:
    """Those up to the GHCB page are all by its MSR."""
    result = sev_guest.run(Run(_elf(_KERNELS[levels]), sev=sev, memory="64M", hostile=hostile))
    result.expect(machine.OK)
    cpuids, infos = _requests(result, "CPUID .0x4."), _requests(result, "SEV information")
    assert cpuids + infos <= most, (cpuids, infos)
    total = sum(int(count) for count in re.findall(
        r"^  (\d+) ", result.serial.partition("requests by the GHCB MSR:")[2], re.MULTILINE))
    assert total == cpuids + infos + msr, total


def _boots_with_many_ranges(pieces: int, sev: str) -> None:
    """Where the map is longer than .bss is, as SNP its memory is accepted before there is one. A
    kernel that prints ten thousand ranges would take its time."""
    kernel = "c_kernel" if pieces == _VERY_LONG else "demo"
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.pvh_many_ranges(Path(directory) / "state", 2 * _MEMORY, pieces)
        result = sev_guest.run(Run(_elf(kernel), sev=sev, state=state, memory="128M",
                                   trace="memory", timeout=60))
    result.expect(machine.OK, "^result: ok$")
    if kernel == "demo":
        assert len(result.lines("^memory: .* reserved$")) >= pieces // 2
    if sev == "snp":
        assert len(_accepted_once(result)) > pieces // 2


_VMD_STATES = ("vmd", "vmd-compat", "vmd-paged")


def _boots_on_vmm(state: str, levels: int) -> None:
    """From each state of vmd's, without asking what vmm does not answer: CPUID by the MSR, and by
    the page only the ports of what the kernel prints."""
    result = sev_guest.run(Run(
        _elf(_KERNELS[levels]), host="vmm", memory="64M",
        state=cases.ROOT / f"qemu/sevhost/states/{state}.state"))
    result.expect(machine.OK, "^result: ok$", "^loader: vmd$", "^sev: es$")
    _, _, told = result.serial.partition("requests by the GHCB page:\n")
    assert re.findall(r"^  \d+ (\w+)", told, re.MULTILINE) == ["IOIO", "CPUID"], told


def _boots_after_another(sev: str) -> None:
    """The GHCB MSR holds a firmware's GHCB: SEV_INFO is asked for, and a page of one's own
    opened."""
    result = sev_guest.run(Run(_elf("demo"), sev=sev, host="firmware", memory="64M"))
    result.expect(machine.OK, "^result: ok$", f"^sev: {sev}$")
    assert _requests(result, "SEV information") == 1


def _is_told_once_of_small_pages() -> None:
    """A host that has nothing else is tried twice; each page costs one nested fault."""
    result = sev_guest.run(Run(_elf("demo"), sev="snp", rmp="4k", memory="64M", trace="memory"))
    result.expect(machine.OK, "^result: ok$")
    assert result.lines(r"^pvalidate \S+ 2M set -> (\d+)") == ["6", "6"]
    pages = len(_accepted_once(result))
    assert 15_000 < pages < int(result.lines(r"^  (\d+) nested fault")[0]) < pages + 200


def _takes_large_pages() -> None:
    result = sev_guest.run(Run(_elf("demo"), sev="snp", rmp="2m", memory="64M", trace="memory"))
    result.expect(machine.OK, "^result: ok$")
    large = result.lines(r"^pvalidate \S+ 2M set -> (\d+)")
    assert len(large) > 28 and large.count("0") == len(large), large


def _boots_behind_a_firmware(write, c_bit: int) -> None:
    """What it has validated is validated by nobody again, what it calls unaccepted is. Its blob and
    its pages lie in usable memory, and are marked there."""
    with tempfile.TemporaryDirectory() as directory:
        state = write(Path(directory) / "state", _MEMORY, c_bit)
        result = sev_guest.run(Run(_elf("demo-every"), sev="snp", state=state, memory="64M",
                                   c_bit=c_bit, trace="memory"))
    result.expect(machine.OK, "^result: ok$", "^cmdline: by a firmware$", "^sev: snp$")
    _, unaccepted = sev_states.FIRMWARES
    assert _accepted_once(result) == set(range(unaccepted >> 12, _MEMORY >> 12))
    memory = [(int(start, 16), int(end, 16), kind)
              for start, end, kind in result.lines(r"^memory: (0x\w+) (0x\w+) (\w+)$")]
    ours = [(start, end, kind)
            for start, end, kind in memory if start < _MEMORY and end > unaccepted]
    assert [kind for _, _, kind in ours] == ["usable", "prologue"], memory
    assert ours[0][0] <= unaccepted and ours[0][1] == ours[1][0] and ours[1][1] == _MEMORY, memory
    for page in (sev_states.SECRETS_PAGE, sev_states.CPUID_PAGE, *sev_states.FIRMWARES_TABLES):
        assert [kind for start, end, kind in memory if start <= page < end] == ["loader"], page
    assert not result.lines("by the GHCB MSR:\n(?:.*\n)*?.*CPUID"), "the host was asked for CPUID"


def _ends_behind_a_firmware(change: dict) -> None:
    """One whose tables make no sense, or that has emptied the CPUID page."""
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.multiboot2_firmware(Path(directory) / "state", _MEMORY, 51)
        with state.open("a") as more:
            more.writelines(f"at {at:#x}\nu32 {value:#x}\n" for at, value in change.items())
        result = sev_guest.run(Run(_elf("demo-every"), sev="snp", state=state, memory="64M"))
    _terminated(result, CODES["CPUID_PAGE"])


def _keeps_secrets_page(behaviour: str) -> None:
    """What the blob and the map say of it does not matter: it is never memory for everyone."""
    with tempfile.TemporaryDirectory() as directory:
        result = sev_guest.run(Run(_bzimage(_elf("demo-every"), directory), sev="snp",
                                   memory="64M", hostile=behaviour, canary=_CANARY))
    result.expect(machine.OK, "^result: ok$")
    _keeps_the_canary(result)
    assert result.lines(f"^sevhost: hostile: {behaviour} acts"), "it does not act"
    kinds = [kind for start, end, kind in result.lines(r"^memory: (0x\w+) (0x\w+) (\w+)$")
             if int(start, 16) <= _HOSTS_SECRETS_PAGE < int(end, 16)]
    assert kinds == ["loader"], kinds


def _takes_its_own_places(told: tuple, *codes: int) -> None:
    """A blob may tell the places that the image's notes ask for, each for its own page."""
    image = Image(_elf("demo-every"))
    places = [image.physical("prologue_snp_pages") + 0x1000 * place for place in told]
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.multiboot2_hosts_firmware(Path(directory) / "state", _MEMORY, *places)
        result = sev_guest.run(Run(image.path, sev="snp", state=state, memory="64M"))
    if codes:
        _terminated(result, *codes)
    else:
        result.expect(machine.OK, "^result: ok$", "^sev: snp$")


def _refuses_boot_services(c_bit_in_cr3: bool) -> None:
    """Of a firmware's CR3 nothing tells: edk2's has no C-bit, whose tables are private anyway."""
    kernel = Image(_elf("demo-services"))
    entry = kernel.physical("prologue_boot_services")
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.multiboot2_efi64(Path(directory) / "state", entry)
        if not c_bit_in_cr3:
            state.write_text(re.sub(r"^(cr3 \w+)\|\$cbit$", r"\1", state.read_text(), flags=re.M))
        result = sev_guest.run(Run(kernel.path, sev="sev", state=state, memory="64M"))
    result.expect(machine.FATAL,
                  r"^prologue: fatal: entry: EFI is an SEV guest's, .* serve \(1, 0\)")


def _accepted_once(result: sev_guest.Result) -> set:
    """The pages that were validated, none of them twice."""
    accepted = set()
    for page, large in result.lines(r"^pvalidate (0x\w+) (2M|4K) set -> 0$"):
        first = int(page, 16) >> 12
        pages = range(first, first + (512 if large == "2M" else 1))
        assert not accepted.intersection(pages), page
        accepted.update(pages)
    return accepted


def _accepts(kernel: str, memory: int, mark: int, high: int = 0) -> None:
    """All usable memory below the mark was validated, page by page, and none twice."""
    result = sev_guest.run(Run(_elf(kernel), sev="snp", memory=f"{memory}M", high=f"{high}M",
                               trace="memory", timeout=40))
    result.expect(machine.OK)
    usable, rest = [], []
    for start, end, kind in result.lines(r"^memory: (0x\w+) (0x\w+) (\w+)$"):
        if kind in ("usable", "prologue"):
            usable.append((int(start, 16), int(end, 16)))
        elif kind == "unaccepted":
            rest.append((int(start, 16), int(end, 16)))
    accepted = _accepted_once(result)
    wanted = {page for start, end in usable for page in range(start >> 12, end >> 12)}
    assert wanted == accepted, (len(wanted), len(accepted))
    assert sum(page >= _4_GIB >> 12 for page in wanted) == high << 20 >> 12
    assert all(start >= mark for start, _ in rest), rest
    assert bool(rest) == (mark < memory << 20), rest


@functools.lru_cache(None)
def _behaviours() -> tuple:
    listed = sev_guest.run(Run(_elf("demo"), hostile="list", memory="32M")).serial
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|", listed, re.MULTILINE)
    assert len(rows) > 100, listed
    return tuple((name, kind, tuple(guests.split())) for name, kind, guests in rows)


def _memory_taken(behaviour: str, bits: int) -> None:
    """The handler of either width ends the guest, whichever page was taken. Without a CPUID page
    the first VMGEXIT, at which it is taken, is 32-bit mode's: so it is by Linux's protocol."""
    with tempfile.TemporaryDirectory() as directory:
        guest = {"image": _elf("demo")} if bits == 64 else _guest("linux64", 4, directory)
        result = sev_guest.run(Run(**guest, sev="snp", memory="64M", hostile=behaviour))
    _terminated(result, CODES["VC_NOT_VALIDATED"])
    assert bool(result.lines(r"^  cs 0x\w+ base 0x0 ")) == (bits == 64), "in the other width"


def _stack_of_vc_taken() -> None:
    """Then #VC cannot be delivered: the double fault's handler looks at no memory. At which VMGEXIT
    the page is among those that are taken, the boot decides."""
    taken = 0
    for occasion in range(2, 8):
        result = sev_guest.run(Run(_elf("demo"), sev="snp", memory="64M",
                                   hostile=f"page-unvalidated:{occasion}"))
        if "exception 29 with error code 0x404 cannot be delivered" in result.serial:
            _terminated(result, _exception(8))
            taken += 1
    assert taken, "never"


def _ends_below_vmpl_0() -> None:
    """Before any PVALIDATE, by a reason of its own."""
    result = sev_guest.run(Run(_elf("demo"), sev="snp", memory="64M", trace="memory",
                               hostile="launched-at-vmpl-1"))
    _terminated(result, CODES["VMPL"])
    assert not result.lines("^pvalidate ") and result.lines("^rmpadjust .* VMPL 1 -> 2$")


def _calls(sev: str) -> None:
    """Each line of the kernel's says what it tried, and that it was right."""
    result = sev_guest.run(Run(_elf("sev_calls"), sev=sev, memory="64M", canary=_CANARY))
    result.expect(machine.OK, "^result: ok$")
    _keeps_the_canary(result)
    told = set(result.lines(r"^(\w+)[^:\n]*:.* ok$"))
    assert told >= _CALLS[sev], told
    assert ("vmgexit: a string in the page's buffer" in result.serial) == (sev in _ES)


def _page_states_in_order() -> None:
    """What the host gets was rescinded before; what is taken back is validated after. That what
    it gets is not validated any more, the host sees to: only the order tells."""
    result = sev_guest.run(Run(_elf("sev_calls"), sev="snp", memory="64M", trace="memory"))
    result.expect(machine.OK)
    steps = result.lines(r"^(pvalidate|page state) (0x\w+) (4K clear|4K set|0x1000 -> \w+)")
    shared = [i for i, step in enumerate(steps) if step[2] == "0x1000 -> shared"]
    assert len(shared) == 3, shared  # the GHCB, and two pages of the kernel's
    for i in shared:
        assert steps[i - 1] == ("pvalidate", steps[i][1], "4K clear"), steps[i - 1:i + 1]
    back = steps.index(("page state", steps[shared[-1]][1], "0x1000 -> private"))
    assert steps[back + 1] == ("pvalidate", steps[back][1], "4K set"), steps[back:back + 2]


def _calls_end(sev: str) -> None:
    result = sev_guest.run(Run(_elf("sev_calls"), sev=sev, memory="64M", cmdline="end"))
    if sev == "sev":
        assert result.outcome == machine.FATAL, result.outcome
    else:
        _terminated(result, _KERNELS_CODE)


def _keeps_the_canary(result: sev_guest.Result) -> None:
    seen = result.lines(r"canary seen.*$")
    assert not seen, seen
    words = result.serial.lower()
    registers = words.find("the guest's registers:")  # which the host knows only as plain SEV
    for half in (_CANARY >> 32, _CANARY & 0xffffffff):
        assert f"{half:x}" not in words[:registers if registers >= 0 else None]


def _leaks(canary: int, cmdline: str, sev: str, where: str) -> None:
    result = sev_guest.run(Run(_elf("sev_calls"), sev=sev, memory="64M", canary=canary,
                               cmdline=cmdline))
    assert result.lines(f"^sevhost: canary seen {where}"), result.lines("canary.*$")


def _withstands(kinds: tuple, sev: str, part: int, parts: int) -> None:
    """Each behaviour: detected ends by a reason of ours, harmless boots; a host that denies, or
    cannot be found out, gets at least no word of what is secret."""
    wrong = []
    rows = [(name, kind) for name, kind, guests in _behaviours() if kind in kinds and sev in guests]
    for name, kind in rows[part::parts]:
        with tempfile.TemporaryDirectory() as directory:
            # Only Linux's protocol tells of SNP's pages by a blob.
            by_linux = name.startswith(("blob", "cmdline-at", "secrets-page-us"))
            image = _bzimage(_elf("demo-every"), directory) if by_linux else _elf("demo")
            result = sev_guest.run(Run(image, sev=sev, hostile=name, memory="64M", timeout=15,
                                       canary=_CANARY))
        _keeps_the_canary(result)
        acted = f"hostile: {name} acts" in result.serial
        reasons = result.lines(rf"^sevhost: the guest terminated at .*: reason set {REASON_SET},")
        ended_well = result.outcome == machine.OK
        if name.endswith(("-at-step", "storm")):
            continue  # at the first instruction nobody can do anything: see _at_steps, _storms
        if name == "gate-of-both-widths":
            continue  # where there is no gate, there is no word: see _gates
        right = {"detected": bool(reasons) or (ended_well and not acted),
                 "harmless": ended_well}.get(kind, True)
        if not right:
            wrong.append((name, kind, result.outcome))
    assert not wrong, wrong


def _left_out(kernel: str, state: bool, sev: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = sev_states.pvh64(Path(directory) / "state") if state else None
        result = sev_guest.run(Run(_elf(kernel), sev=sev, state=path, memory="64M"))
    if sev == "sev":
        assert result.outcome == machine.FATAL, result.outcome
    else:
        _terminated(result, CODES["LEFT_OUT"])


def _at_steps(behaviour: str, sev: str) -> None:
    """A host that is honest until then. Before its first LIDT nobody can say a word; behind it
    every end has a code, and from where the guest knows what it is, the code of what was sent."""
    wrong = []
    for step in (1, *_STEPS_BEFORE_STATUS, *_STEPS_BEHIND_STATUS):
        result = sev_guest.run(Run(_elf("demo"), sev=sev, hostile=f"{behaviour}:{step}",
                                   memory="64M", canary=_CANARY))
        _keeps_the_canary(result)
        assert f"hostile: {behaviour} acts" in result.serial, step
        codes = {int(code) for code in result.lines(
            rf"^sevhost: the guest terminated at .*: reason set {REASON_SET}, reason (\d+):")}
        before = step in _STEPS_BEFORE_STATUS
        allowed = {CODES["VC_EARLY"], CODES["VC_INJECTED"]} if before else {*_SENT[behaviour]}
        right = bool(codes) and codes <= allowed
        if not (result.outcome == sev_guest.SHUTDOWN if step == 1 else right):
            wrong.append((step, result.outcome, codes))
    assert not wrong, wrong


def _at_steps_to_32_bit_mode(behaviour: str) -> None:
    """A code, or no gate: a shutdown where it is, and no other end."""
    ends = set()
    with tempfile.TemporaryDirectory() as directory:
        guest = _guest("pvh64", 4, directory)
        for step in _STEPS_TO_32_BIT_MODE:
            result = sev_guest.run(Run(**guest, sev="es", hostile=f"{behaviour}:{step}",
                                       memory="64M"))
            ends.add(result.outcome)
            if result.outcome != sev_guest.SHUTDOWN:
                _terminated(result, *_SENT[behaviour], CODES["VC_EARLY"])
    assert ends == {sev_guest.SHUTDOWN, sev_guest.TERMINATED}, ends


def _storms(behaviour: str, sev: str) -> None:
    """Events in the handlers of events. In 32-bit mode the stack ends where the image says; in
    64-bit mode it is where the first handler began, however many come."""
    image = Image(_elf("demo"))
    bottom, top = (image.physical(f"prologue_stack_{end}") for end in ("bottom", "top"))
    for step in (*_STEPS_BEFORE_STATUS[:1], *_STEPS_BEHIND_STATUS):
        result = sev_guest.run(Run(image.path, sev=sev, hostile=f"{behaviour}:{step}",
                                   memory="64M", canary=_CANARY))
        _keeps_the_canary(result)
        ended = result.lines(r"^sevhost: storm: .* stack from 0x(\w+) to 0x(\w+)$")
        stood = result.lines(r"^sevhost: storm: .* stack from 0x\w+ to 0x(\w+) and (0x\w+) below$")
        assert len(ended) + len(stood) == 1, (step, result.outcome)
        if stood:
            assert int(stood[0][1], 16) <= 8 and int(stood[0][0], 16) >> 32, (step, stood)
            assert result.outcome == sev_guest.TERMINATED, (step, result.outcome)
        else:
            start, end = (int(number, 16) for number in ended[0])
            assert bottom <= end <= start <= top, (step, ended)
            assert result.outcome == sev_guest.SHUTDOWN, (step, result.outcome)
        assert bool(stood) == (step in _STEPS_IN_64_BIT_MODE), step


def _gates(entry: str, vector: int) -> None:
    """Between its modes no vector has a gate, of whatever width."""
    with tempfile.TemporaryDirectory() as directory:
        result = sev_guest.run(Run(**_guest(entry, 4, directory), memory="64M",
                                   hostile=f"gate-of-both-widths:{vector}"))
    assert result.lines(rf"^sevhost: gates: vector {vector} at "), "it does not act"
    assert result.outcome == sev_guest.SHUTDOWN, result.outcome


def _is_hidden(entry: str, hostile: str, code: str, sev: str) -> None:
    """The CPU's own CPUID finds the host out; until then, whatever it injects, no word is said."""
    with tempfile.TemporaryDirectory() as directory:
        result = sev_guest.run(Run(**_guest(entry, 4, directory), sev=sev, memory="64M",
                                   hostile=hostile, canary=_CANARY))
    _keeps_the_canary(result)
    assert "prologue:" not in result.serial
    _terminated(result, CODES[code])


def _is_known_again(sev: str) -> None:
    """Behind the way through 32-bit mode, an exception has its own code, and not that of who does
    not know yet what it is."""
    kernel = images.patch(_elf("demo-every"), "kernel_main", _UD2)
    with tempfile.TemporaryDirectory() as directory:
        state = sev_states.pvh64(Path(directory) / "state")
        result = sev_guest.run(Run(kernel, sev=sev, memory="64M", state=state))
    _terminated(result, _exception(6))


def _must_be(wish: str, sev: str, hostile: str, code: str) -> None:
    """A kernel that must be an SEV guest of a kind, as another, or where that is hidden."""
    result = sev_guest.run(Run(_elf(f"demo-{wish}"), sev=sev, memory="64M", hostile=hostile))
    if not code:
        result.expect(machine.OK, rf"^sev: {sev}$", "^result: ok$")
    elif sev in _ES:
        _terminated(result, CODES[code])
    else:
        assert result.outcome == machine.FATAL, result.outcome


# Of an entry in 64-bit mode, around the instruction that turns paging off.
_STEPS_TO_32_BIT_MODE = range(172, 205, 4)

_MUST_BE = (
    ("required", "none", "", "MISSING"), ("required", "sev", "", ""), ("required", "es", "", ""),
    ("required", "snp", "", ""), ("required", "es", "gp-hides-sev", "MISSING"),
    ("snponly", "none", "", "MISSING"), ("snponly", "sev", "", "MISSING"),
    ("snponly", "es", "", "MISSING"), ("snponly", "snp", "", ""),
    ("snponly", "snp", "gp-hides-sev", "MISSING"), ("restricted", "snp", "", "MISSING"),
)
_STEPS_IN_64_BIT_MODE = (12000, 20000)
# Between the 32-bit IDT and SEV_STATUS; and in 32-bit mode, its table builder, 64-bit mode, the
# kernel.
_STEPS_BEFORE_STATUS = (25, 28, 31)
_STEPS_BEHIND_STATUS = (45, 100, 3000, 12000, 20000)
_SENT = {
    "nmi-at-step": (_exception(2),),
    "interrupt-at-step": (_exception(13),),  # its vector is behind the IDT's end
    "vc-at-step": (CODES["VC_INJECTED"], CODES["VC_NESTED"]),
    "ud-at-step": (_exception(6),),
    "gp-at-step": (_exception(13),),
    "page-fault-at-step": (_exception(14),),
}
# The number is that of instructions, less one, behind which there is an exception to report.
_HIDING = {"gp-hides-sev:1": "HIDDEN", "gp-hides-sev:2": "VC_EARLY", "gp-hides-sev:4": "VC_EARLY",
           "gp-hides-sev:9": "VC_EARLY", "gp-hides-sev-and-shares:1": "HIDDEN"}
_FORM_ENDS = {
    "rdpmc": (_exception(13),),
    "breakpoint": (_exception(3),),
    "xchg-device": (CODES["VC_FORM"],),
    "add-device": (CODES["VC_FORM"],),
    "across-device": (CODES["VC_MMIO"],),
    "nested": (CODES["VC_NESTED"],),
}


# A VMMCALL is the host's to answer: KVM says -1000 to what it does not know. A #VC has a stack of
# its own, whatever the one is that it interrupts.
_FORM_GOES_ON = {"vmmcall": ("^vmmcall: 0xfffffffffffffc18 ",), "bad-stack": ()}


CASES = [
    *(Case(f"sev: guest goes on: {what}, {sev}",
           lambda *a, w=what, s=sev, c=lines: _goes_on(w, s, *c))
      for what, lines in _FORM_GOES_ON.items() for sev in ("es", "snp")),
    *(Case(f"sev: guest boots: {entry}, {levels} levels, {sev}, C-bit {c_bit}",
           lambda *a, e=entry, n=levels, s=sev, c=c_bit: _boots(e, n, s, c))
      for entry in _ENTRIES for levels in _KERNELS for sev in _ENCRYPTED for c_bit in _C_BITS),
    *(Case(f"sev: guest boots with the lowest C-bit, {sev}",
           lambda s=sev: _boots("pvh", 5, s, 32)) for sev in _ENCRYPTED),
    *(Case(f"sev: guest ends where memory begins at the C-bit, {sev}",
           lambda s=sev: _ends_beyond_the_c_bit(s)) for sev in _ENCRYPTED),
    Case("sev: guest ends where a structure lies at the C-bit",
         _ends_at_a_structure_beyond_the_c_bit),
    *(Case(f"sev: guest boots with 2 MiB pages, {sev}",
           lambda s=sev: _boots("pvh", 4, s, 51, "max,phys-bits=52,-xsave,-pdpe1gb"))
      for sev in _ENCRYPTED),
    *(Case(f"sev: guest: each instruction's every form, {kernel}, {sev}",
           lambda k=kernel, s=sev: _says_the_same(k, s))
      for kernel in ("forms", "forms-five") for sev in _ENCRYPTED),
    *(Case(f"sev: guest ends: {what}, {sev}", lambda w=what, s=sev, c=codes: _ends(w, s, *c))
      for what, codes in _FORM_ENDS.items() for sev in _ES),
    *(Case(f"sev: guest reports registers and no memory: at {where}, {sev}",
           lambda w=where, s=sev: _reports_no_memory(w, s))
      for where, sev in (("sev_base", "sev"), ("prologue_sev_begin", "sev"), ("kernel_main", "sev"),
                         ("prologue_reports32", "none"), ("kernel_main", "none"))),
    Case("sev: guest exits: two CPUIDs, SEV-ES with four levels", lambda: _exits(4, "es", 2, 0)),
    Case("sev: guest exits: one more with five", lambda: _exits(5, "es", 3, 0)),
    *(Case(f"sev: guest of a kernel that wishes for no SEV, {kernel}, {sev}",
           lambda k=kernel, t=state, s=sev: _left_out(k, t, s))
      for kernel, state in (("demo-nosev", False), ("demo-nosev-every", True))
      for sev in _ENCRYPTED),
    *(Case(f"sev: guest withstands a host that turns hostile later: {name}, {sev}",
           lambda n=name, s=sev: _at_steps(n, s)) for name in _SENT for sev in _ES),
    *(Case(f"sev: guest withstands a host that turns hostile on its way to 32-bit mode: {name}",
           lambda n=name: _at_steps_to_32_bit_mode(n)) for name in _SENT if name != "vc-at-step"),
    Case("sev: guest exits: no more where nothing is preset, and nobody is asked for SEV_INFO",
         lambda: _exits(4, "es", 2, 0, "sev-info-not-preset")),
    *(Case(f"sev: guest withstands events in the handlers of events: {name}, {sev}",
           lambda n=name, s=sev: _storms(n, s))
      for name in ("storm", "vc-storm", "page-fault-storm") for sev in _ES),
    *(Case(f"sev: guest has no gate between its modes: {entry}, vector {vector}",
           lambda e=entry, v=vector: _gates(e, v))
      for entry in ("pvh", "pvh64") for vector in (4, 13, 16, 26, 29, 36, 58)),
    *(Case(f"sev: guest finds out that it is hidden: {entry}, {hostile}, {sev}",
           lambda e=entry, h=hostile, c=code, s=sev: _is_hidden(e, h, c, s))
      for entry in ("pvh", "pvh64") for hostile, code in _HIDING.items() for sev in _ES),
    *(Case(f"sev: guest that is hidden asks no host what it is: {entry}, {sev}",
           lambda e=entry, c=code, s=sev: _is_hidden(e, "gp-hides-sev-and-answers", c, s))
      for entry, code in (("pvh", "VC_INJECTED"), ("pvh64", "VC_EARLY")) for sev in _ES),
    *(Case(f"sev: guest that was entered in 64-bit mode knows itself, {sev}",
           lambda s=sev: _is_known_again(s)) for sev in _ES),
    *(Case(f"sev: guest of a kernel that must be one: {wish}, {sev}{hostile and ', hidden'}",
           lambda w=wish, s=sev, h=hostile, c=code: _must_be(w, s, h, c))
      for wish, sev, hostile, code in _MUST_BE),
    *(Case(f"sev: guest ends where its memory is taken: {name}, the {bits}-bit handler",
           lambda n=name, b=bits: _memory_taken(n, b))
      for name in ("page-unvalidated", "page-zeroed", "page-corrupted")
      for bits in (32, 64)),
    Case("sev: guest ends where its memory is taken: #VC's stack", _stack_of_vc_taken),
    *(Case(f"sev: guest kernel calls all of prologue/sev.h, {sev}", lambda s=sev: _calls(s))
      for sev in ("none", *_ENCRYPTED)),
    Case("sev: guest shares what it has rescinded, and validates what it takes back",
         _page_states_in_order),
    *(Case(f"sev: guest kernel ends itself, {sev}", lambda s=sev: _calls_end(s))
      for sev in _ENCRYPTED),
    *(Case(f"sev: guest shows what it shares, and the host sees it, {sev}",
           lambda s=sev: _leaks(_SHOWN, "", s, "in shared memory")) for sev in _ENCRYPTED),
    *(Case(f"sev: guest that shows its secret is caught: {how}, {sev}",
           lambda h=how, s=sev, w=where: _leaks(_CANARY, h, s, w))
      for how, where in _LEAKS.items() for sev in _ENCRYPTED
      if sev != "sev" or how != "leak-page"),
    Case("sev: guest ends where it runs below VMPL 0, before it validates anything",
         _ends_below_vmpl_0),
    *(Case(f"sev: guest refuses a firmware whose boot services it cannot call, C-bit {where}",
           lambda c=c_bit: _refuses_boot_services(c))
      for where, c_bit in (("in CR3", True), ("nowhere in CR3", False))),
    *(Case(f"sev: guest boots on OpenBSD's vmm: {state}, {levels} levels",
           lambda t=state, n=levels: _boots_on_vmm(t, n))
      for state in _VMD_STATES for levels in _KERNELS),
    *(Case(f"sev: guest boots after another has had a GHCB, {sev}",
           lambda s=sev: _boots_after_another(s)) for sev in _ES),
    Case("sev: guest is told once of small pages", _is_told_once_of_small_pages),
    Case("sev: guest takes large pages where there are any", _takes_large_pages),
    *(Case(f"sev: guest boots behind a firmware, {write.__name__}, C-bit {c_bit}",
           lambda w=write, c=c_bit: _boots_behind_a_firmware(w, c))
      for write in (sev_states.multiboot2_firmware, sev_states.linux64_firmware)
      for c_bit in _C_BITS),
    *(Case(f"sev: guest ends behind a firmware: {what}",
           lambda c=change: _ends_behind_a_firmware(c))
      for what, change in (("no system table", {sev_states.SYSTEM_TABLE: 0}),
                           ("no blob", {sev_states.BLOB: 0}),
                           ("a CPUID page above 4 GiB", {sev_states.BLOB + 28: 1}),
                           ("a secrets page above 4 GiB", {sev_states.BLOB + 12: 1}),
                           ("an empty CPUID page", {sev_states.CPUID_PAGE: 0}))),
    *(Case(f"sev: guest keeps its secrets page: {name}", lambda n=name: _keeps_secrets_page(n))
      for name in ("blob-long-pages", "secrets-page-usable")),
    Case("sev: guest's blob tells the places of its notes", lambda: _takes_its_own_places((0, 1))),
    Case("sev: guest's blob has them the other way around",
         lambda: _takes_its_own_places((1, 0), CODES["PAGE_NOT_APART"])),
    Case("sev: guest exits: none for CPUID with a CPUID page", lambda: _exits(4, "snp", 0, 3)),
    Case("sev: guest accepts all of its memory", lambda: _accepts("demo", 64, 64 << 20)),
    Case("sev: guest accepts memory above 4 GiB",
         lambda: _accepts("demo", 64, 64 << 20, high=64)),
    Case("sev: guest accepts memory up to a mark", lambda: _accepts("demo-mark", 64, 32 << 20)),
    *(Case(f"sev: guest boots with a map of {pieces} pieces, {sev}",
           lambda n=pieces, s=sev: _boots_with_many_ranges(n, s))
      for pieces, sev in ((_LONG, "es"), (_STILL_FITS, "snp"), (_LONG, "snp"),
                          (_VERY_LONG, "snp"))),
    *(Case(f"sev: guest withstands hostile hosts: {kind}, {sev}, {part + 1} of {parts}",
           lambda k=kind, s=sev, p=part, n=parts: _withstands((k,), s, p, n))
      for kind, parts in (("detected", 4), ("harmless", 3), ("denial", 3), ("not detectable", 1))
      for sev in _ES
      for part in range(parts)),
]
