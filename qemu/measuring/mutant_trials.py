"""Which tests a change of the SEV path is tried by: the quick ones first, those that are about
the file, more boots, the sweeps. A stage is tried once all changes were through the one before."""

from pathlib import Path

STAGES = 4

_SUITES = ("Accept", "Confidential", "CpuidPage", "Decode", "Ghcb", "MmioTest", "MsrProtocol",
           "Registers", "SevFeatures", "VcTest", "VcWalk", "XsaveTest")
_SLOW_SUITE = "AcceptMemory"


def host_tests(path: str, quick: bool) -> str:
    """GoogleTest's filter; the suite that takes most of the time is about its own files first."""
    slow = () if quick and "accept" not in path else (_SLOW_SUITE,)
    return ":".join(f"{suite}.*" for suite in (*_SUITES, *slow))


def on_host(path: str) -> bool:
    """The host's tests compile it."""
    return "/sev/" in path or path.startswith("boot/")


def _sev(*patterns: str) -> tuple:
    return ("--sev", *(f"--test={pattern}" for pattern in patterns))


_PLAIN = tuple(f"--test={pattern}" for pattern in (
    "boots: QEMU pvh demo 16M qemu64", "exceptions32: (#UD is reported|a missing SEV_STATUS)"))
_PLAIN_64 = tuple(f"--test={pattern}" for pattern in (
    "modes: (pvh|multiboot2) in long64, wish 5 on max, image at 0x100000",
    "modes: linux in long64 with 5 levels, wish 4 on max, image at 0x140001000",
    "modes: linux by e_entry in long64 on qemu64",
    "table: pvh in long64, to 5 levels, image at 0x140001000 on a large PC"))
FIRST = (_sev("sev: guest boots: pvh, 4 levels, es, C-bit 51"),
         _sev("sev: guest kernel calls all of prologue/sev.h, (es|snp)"))
_FIRST_32 = (_sev("sev: guest finds out that it is hidden: pvh, gp-hides-sev:(1|2), es"),
             _sev("sev: guest that is hidden asks no host what it is: pvh, es",
                  "sev: guest ends where its memory is taken: page-unvalidated, the 32-bit"))
_FIRST_64 = (_sev("sev: guest boots: pvh64, 4 levels, es, C-bit 51"),
             _sev("sev: guest boots: linux64, 4 levels, snp, C-bit 47"))
_FIRST_OF = {"isr32.inc": _FIRST_32, "long_mode.S": _FIRST_64, "leave_long_mode.S": _FIRST_64}
_BACK = ("sev: guest boots: pvh64, 5 levels, es, C-bit 51",
         "sev proof: an image above 4 GiB .*, (es|sev)",
         "sev proof: an entry in 64-bit mode goes back with paging off, es",
         "sev: guest boots: linux64, 4 levels, snp, C-bit 47",
         "sev proof: information above 4 GiB .*, es", "sev: guest has no gate .* pvh64, vector 4$",
         "sev: guest withstands a host that turns hostile on its way to 32-bit mode: nmi",
         "sev: guest that was entered in 64-bit mode knows itself, es")


def _hidden(entry: str) -> tuple:
    return (f"sev: guest finds out that it is hidden: {entry}, gp-hides-sev:(1|2), es",
            f"sev: guest (that is hidden asks no host what it is|asks no host for SEV_STATUS): "
            f"{entry}, es",
            "sev: guest of a kernel that (must|wishes)")


