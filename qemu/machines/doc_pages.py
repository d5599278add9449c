"""What a page of docs/ tells its reader to write and to type."""

import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import List, NamedTuple

import cases
import machine
from patience import Patience


class Block(NamedTuple):
    """A fenced block: a file's contents, or a diff."""

    language: str
    text: str


def section(page: str, heading: str) -> str:
    """From a heading ("## Install") to the next that is as high, in a file below the root."""
    text = (cases.ROOT / page).read_text()
    start = text.index(f"\n{heading}\n")
    level = heading.index(" ")
    end = re.search(rf"^#{{1,{level}}} ", text[start + len(heading) + 1:], re.MULTILINE)
    return text[start:start + len(heading) + 1 + end.start()] if end else text[start:]


def blocks(text: str) -> List[Block]:
    return [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```", text, re.M | re.S)]


def lines(text: str) -> List[str]:
    """The shell's lines: those that are indented by four, outside of blocks; a backslash continues
    one."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = [line[4:] for line in text.split("\n") if line.startswith("    ")]
    joined = "\n".join(indented).replace("\\\n", " ")
    return [line for line in joined.split("\n") if line.strip()]


def commands(text: str) -> List[List[str]]:
    """The same, as words."""
    return [shlex.split(line, comments=True) for line in lines(text)]


def spoken(command: List[str], here: Path, wanted: str, **environment: str) -> str:
    """What a machine that never ends says, until it has said what is wanted."""
    output = here / "serial"
    with open(output, "wb") as sink:
        process = subprocess.Popen(command, cwd=here, stdin=subprocess.DEVNULL, stdout=sink,
                                   stderr=subprocess.STDOUT, env=environment or None)
        patience = Patience(process.pid, 20)
        while wanted not in machine.read_text(output) and not patience.over():
            time.sleep(0.05)
        process.kill()
        process.wait()
    return machine.read_text(output)


def links(text: str) -> List[str]:
    """What it links to in the tree."""
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in found if "://" not in target]


def anchors(text: str) -> List[str]:
    """Its headings, as links name them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
