"""Puts the folders of the harness on Python's path, the lowest first: a module of one imports from
its own and from those before it (docs/architecture.md). Every command imports this first."""

import sys
from pathlib import Path

ROOMS = ("base", "machines", "making", "reading", "playing", "measuring")

sys.path += [str(Path(__file__).resolve().parent / room) for room in ROOMS]
