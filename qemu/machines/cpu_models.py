"""QEMU's CPU models, and what they have, by its own word."""

import functools
import json
import os
import re
import subprocess

_NEED_KVM = ("host", "base")
_VERSIONED = re.compile(r"-v\d+$")


@functools.lru_cache(maxsize=None)
def features() -> dict:
    """CPUID's bits of each model by their names, as TCG emulates them. Models that name a version
    of another are left out."""
    command = [os.environ.get("QEMU") or "qemu-system-x86_64", "-machine", "none", "-accel", "tcg",
               "-display", "none", "-nodefaults", "-qmp", "stdio"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as qemu:
        qemu.stdout.readline()  # its greeting
        _ask(qemu, "qmp_capabilities")
        names = {model["name"] for model in _ask(qemu, "query-cpu-definitions")}
        found = {name: _expanded(qemu, name) for name in sorted(names.difference(_NEED_KVM))
                 if not _VERSIONED.search(name)}
        _ask(qemu, "quit")
    emulated = found["max"]
    return {name: {bit: bits[bit] and emulated[bit] for bit in ("lm", "nx", "pdpe1gb", "la57")}
            for name, bits in found.items()}


def _expanded(qemu: subprocess.Popen, name: str) -> dict:
    answer = _ask(qemu, "query-cpu-model-expansion", type="full", model={"name": name})
    return answer["model"]["props"]


def _ask(qemu: subprocess.Popen, command: str, **arguments):
    qemu.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    qemu.stdin.flush()
    while True:
        answer = json.loads(qemu.stdout.readline())
        if "event" not in answer:
            return answer["return"]
