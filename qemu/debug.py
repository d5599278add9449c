#!/usr/bin/python3
"""Boots the demonstration kernel in a QEMU that waits, and attaches gdb with the symbols of every
stage at every address where it runs: physical, in the window, where the kernel is linked.

    debug.py [KERNEL]           extra words for gdb in GDB_ARGS, such as -batch -x FILE
"""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import rooms  # noqa: F401, the harness's folders
import cases
import images
import machine

_WINDOWS = (0xFFFF800000000000, 0xFF00000000000000)


def gdb_commands(kernel: Path, socket: Path) -> list:
    image = images.Image(kernel)
    to_physical = image.physical("prologue_start") - image.virtual("prologue_start")
    stage32 = image.physical("prologue_stage32")
    commands = [f"file {kernel}"]
    commands += [f"add-symbol-file {kernel} -o {to_physical + window:#x}"
                 for window in (0, *_WINDOWS)]
    commands += [
        f"add-symbol-file {cases.BUILD / 'stage32.elf'} -o {stage32:#x}",
        f"target remote {socket}",
        f"hbreak *{image.pvh_entry():#x}",
    ]
    if "prologue_random_places" in image.symbols:
        commands += follow(kernel, image.virtual("prologue_enter_kernel"), to_physical)
    return ["set confirm off", "set pagination off", *commands]


def follow(kernel: Path, leaves_window: int, to_physical: int) -> list:
    """Where a kernel lies by chance is known when it is entered: RDX is the distance there."""
    breaks = [f"hbreak *{leaves_window + to_physical + window & (1 << 64) - 1:#x}\n"
              f"commands\nsilent\n"
              f"add-symbol-file {kernel} -o $rip-{leaves_window:#x}+$rdx\ncontinue\nend"
              for window in _WINDOWS]
    return "\n".join(breaks).split("\n")


def main() -> int:
    kernel = Path(sys.argv[1]) if len(sys.argv) > 1 else cases.BUILD / "demo.elf"
    output = cases.scratch_directory()
    socket = output / "socket"
    boot = machine.Boot(
        kernel=kernel, append=os.environ.get("CMDLINE", ""), memory=os.environ.get("MEM") or "1G",
        cpu=os.environ.get("CPU") or "max",
        extra=["-S", "-chardev", f"socket,id=gdb,path={socket},server=on,wait=off",
               "-gdb", "chardev:gdb"])
    qemu = subprocess.Popen(machine.command(boot, output / "serial", output / "debugcon"),
                            stdin=subprocess.DEVNULL, start_new_session=True)
    script = output / "gdb"
    script.write_text("\n".join(gdb_commands(kernel, socket)) + "\n")
    while not socket.exists() and qemu.poll() is None:
        time.sleep(0.05)
    try:
        words = shlex.split(os.environ.get("GDB_ARGS", ""))
        return subprocess.call(["gdb", "-q", "-x", str(script), *words])
    finally:
        qemu.kill()
        qemu.wait()
        print(machine.read_text(output / "serial"), end="")


if __name__ == "__main__":
    sys.exit(main())
