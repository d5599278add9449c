"""When a machine is given up: by what it did, and not by the clock on the wall, so that a loaded
host fails no test. A machine that spins is given up for the processor's time that it took, one
that waits for ever for having done nothing at all."""

import time

import psutil

_LOOK_SECONDS = 0.2  # between two looks: they cost a little
IDLE_SECONDS = 3
# A halted CPU's QEMU still looks at its own clocks now and then.
_IDLE_SHARE = 0.02
_WAITING = (psutil.STATUS_SLEEPING, psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED,
            getattr(psutil, "STATUS_IDLE", "idle"))


class Patience:
    """For the process `pid` and its children. `seconds` of processor time are granted. What
    `progress` returns (bytes that came out, say) is progress when it changes."""

    def __init__(self, pid: int, seconds: float, progress=lambda: 0,
                 idle: float = IDLE_SECONDS):
        self._seconds = seconds
        self._progress = progress
        self._idle_seconds = min(idle, seconds)
        try:
            self._process = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None
        self._next_look = 0.0
        self._mark()

    def over(self) -> bool:
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + _LOOK_SECONDS
        used, waiting = self._look()
        if used >= self._seconds:
            return True
        window = time.monotonic() - self._since
        busy = not waiting or used - self._used > _IDLE_SHARE * window
        if busy or self._progress() != self._seen:
            self._mark()
            return False
        return window >= self._idle_seconds

    def _mark(self) -> None:
        self._since = time.monotonic()
        self._used, _ = self._look()
        self._seen = self._progress()

    def _look(self) -> tuple:
        """The processor time used so far, and whether no thread could run just now: one that could
        and did not get a processor has no time to show for it."""
        used, waiting = 0.0, True
        if self._process is None:
            return used, False
        try:
            family = [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return used, False
        for process in family:
            try:
                times = process.cpu_times()
                used += times.user + times.system
                waiting = waiting and all(psutil.Process(thread.id).status() in _WAITING
                                          for thread in process.threads())
            except psutil.NoSuchProcess:
                pass
        return used, waiting
