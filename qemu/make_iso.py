#!/usr/bin/python3
"""Makes an ISO that boots a kernel with GRUB on a BIOS, or on UEFI:
make_iso.py [--efi] KERNEL PROTOCOL ISO [CMDLINE]."""

import shutil
import sys
from pathlib import Path

import rooms  # noqa: F401, the harness's folders
import iso


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--efi"]
    platform = iso.EFI if "--efi" in sys.argv else iso.BIOS
    kernel, protocol, output = words[:3]
    cmdline = words[3] if len(words) > 3 else ""
    shutil.copy(iso.grub_iso(Path(kernel), protocol, cmdline, platform=platform), output)
    print(f"{output} boots {kernel} by {protocol}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
