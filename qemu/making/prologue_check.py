"""Runs prologue-check, as it is built with sanitizers for its tests."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import cases

_TOOL = cases.BUILD / "prologue-check-sanitized"
TAKEN, REFUSED, UNUSABLE = range(3)


class Said(NamedTuple):
    status: int
    output: str
    errors: str


def check(*words) -> Said:
    result = subprocess.run([str(word) for word in (_TOOL, *words)], capture_output=True,
                            text=True, timeout=60, check=False)
    return Said(result.returncode, result.stdout, result.stderr)


def asking(loaders) -> list:
    return [word for loader in loaders for word in ("--loader", loader)]


def report_on(kernel: Path, loaders=()) -> dict:
    """The report, and with it the status."""
    said = check("--json", *asking(loaders), kernel)
    assert said.status in (TAKEN, REFUSED) and not said.errors, said
    report = json.loads(said.output)
    assert report["taken"] == (said.status == TAKEN), said
    return report


def rules() -> dict:
    """All findings that there are, by their names."""
    return {rule["id"]: rule for rule in json.loads(check("--list", "--json").output)}
