"""The ways into a kernel of Prologue's as an SEV guest, and the steps of its boot at which a host
may turn hostile."""

import subprocess
from pathlib import Path

import cases
import sev_states

ENCRYPTED = ("sev", "es", "snp")
ES = ("es", "snp")
C_BITS = (51, 47)
KERNELS = {4: "demo-every", 5: "demo-best-every"}
MODES = {"pvh": "protected32", "linux32": "protected32", "pvh64": "long64", "linux64": "long64"}
MEMORY = 64 << 20

# Between the 32-bit IDT and SEV_STATUS; and in 32-bit mode, its table builder, 64-bit mode, the
# kernel.
STEPS_BEFORE_STATUS = (25, 28, 31)
STEPS_BEHIND_STATUS = (45, 100, 3000, 12000, 20000)
STEPS_IN_64_BIT_MODE = (12000, 20000)


def elf(name: str) -> Path:
    return cases.BUILD / f"{name}.elf"


def bzimage(kernel: Path, directory: str) -> Path:
    image = Path(directory) / "bzimage"
    subprocess.run(["linker/prologue-bzimage", "--setup", cases.BUILD / "prologue-linux16.bin",
                    kernel, image], cwd=cases.ROOT, check=True)
    return image


def entered(entry: str, levels: int, directory: str) -> dict:
    """What sev_guest.Run is given for it."""
    kernel = elf(KERNELS[levels])
    state = Path(directory) / "state"
    if entry == "linux32":
        return {"image": bzimage(kernel, directory)}
    if entry == "pvh64":
        return {"image": kernel, "state": sev_states.pvh64(state)}
    if entry == "linux64":
        return {"image": kernel, "accept": "all", "state": sev_states.linux64(state, MEMORY)}
    return {"image": kernel}
