"""The template of a kernel in Zig, where a Zig compiler is: in PATH, or as `make setup` has fetched
it from npm's registry (qemu/fetch_zig.sh); Debian has none."""

import re
import shutil
from pathlib import Path
from typing import Optional

import cases
import machine
import staging
from cases import Case


def _compiler() -> Optional[Path]:
    fetched = cases.BUILD / "zig/zig"
    found = fetched if fetched.exists() else shutil.which("zig")
    return Path(found) if found else None


def _template() -> None:
    zig = _compiler()
    if zig is None:
        cases.note("no Zig compiler is here: not tried")
        return
    here = cases.scratch_directory() / "zig"
    shutil.copytree(staging.staged() / "share/prologue/templates/zig", here)
    cache = str(cases.scratch_directory())
    for linker in ("ld", "ld.lld"):
        (here / "kernel.elf").unlink(missing_ok=True)
        said = staging.run("make", f"ZIG={zig}", f"LD={linker}", cwd=here,
                           PKG_CONFIG_PATH=str(staging.pkgconfig()), ZIG_GLOBAL_CACHE_DIR=cache,
                           ZIG_LOCAL_CACHE_DIR=cache)
        assert "warning" not in said, said
        motd = cases.scratch_file(b"the first line\nthe second\n", "motd")
        result = machine.run(machine.Boot(
            kernel=here / "kernel.elf", initrd=[motd], append="a b=c"))
        result.expect(machine.OK, r"^loader: 2\r?$", r"^command line: .*a b=c\r?$",
                      r"^motd: the first line\r?$", r"^local apic: version 0x14\r?$",
                      r"^result: ok\r?$")
        free = re.findall(r"^free: (\w+) to (\w+)\r?$", result.serial, re.M)
        total = sum(int(end, 16) - int(start, 16) for start, end in free)
        result.expect(machine.OK, rf"^free in all, in KiB: {total >> 10}\r?$")


CASES = [Case("zig: the template, with GNU ld and with lld", _template)]
