"""FAT images, as UEFI starts a file from."""

import subprocess
from pathlib import Path
from typing import Dict, Union

import cases

_MIB = 1 << 20
BOOT_FILE = "EFI/BOOT/BOOTX64.EFI"  # what firmware starts where no entry names another


def fat_image(files: Dict[str, Union[bytes, Path]], least: int = 16 * _MIB) -> Path:
    """An image with these files, by their paths; as `dd` would write it to a whole stick."""
    contents = {name: file.read_bytes() if isinstance(file, Path) else file
                for name, file in files.items()}
    image = cases.scratch_file(b"", "fat")
    with image.open("r+b") as out:
        out.truncate(max(least, 4 * _MIB + sum(map(len, contents.values()))))
    run = lambda *command: subprocess.run(command, check=True, capture_output=True)
    run("mformat", "-i", image, "::")
    made = set()
    for name, content in contents.items():
        parents = name.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            folder = "/".join(parents[:depth])
            if folder not in made:
                run("mmd", "-i", image, f"::/{folder}")
                made.add(folder)
        run("mcopy", "-i", image, cases.scratch_file(content, "file"), f"::/{name}")
    return image
