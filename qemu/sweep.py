#!/usr/bin/python3
"""Every attack on every way in, and what came of it (docs/sevhost.md, "A sweep").

    sweep.py [--entry NAME,...] [--sev es,snp] [--what events,all-events,behaviours] [--stride N]

A line for each sweep; each finding has one too, and then the status is 1.
"""

import argparse
import sys

import rooms  # noqa: F401, the harness's folders
import sev_sweeps

_ENTRIES = "pvh,pvh64,linux32,linux64,ovmf"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entry", default=_ENTRIES)
    parser.add_argument("--sev", default="es,snp")
    parser.add_argument("--what", default="events,behaviours")
    parser.add_argument("--stride", type=int, default=0)
    options = parser.parse_args()
    found = 0
    for entry in options.entry.split(","):
        for sev in options.sev.split(","):
            for what in options.what.split(","):
                if entry == sev_sweeps.BY_FIRMWARE and what != "behaviours":
                    continue
                result = sev_sweeps.sweep(entry, sev, what, stride=options.stride)
                print(f"{entry}, {sev}, {what}: {sev_sweeps.counts(result)}", flush=True)
                for finding in sev_sweeps.findings(result):
                    print(f"  {finding}", flush=True)
                    found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
