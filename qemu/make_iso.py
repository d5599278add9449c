#!/usr/bin/python3
"""Makes an ISO that boots a kernel with GRUB on a BIOS: make_iso.py KERNEL PROTOCOL ISO [CMDLINE]."""

import shutil
import sys
from pathlib import Path

import rooms  # noqa: F401, the harness's folders
import iso


def main() -> int:
    kernel, protocol, output = sys.argv[1:4]
    cmdline = sys.argv[4] if len(sys.argv) > 4 else ""
    shutil.copy(iso.grub_iso(Path(kernel), protocol, cmdline), output)
    print(f"{output} boots {kernel} by {protocol}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
