"""Debian's Xen, in QEMU: with a kernel as dom0, or with Debian's Linux there that starts kernels as
its guests, by `xl`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional, Sequence

import cases
import initramfs
import machine

_FILES = cases.BUILD / "debian" / "xen"
XEN_4_17, XEN_4_20 = cases.BUILD / "debian/loaders/xen", cases.BUILD / "debian/trixie-xen/xen"
_TIMEOUT = 120
_WORDS = "console=com1 com1=115200,8n1 dom0=pvh noreboot guest_loglvl=all dom0_mem={}"
# What TCG has of virtualisation: an IOMMU, which Xen wants of a PVH dom0. It tells no length of an
# instruction that is intercepted, and Xen knows none for RDTSCP; and XCR0 is one for all.
_MACHINE = "q35,kernel-irqchip=off"
_IOMMU = ("-device", "intel-iommu,intremap=on")
_CPU = "max,rdtscp=off,xsave=off"

_LINUX = "console=hvc0 quiet panic=-1"
_INIT = """#!/busybox sh
/busybox mkdir -p /proc /sys /run/xen /var/run/xen /var/lib/xen /var/lib/xenstored /etc/xen /lib64
/busybox ln -s /ld-linux-x86-64.so.2 /lib64
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sys /sys
/busybox mount -t devtmpfs dev /dev
/busybox mkdir /dev/pts
/busybox mount -t devpts pts /dev/pts
export LD_LIBRARY_PATH=/
for module in /*.ko; do /busybox insmod $module; done
/busybox mount -t xenfs xen /proc/xen
echo 'autoballoon="off"' >/etc/xen/xl.conf
/xenstored
/xen-init-dom0
/xenconsoled
for guest in {guests}; do
    /xl create -e -q /$guest.cfg
    for second in 1 2 3 4 5 6 7 8 9 10; do
        /xl list $guest | /busybox grep -q -- --s--- && break
        /busybox sleep 1
    done
    /xl list $guest
done
/busybox reboot -f
"""
_GUEST = """name = "{name}"
type = "pvh"
kernel = "/{name}.kernel"
cmdline = "{cmdline}"
memory = 64
on_poweroff = "preserve"
"""


@dataclass(frozen=True)
class Guest:
    """A kernel for `xl`, and its module."""

    name: str
    kernel: Path
    cmdline: str
    module: Optional[bytes] = None

    def files(self) -> dict:
        words = _GUEST.format(name=self.name, cmdline=self.cmdline)
        files = {f"{self.name}.kernel": self.kernel.read_bytes()}
        if self.module is not None:
            words += f'ramdisk = "/{self.name}.module"\n'
            files[f"{self.name}.module"] = self.module
        return {f"{self.name}.cfg": words.encode(), **files}


def boot(dom0: str, *modules: str, memory: str = "128M", xen: Path = XEN_4_17) -> machine.Boot:
    """Xen by QEMU's Multiboot, with dom0 and its modules as "FILE words"."""
    assert xen.exists(), f"{xen} is not there: make debian-guests fetches it"
    return machine.Boot(
        kernel=xen, append=_WORDS.format(memory), memory="1G", cpu=_CPU,
        machine=_MACHINE, extra=_IOMMU, initrd=[dom0, *modules], timeout=_TIMEOUT)


def boot_guests(guests: Sequence[Guest]) -> machine.Boot:
    """A Linux as dom0 that starts them, one after the other, each until it has stopped."""
    assert (_FILES / "xl").exists(), f"{_FILES}/xl is not there: make debian-guests fetches it"
    files = {file.name: file.read_bytes() for file in _FILES.iterdir() if file.name != "vmlinuz"}
    for guest in guests:
        files.update(guest.files())
    init = _INIT.format(guests=" ".join(guest.name for guest in guests))
    archive = cases.scratch_file(initramfs.archive(init.encode(), files), "initramfs")
    return boot(f"{_FILES}/vmlinuz {_LINUX}", str(archive), memory="512M")


def of_domain(result: machine.Result, domain: int) -> machine.Result:
    """What that domain has said, which Xen puts its number before."""
    prefix = f"(d{domain}) "
    lines = [line.removeprefix(prefix) for line in result.serial.replace("\r", "").split("\n")
             if line.startswith(prefix)]
    return replace(result, serial="".join(f"{line}\n" for line in lines))
