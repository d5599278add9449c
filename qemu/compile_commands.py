#!/usr/bin/python3
"""Writes compile_commands.json, by which clangd knows how each file is compiled: what make would
run for all of it. A file that is compiled for several environments stands there several times."""

import json
import shlex
import subprocess

import rooms  # noqa: F401, the harness's folders
import cases

_SOURCES = (".c", ".cpp", ".S")


def entry(words: list) -> dict:
    """The database's entry for a compiler's command line; empty for any other command."""
    sources = [word for word in words if word.endswith(_SOURCES)]
    if "-c" not in words or len(sources) != 1 or "clang" not in words[0]:
        return {}
    return {"directory": str(cases.ROOT), "file": sources[0], "arguments": words}


def main() -> None:
    printed = subprocess.run(
        ["make", "--always-make", "--dry-run", "V=1", f"BUILD={cases.BUILD}", "kernels",
         "host-binaries", "sevhost"], cwd=cases.ROOT, check=True, text=True,
        stdout=subprocess.PIPE).stdout
    commands = [shlex.split(line) for line in printed.splitlines() if " -c " in line]
    entries = [found for words in commands if (found := entry(words))]
    (cases.ROOT / "compile_commands.json").write_text(json.dumps(entries, indent=1) + "\n")
    print(f"compile_commands.json: {len(entries)} commands")


if __name__ == "__main__":
    main()
