"""A client of QEMU's gdb stub, for who plays the CPU at some of its instructions."""

import socket
import time
from pathlib import Path
from typing import Callable, Dict

RAX, RBX, RCX, RDX, RIP = 0, 1, 2, 3, 16
_BYTES = 8  # of a register
_CONNECT_SECONDS = 20
_MODE_WORDS = ("qSupported", "qXfer:features:read:target.xml:0,ffb")


def options(path: Path) -> list:
    """QEMU's words: it waits at the reset vector, for who connects."""
    return ["-chardev", f"socket,id=gdb,path={path},server=on,wait=off",
            "-gdb", "chardev:gdb", "-S"]


class Stub:
    def __init__(self, path: Path):
        self._socket = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + _CONNECT_SECONDS
        while self._socket.connect_ex(str(path)) != 0:
            assert time.monotonic() < end, "QEMU's gdb stub does not listen"
            time.sleep(0.05)
        self._unread = b""
        for word in _MODE_WORDS:
            self._ask(word)

    def play(self, at: Dict[int, Callable[["Stub", Dict[int, int]], Dict[int, int]]],
             linear: Callable[[int], int]) -> None:
        """Runs the machine to its end. Where an instruction of `at` has been executed its function
        gets the registers as they were before it, and tells which are to change; `linear` makes an
        address of what the stub calls RIP."""
        for address in at:
            self._ask(f"Z1,{address:x},1")
        while self._ask("c")[:1] in ("T", "S"):
            before = self._registers()
            address = linear(before[RIP])
            self._ask(f"z1,{address:x},1")
            self._ask("s")
            for register, value in at[address](self, before).items():
                self._ask(f"P{register:x}={value.to_bytes(_BYTES, 'little').hex()}")
            self._ask(f"Z1,{address:x},1")

    def register(self, register: int) -> int:
        return self._registers()[register]

    def _registers(self) -> Dict[int, int]:
        data = bytes.fromhex(self._ask("g")[: 2 * _BYTES * (RIP + 1)])
        return {n: int.from_bytes(data[_BYTES * n : _BYTES * (n + 1)], "little")
                for n in range(RIP + 1)}

    def _ask(self, text: str) -> str:
        """The answer; none, where the machine has ended."""
        try:
            self._socket.sendall(f"${text}#{sum(text.encode()) & 0xFF:02x}".encode())
            while b"#" not in self._unread or len(self._unread.split(b"#", 1)[1]) < 2:
                more = self._socket.recv(4096)
                if not more:
                    return ""
                self._unread += more
            self._socket.sendall(b"+")
        except OSError:
            return ""
        packet, rest = self._unread.split(b"#", 1)
        self._unread = rest[2:]
        return packet.rsplit(b"$", 1)[1].decode()
