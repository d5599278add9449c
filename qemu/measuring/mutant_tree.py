"""A copy of the tree, in which a change is built and tried until a test notices it."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cases
import mutant_trials
from mutations import Mutant

_KERNELS = ("demo-every", "sev_calls")  # in which all of the library is
_MORE_KERNELS = ("demo", "demo-best", "demo-best-every", "demo-five-every", "demo-mark",
                 "demo-nosev", "demo-nosev-every", "demo-required", "demo-restricted",
                 "demo-snponly", "forms")
_NOT_COPIED = ("mutants", "fuzz", "fuzz-fast", "debian")
_HOST_SECONDS, _GUEST_SECONDS = 4, 3  # of the processor; more than either takes

KILLED, SURVIVES, SAME, UNBUILT = "killed", "survives stage", "same code", "does not build"


class Tree:
    """As the tree stands and is built; the host is itself on Prologue, and stays so."""

    def __init__(self, path: Path):
        self.path = path
        self.environment = dict(os.environ, BUILD="build", GUEST_SECONDS=str(_GUEST_SECONDS))
        shutil.rmtree(path, ignore_errors=True)
        files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=cases.ROOT,
                               check=True, text=True, stdout=subprocess.PIPE).stdout.split("\n")
        for name in filter(None, files):
            if (source := cases.ROOT / name).is_file():
                to = path / name
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, to)  # with its time, by which make knows what is built
        (path / "build").mkdir()
        built = [source for source in cases.BUILD.iterdir() if source.name not in _NOT_COPIED]
        subprocess.run(["cp", "-a", *built, path / "build"], check=True)
        # What would take half of a build's time, and judges the whole library.
        (path / "linker/relocations.sh").write_text("#!/bin/sh\n")
        self._make_kernels(_KERNELS)
        self.honest = self._code()
        self.runner = subprocess.Popen(
            [sys.executable, "qemu/runner.py", "--serve"], cwd=path, env=self.environment,
            text=True, errors="replace", stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def judge(self, mutant: Mutant, stage: int) -> str:
        path = self.path / mutant.path
        honest = path.read_text()
        try:
            path.write_text(mutant.applied(honest))
            return self._verdict(mutant, stage)
        finally:
            path.write_text(honest)

    def unchanged(self) -> str:
        """What fails of the first stages without a change."""
        return (self._by_host_tests("hosttests-sev", "accept.cpp") or
                self._by_boots(mutant_trials.FIRST))

    def _verdict(self, mutant: Mutant, stage: int) -> str:
        host = ("hosttests-sev", "hosttests")[stage - 1:stage] if mutant_trials.on_host(
            mutant.path) else ()
        for program in host:
            if failed := self._by_host_tests(program, mutant.path):
                return failed
        trials = mutant_trials.boots_of(mutant.path, stage)
        if stage > 1:
            built = self._make_kernels(_KERNELS + _MORE_KERNELS)
            return (self._by_boots(trials) or f"{SURVIVES} {stage}") if built else UNBUILT
        # One kernel does for the first boot, which ends most of them.
        if not self._make_kernels(_KERNELS[:1]):
            return UNBUILT
        if failed := self._by_boots(trials[:1]):
            return failed
        if not self._make_kernels(_KERNELS):
            return UNBUILT
        if self._code() == self.honest:
            return SAME
        return self._by_boots(trials[1:]) or f"{SURVIVES} {stage}"

    def _by_host_tests(self, program: str, path: str) -> str:
        if self._make(f"build/{program}") != 0:
            return UNBUILT
        tests = mutant_trials.host_tests(path, program == "hosttests-sev")
        status, said = self._call("sh", "-c", f'ulimit -t {_HOST_SECONDS}; exec "$@"', "sh",
                                  f"build/{program}", "--gtest_brief=1", "--gtest_fail_fast",
                                  f"--gtest_filter={tests}")
        failed = re.search(r"\[  FAILED  \] (\S+)", said)
        return status and f"{KILLED} by {failed[1] if failed else 'a signal, or the clock'}" or ""

    def _by_boots(self, trials: tuple) -> str:
        """Each is the runner's arguments; one call ends with its first failure."""
        for arguments in trials:
            self.runner.stdin.write(shlex.join(("--fail-fast", *arguments)) + "\n")
            self.runner.stdin.flush()
            failed = ""
            while not (line := self.runner.stdout.readline()).startswith("status "):
                assert line, "the runner is gone"
                if line.startswith("FAIL ") and not failed:
                    failed = line[len("FAIL "):].split(" [qemu/")[0].strip()
            if line != "status 0\n":
                return f"{KILLED} by {failed or 'the runner'}"
        return ""

    def _make_kernels(self, names: tuple) -> bool:
        return self._make(*(f"build/{name}.elf" for name in names)) == 0

    def _make(self, *targets: str) -> int:
        return self._call("make", "-s", "CLANGXX=clang++ -w", "HOST_CXX=clang++ -w", *targets)[0]

    def _call(self, *command: str) -> tuple:
        done = subprocess.run(command, cwd=self.path, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, errors="replace", check=False)
        return done.returncode, done.stdout

    def _code(self) -> str:
        """What the kernels are made of: all of the library."""
        return hashlib.sha1(b"".join(
            subprocess.run(["llvm-objcopy", "-O", "binary", self.path / f"build/{name}.elf", "-"],
                           check=True, stdout=subprocess.PIPE).stdout
            for name in _KERNELS)).hexdigest()
