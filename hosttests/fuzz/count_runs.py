#!/usr/bin/python3
"""Runs the fuzzers for a number of inputs in all, and says how many each has executed.

    count_runs.py RUNS NAME...

Each has the same share of the time, as far as the first inputs tell, and a fiftieth of the inputs
at least; as many run at once as JOBS says, or as there are processors. They are built without ASan
and UBSan, since that is ten times as fast:
what they check themselves holds, and a crash is seen. Each input that reaches something new is
kept, and goes through the fuzzer that has them, when its share is done.
"""

import math
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_BUILD = Path(os.environ.get("BUILD", "build"))
_LONGEST = {"guest_vc": 256, "sev_instruction": 32}  # where more bytes mean nothing further
_LONGEST_OTHER = 1024  # or what the longest of its seeds has: a part of one leads nowhere
_FIRST = 5000
_LEAST_PART = 50
_FLAGS = ("-timeout=20", "-print_funcs=0", "-print_final_stats=1")


def main() -> int:
    runs, names = int(sys.argv[1]), sys.argv[2:]
    with ThreadPoolExecutor(int(os.environ.get("JOBS") or os.cpu_count())) as pool:
        rates = dict(zip(names, pool.map(rate, names)))

        def run_share(name: str) -> int:
            share = max(runs * rates[name] / sum(rates.values()), runs / _LEAST_PART)
            count, took = run(name, math.ceil(share))
            print(f"fuzz {name}: {count:,} executions, {count / took:,.0f} a second", flush=True)
            return count

        total = sum(pool.map(run_share, names))
    print(f"fuzz: {total:,} executions, no fault")
    return 0


def rate(name: str) -> float:
    count, took = run(name, _FIRST)
    return count / took


def run(name: str, runs: int) -> tuple:
    """How many inputs were executed, and in which time."""
    fast, sanitized = _BUILD / "fuzz-fast" / name, _BUILD / "fuzz" / name
    corpus = Path(f"{fast}.corpus")
    corpus.mkdir(exist_ok=True)
    seeds = Path(f"{sanitized}.seeds")
    longest = _LONGEST.get(name) or max(_LONGEST_OTHER,
                                        *(seed.stat().st_size for seed in seeds.iterdir()))
    start = time.monotonic()
    words = call(fast, f"-runs={runs}", f"-max_len={longest}", f"-seed={time.time_ns() % 2**31}",
                 corpus, seeds)
    took = time.monotonic() - start
    call(sanitized, "-runs=0", f"-max_len={longest}", corpus)
    return int(re.search(r"stat::number_of_executed_units: (\d+)", words)[1]), took


def call(fuzzer: Path, *arguments) -> str:
    done = subprocess.run([fuzzer, *_FLAGS, f"-artifact_prefix={fuzzer}.", *arguments], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nfuzz {fuzzer.name}: a fault; the input is beside {fuzzer}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
