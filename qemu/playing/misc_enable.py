"""Plays Intel's IA32_MISC_ENABLE, which TCG has without effect: where bit 34 is set CPUID tells no
NX, and where bit 22 is set no basic leaf above 3 (SDM vol. 4, table 2-2)."""

import threading
from dataclasses import dataclass, field, replace
from typing import List

import cases
import gdb_stub
import machine
from gdb_stub import RAX, RCX, RDX
from images import Image

MSR = 0x1A0
LIMIT_CPUID, XD_DISABLE = 1 << 22, 1 << 34
_CPUID, _RDMSR, _WRMSR = b"\x0f\xa2", b"\x0f\x32", b"\x0f\x30"
_EXTENDED_FEATURES, _NX = 0x80000001, 1 << 20
_LIMIT = 3
_LOW = 0xFFFFFFFF
_BASED_BYTES = 0x10000  # EIP is an offset in the code segment whose base is entry_base


@dataclass
class Player:
    """The register of one machine. A `fixed` one keeps its bits, as a CPU without NX has none to
    tell of. Notes what is written to it."""

    image: Image
    value: int
    fixed: bool = False
    written: List[int] = field(default_factory=list)

    def run(self, boot: machine.Boot) -> machine.Result:
        path = cases.scratch_directory() / "gdb"
        errors = []

        def play() -> None:
            try:
                gdb_stub.Stub(path).play(self._instructions(), self._linear)
            except Exception as error:  # which would end this thread alone
                errors.append(error)

        player = threading.Thread(target=play, daemon=True)
        player.start()
        result = machine.run(replace(boot, extra=[*boot.extra, *gdb_stub.options(path)]))
        player.join()
        assert not errors, f"the player: {errors[0]!r}"
        return result

    def _instructions(self) -> dict:
        return {address: function
                for code, function in ((_CPUID, self._cpuid), (_RDMSR, self._rdmsr),
                                       (_WRMSR, self._wrmsr))
                for address in self._all(code)}

    def _all(self, code: bytes) -> List[int]:
        """Where such bytes lie in the image: in what is no instruction nobody stops."""
        found = []
        for segment in self.image.segments:
            at = segment.data.find(code)
            while at >= 0:
                found.append(segment.paddr + at)
                at = segment.data.find(code, at + 1)
        return found

    def _linear(self, rip: int) -> int:
        base = self.image.physical("prologue_entry_base")
        low = rip & 0x7FFFFFFF  # the image at its high address, too
        return base + low if low < _BASED_BYTES else low

    def _cpuid(self, stub: gdb_stub.Stub, before: dict) -> dict:
        leaf = before[RAX] & _LOW
        if leaf == _EXTENDED_FEATURES and self.value & XD_DISABLE:
            return {RDX: stub.register(RDX) & _LOW & ~_NX}
        if leaf == 0 and self.value & LIMIT_CPUID:
            return {RAX: _LIMIT}
        return {}

    def _rdmsr(self, stub: gdb_stub.Stub, before: dict) -> dict:
        if before[RCX] & _LOW != MSR:
            return {}
        return {RAX: self.value & _LOW, RDX: self.value >> 32}

    def _wrmsr(self, stub: gdb_stub.Stub, before: dict) -> dict:
        if before[RCX] & _LOW == MSR:
            self.written.append((before[RDX] & _LOW) << 32 | before[RAX] & _LOW)
            if not self.fixed:
                self.value = self.written[-1]
        return {}
