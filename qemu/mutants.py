#!/usr/bin/python3
"""Changes the SEV path line by line, and tells which changes no test notices.

    mutants.py [--files PATTERN,...] [--named] [--sample N] [--most N] [--jobs N] [--stages N]
               [--list] [--again] [--fresh]

A mutant is one change of one line: a condition that is dropped or negated, a comparison or a
constant that is another, a statement or an instruction that is removed, a jump that is inverted
(qemu/making/mutations.py); with --named, each that a reader of the code has found no test for.
Each is built in a copy of the tree, and is none where the library's code is as it was. The rest is
tried in four stages, all of them by one before any by the next: by the host's tests, if those
compile the file, and by three boots that come by nearly everything; by the host's tests with
sanitizers and by boots that are about the file; by more boots; by the sweeps. The first that fails
has killed it. What lives through all stages that are asked for is in docs/mutants.md with a reason,
or the status is 1. Results are kept in BUILD/mutants as long as the function stands as it is, so
that a run goes on where the last one was ended.
"""

import argparse
import fnmatch
import json
import os
import random
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import List, Optional

import rooms  # noqa: F401, the harness's folders
import cases
import mutations
from mutant_tree import KILLED, SAME, SURVIVES, Tree, UNBUILT
from mutant_trials import STAGES
from mutations import Mutant
from named_mutations import named

_HOME = cases.BUILD / "mutants"
_REASONS = cases.ROOT / "docs/mutants.md"


class Results:
    def __init__(self, home: Path, fresh: bool):
        self.path = home / "results.json"
        self.lock = threading.Lock()
        known = self.path.exists() and not fresh
        self.verdicts = json.loads(self.path.read_text()) if known else {}

    def note(self, mutant: Mutant, verdict: str) -> None:
        with self.lock:
            self.verdicts[mutant.key] = verdict
            written = self.path.with_suffix(".new")
            written.write_text(json.dumps(self.verdicts, indent=1))
            written.replace(self.path)
            print(f"{verdict}: {mutant}", flush=True)

    def forget_survivors(self) -> None:
        self.verdicts = {key: verdict for key, verdict in self.verdicts.items()
                         if not verdict.startswith(SURVIVES)}

    def stage(self, mutant: Mutant) -> int:
        """The first that it has not been through; none where it is done with."""
        verdict = self.verdicts.get(mutant.key, f"{SURVIVES} 0")
        return int(verdict.split()[-1]) + 1 if verdict.startswith(SURVIVES) else STAGES + 1


def reasons() -> List[tuple]:
    """File, change and line of each survivor that has its reason in the document."""
    return re.findall(r"^\| `([^`]+)` \| ([^|]+?) \| `(.+?)` \| \S.* \|$", _REASONS.read_text(),
                      re.MULTILINE)


def has_reason(mutant: Mutant, known: List[tuple]) -> bool:
    return (mutant.path, mutant.kind, mutant.old.strip()) in known


def choose(options: argparse.Namespace) -> List[Mutant]:
    files = subprocess.run(["git", "ls-files", *mutations.WHOLE, *mutations.BRANCHES],
                           cwd=cases.ROOT, check=True, text=True,
                           stdout=subprocess.PIPE).stdout.split()
    wanted = [path for pattern in options.files.split(",") for path in files
              if fnmatch.fnmatch(path, pattern)]
    all_of_them = list(named()) if options.named else [
        mutant for path in dict.fromkeys(wanted) for mutant in mutations.mutants_of(path)]
    if options.sample:
        return random.Random(options.seed).sample(all_of_them,
                                                  min(options.sample, len(all_of_them)))
    return all_of_them


def try_all(chosen: List[Mutant], options: argparse.Namespace, results: Results) -> None:
    trees: Queue = Queue()

    def try_one(mutant: Mutant) -> None:
        tree = trees.get()
        try:
            results.note(mutant, tree.judge(mutant, results.stage(mutant)))
        finally:
            trees.put(tree)

    for stage in range(1, options.stages + 1):
        todo = [mutant for mutant in chosen if results.stage(mutant) == stage][:options.most]
        print(f"stage {stage}: {len(todo)} of {len(chosen)} mutants", flush=True)
        while todo and trees.qsize() < options.jobs:
            tree = Tree(results.path.parent / f"tree{trees.qsize()}")
            if trees.empty() and (failure := tree.unchanged()):
                sys.exit(f"the tests fail without a change: {failure}")
            trees.put(tree)
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(try_one, todo))


def conclude(chosen: List[Mutant], results: Results) -> int:
    told = [(mutant, results.verdicts[mutant.key]) for mutant in chosen
            if mutant.key in results.verdicts]
    known = reasons()
    survivors = [mutant for mutant, verdict in told if verdict.startswith(SURVIVES)]
    without = [mutant for mutant in survivors if not has_reason(mutant, known)]
    for mutant in without:
        print(f"survives without a reason: {mutant} -> `{mutant.new.strip()}`")
    count = {kind: sum(verdict.startswith(kind) for _, verdict in told)
             for kind in (KILLED, SAME, UNBUILT)}
    print(f"{len(told)} mutants: {count[KILLED]} killed, {len(survivors)} survive, "
          f"{len(survivors) - len(without)} of them with a reason; {count[SAME]} are the same "
          f"code, {count[UNBUILT]} do not build; {len(chosen) - len(told)} not tried")
    return 1 if without else 0


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", metavar="PATTERN,...", default="*", help="in this order")
    parser.add_argument("--named", action="store_true", help="those that a reader has named")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, at random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=None, help="tries no more this time")
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("JOBS") or 2))
    parser.add_argument("--stages", type=int, default=STAGES, help="the first so many of four")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--again", action="store_true", help="tries those that survived once more")
    parser.add_argument("--fresh", action="store_true", help="forgets what was found")
    options = parser.parse_args(arguments)
    chosen = choose(options)
    if options.list:
        print("\n".join(map(str, chosen)))
        return 0
    home = _HOME / "named" if options.named else _HOME
    home.mkdir(parents=True, exist_ok=True)
    results = Results(home, options.fresh)
    if options.again:
        results.forget_survivors()
    try_all(chosen, options, results)
    return conclude(chosen, results)


if __name__ == "__main__":
    sys.exit(main())