_OF_FILE = {
    "leave_long_mode.S": _BACK,
    "long_mode.S": (*_hidden("pvh64"), *_BACK),
    "start_sev32.S": ("sev: guest boots: pvh, (4|5) levels, sev, C-bit 51", "sev proof: ",
                      "sev: guest reports registers and no memory: at sev_base",
                      "sev: guest has no gate between its modes: pvh, vector 4$",
                      "sev: guest of a kernel that must be one: .*sev$"),
    "start_sev64.S": ("sev: guest boots: (pvh|pvh64), 5 levels, (sev|es), C-bit 51",
                      "sev: guest ends: (breakpoint|rdpmc|nested), es", "sev: guest goes on: ",
                      "sev: guest ends where memory begins at the C-bit, es",
                      "sev: guest ends where its memory is taken: #VC's stack"),
    "entry32.S": (*_hidden("pvh"), "sev: guest ends where its memory is taken: page-zeroed",
                  "sev: guest boots: linux32, 5 levels, sev, C-bit 51"),
    "isr32.inc": (*_hidden("pvh"), "sev: guest ends where its memory is taken: page-zeroed",
                  "sev: guest withstands a host that turns hostile later: (ud|vc)-at-step, es"),
    "sev64.cpp": ("sev: guest (that is hidden asks no host what it is|asks no host for SEV_STATUS)"
                  ": pvh64, es",
                  "sev: guest boots behind a firmware.*51",
                  "sev: guest accepts memory up to a mark",
                  "sev: guest (shares what it has|shows what it shares|"
                  "kernel ends itself, (sev|es))",
                  "sev: guest ends where memory begins at the C-bit",
                  "sev proof: pages are flushed",
                  "sev: guest ends where it runs below VMPL 0"),
    "kernel_calls.cpp": ("sev: guest kernel calls all of prologue/sev.h, sev",
                         "sev: guest shares what it has", "sev proof: pages are flushed"),
    "sev32.cpp": ("sev: guest boots: (pvh|linux32), 5 levels, (es|snp), C-bit 47",
                  "sev: guest boots with 2 MiB pages, es", "sev: guest ends behind a firmware",
                  "sev: guest exits: ", "sev: guest of a kernel that must be one: "),
}
_LOGIC = ("sev: guest: each instruction's every form, forms, (es|snp)", "sev: guest ends: ",
          "sev: guest goes on: ", "sev: guest boots behind a firmware.*51")
_START = (
    "sev: guest boots: (linux32|linux64), 4 levels, snp, C-bit 47",
    "sev: guest boots: pvh64, 5 levels, (sev|es), C-bit 51",
    "sev: guest boots with (2 MiB pages|the lowest C-bit), es",
    "sev: guest ends where memory begins at the C-bit, (es|sev)",
    "sev: guest exits: ",
    "sev: guest has no gate between its modes: pvh(64)?, vector (4|29)",
    "sev: guest finds out that it is hidden: pvh(64)?, gp-hides-sev:(1|2), es",
    "sev: guest of a kernel that (must|wishes)",
    "sev: guest boots on OpenBSD's vmm: vmd, 4 levels",
    "sev: guest boots after another",
    "sev: guest (boots|ends) behind a firmware.*(51|table|blob|page)$",
    "sev: guest (ends where it runs below|accepts memory up to|"
    "ends where its memory is taken: page-z)",
    "sev: guest (is told once|takes large|shares what it has|kernel ends itself)",
    "sev: guest shows what it shares, and the host sees it, (es|snp)",
    "sev: guest withstands a host that turns hostile on its way",
    "sev: guest withstands a host that turns hostile later: (vc|nmi)-at-step, es",
    "sev: guest withstands events in the handlers of events: vc-storm, es",
    "sev: guest withstands hostile hosts: (detected|harmless), ",
)
_SWEEPS = ("sev sweep: every behaviour ", "sev sweep: events ")


def boots_of(path: str, stage: int) -> tuple:
    """The arguments of the runner, a tuple a call."""
    name = Path(path).name
    if stage == 1:
        return _FIRST_OF.get(name, FIRST)
    if stage == 2:
        of_file = (_sev(*_OF_FILE.get(name, _LOGIC)),)
        plain = _PLAIN_64 if name == "long_mode.S" else _PLAIN
        return of_file + (plain,) if "/entry/" in path else of_file
    return (_sev(*_START),) if stage == 3 else (_sev(*_SWEEPS),)
