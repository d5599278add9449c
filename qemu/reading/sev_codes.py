"""The reason codes by which an SEV guest ends, from the header that kernels have."""

import re

import cases

REASON_SET = 10
CODES = {name: int(value, 16) for name, value in re.findall(
    r"#define PROLOGUE_SEV_(\w+) (0x[0-9a-f]+) ",
    (cases.ROOT / "boot/include/prologue/sev_reasons.h").read_text())}
