"""What a test module needs of the runner: cases, notes, and files that go away by themselves."""

import os
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("BUILD") or ROOT / "build").resolve()
# As make knows it, from ROOT: by another name it would find none of its dependencies.
BUILD_OF_MAKE = Path(os.path.relpath(BUILD, ROOT))

_scratch = tempfile.TemporaryDirectory(prefix="prologue-tests-")
_thread = threading.local()


@dataclass(frozen=True)
class Case:
    """A test: the function returns, or raises AssertionError with the reason."""

    name: str
    function: Callable[[], None]


@dataclass
class Journal:
    """What a case left behind for its report: its notes, and each machine's Result."""

    notes: list = field(default_factory=list)
    results: list = field(default_factory=list)


def start_journal() -> Journal:
    """Gives this thread a fresh journal."""
    _thread.journal = Journal()
    return _thread.journal


def journal() -> Journal:
    """This thread's journal."""
    return getattr(_thread, "journal", None) or start_journal()


def note(text: str) -> None:
    """Prints a line with the case's outcome: what could not be tried here, or was measured."""
    journal().notes.append(text)


_making = threading.Lock()


def made(path: Path) -> Path:
    """A file of the build's, which is made where it is not there yet."""
    if BUILD in path.parents and not path.exists():
        with _making:
            subprocess.run(["make", "-s", f"BUILD={BUILD_OF_MAKE}",
                            BUILD_OF_MAKE / path.relative_to(BUILD)],
                           cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return path


def scratch_directory() -> Path:
    """A new empty directory, removed when the process ends."""
    return Path(tempfile.mkdtemp(dir=_scratch.name))


def scratch_file(contents: bytes, name: str = "file") -> Path:
    """A new file with these contents, removed when the process ends."""
    path = scratch_directory() / name
    path.write_bytes(contents)
    return path
