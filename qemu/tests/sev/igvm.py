"""IGVM files that prologue-igvm makes: their boots under the SEV host, what SNP would measure of
them, and files and kernels that are cut or changed."""

import random
import re
import struct
import tempfile
import zlib
from pathlib import Path

import cases
import machine
import sev_guest
from cases import Case
from igvm_image import headers, igvm, launch_digest, measured_by_snp, run_tool
from sev_guest import Run

_PLATFORMS = {"none": "native", "es": "sev-es", "snp": "snp"}
_KERNELS = {4: "demo-every", 5: "demo-best-every"}


def _elf(name: str) -> Path:
    return cases.BUILD / f"{name}.elf"


def _boots(levels: int, sev: str, alone: bool) -> None:
    """With what is measured: a command line, and an initrd that is not whole pages."""
    initrd = cases.scratch_directory() / "initrd"
    initrd.write_bytes(bytes(range(256)) * 40 + b"end")
    only = ("--platform", _PLATFORMS[sev]) if alone else ()
    image = igvm(_elf(_KERNELS[levels]), "--cmdline",
                 "as it was measured", "--initrd", initrd, *only)
    result = sev_guest.run(Run(image, sev=sev, memory="64M", cmdline="not the file's"))
    result.expect(machine.OK, "^loader: igvm$", f"^sev: {sev}$", "^entry-mode: protected32$",
                  f"^paging: {levels}-level$", "^cmdline: as it was measured$",
                  rf"^module: 0 0x\w+ {256 * 40 + 3} $", "^result: ok$",
                  # what the host adds; its memory ends at 64 MiB
                  "^memory: 0x90000 0x100000 reserved$",
                  r"^memory: 0x\w+ 0x4000000 (usable|prologue)$")


def _needs_neither_text_nor_initrd() -> None:
    result = sev_guest.run(Run(igvm(_elf("demo-every")), sev="es", memory="64M"))
    result.expect(machine.OK, "^loader: igvm$", "^cmdline: $", "^result: ok$")
    assert "module:" not in result.serial


def _asks_no_cpuid() -> None:
    """The CPUID page is where the file says, and so no host is asked."""
    result = sev_guest.run(Run(igvm(_elf("demo-every")), sev="snp", memory="64M"))
    result.expect(machine.OK, "^result: ok$")
    assert not result.lines(r"^  \d+ CPUID"), result.serial


def _refused_by_host(image: Path, sev: str, why: str) -> None:
    result = sev_guest.run(Run(image, sev=sev, memory="64M"))
    result.expect(machine.FATAL, f"^sevhost: fatal: {why}")


def _is_not_for(sev: str, named: str) -> None:
    _refused_by_host(igvm(_elf("demo-every"), "--platform", named), sev,
                     f"the IGVM file is not for sev={sev}$")


def _changed(change) -> Path:
    """A file whose bytes were changed and whose checksum fits."""
    path = igvm(_elf("demo-every"))
    contents = bytearray(path.read_bytes())
    change(contents)
    start, size = struct.unpack_from("<II", contents, 8)
    contents[20:24] = bytes(4)
    checksum = zlib.crc32(contents[:32] + contents[start:start + size])
    contents[20:24] = struct.pack("<I", checksum)
    path.write_bytes(contents)
    return path


def _find(contents: bytes, kind: int) -> int:
    at, _ = struct.unpack_from("<II", contents, 8)
    for header in headers(contents):
        if header.kind == kind:
            return at + 8
        at += 8 + (len(header.fields) + 7) // 8 * 8
    raise AssertionError(f"no header {kind:#x}")


def _a_map_without_room() -> None:
    def move(contents: bytearray) -> None:
        struct.pack_into("<I", contents, _find(contents, 0x30C) + 4, 0x4000 - 24)
    _refused_by_host(_changed(move), "es", "the memory map of 5 ranges does not fit")


def _a_page_beyond_memory() -> None:
    def move(contents: bytearray) -> None:
        struct.pack_into("<Q", contents, _find(contents, 0x302), 1 << 30)
    _refused_by_host(_changed(move), "es", "a page of the IGVM file of 4096 bytes at 0x40000000")


def _another_feature() -> None:
    def ask(contents: bytearray) -> None:
        where, = struct.unpack_from("<I", contents, _find(contents, 0x304) + 12)
        vmsa = where + 4096  # the native context is the first of three pages
        struct.pack_into("<Q", contents, vmsa + 0x3B0, 1 << 5)
    _refused_by_host(_changed(ask), "es", "the IGVM file's VMSA has the features 0x20")


def _cut_files_are_named() -> None:
    whole = igvm(_elf("demo-every")).read_bytes()
    path = cases.scratch_directory() / "cut.igvm"
    for end in (4, 23, 1000, len(whole) - 1):
        path.write_bytes(whole[:end])
        _refused_by_host(path, "es", r"the IGVM file has .*, at 0x\w+$")


# ---- The tool ----


def _digest_is_another_tools() -> None:
    """One page of each type. The value is from virtee's sev-snp-measure, its class GCTX."""
    tool = _imported_tool()
    insert = struct.pack("<QII", 0x20000, tool.ALL, 0)
    listed = [tool.Directive(tool.PARAMETER_INSERT, insert),
              tool.page_data(0x100000, tool.ALL, bytes(range(256)) * 16),
              tool.page_data(0x100000, tool.MASKS["sev-es"], bytes(4096)),
              tool.snp_page(0x101000, tool.CPUID_DATA), tool.snp_page(0x102000, tool.SECRETS),
              tool.page_data(0x103000, tool.ALL, bytes(4096)),
              tool.vp_context(tool.MASKS["snp"], tool.VMSA_AT, b"\xa5" * 4096)]
    assert tool.launch_digest(listed).hex() == (
        "01216790671aa55d627f11453693ac85853a77003b5627741e28f0993169899a"
        "a9546699ae0d3dbbfc161271fdf7e61c")


def _digest_is_the_documents() -> None:
    """By another hand than the tool's, from the file alone."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "guest.igvm"
        for options in ((), ("--platform", "snp"), ("--cmdline", "x" * 5000)):
            said = run_tool(*options, "-o", path, _elf("demo-every"))
            assert said.stdout == f"launch digest: {launch_digest(path.read_bytes())}\n", said


def _digest_follows_what_is_measured() -> None:
    """... and not what other platforms have, nor another kernel's name."""
    path = cases.scratch_directory() / "guest.igvm"

    def digest(kernel: str, *options: str) -> str:
        return run_tool(*options, "-o", path, _elf(kernel)).stdout

    plain = digest("demo-every")
    assert plain == digest("demo-every", "--platform", "snp")
    others = {digest("demo-every", "--cmdline", "a"), digest("demo-every", "--cmdline", "b"),
              digest("demo-every", "--initrd", str(cases.ROOT / "LICENSE")),
              digest("demo-best-every"), plain}
    assert len(others) == 5, others
    assert digest("demo-every", "--platform", "native") == ""


def _measures_all_but_the_map() -> None:
    """Nothing that the kernel reads comes from the host unmeasured but the area for its map."""
    pages = list(measured_by_snp(igvm(_elf("demo-every")).read_bytes()))
    assert [kind for kind, _, _ in pages].count(4) == 4
    assert [kind for kind, _, _ in pages].count(5) == [kind for kind, _, _ in pages].count(6) == 1
    assert pages[-1][:2] == (2, 0xFFFFFFFFF000), pages[-1][:2]  # KVM measures it last, and there
    addresses = [gpa for _, gpa, _ in pages]
    assert len(set(addresses)) == len(addresses)


def _is_the_same_each_time() -> None:
    path = cases.scratch_directory() / "guest.igvm"
    made = []
    for _ in range(2):
        run_tool("--cmdline", "a", "-o", path, _elf("demo-every"))
        made.append(path.read_bytes())
    assert made[0] == made[1]


def _cut_kernels_are_named() -> None:
    """At each byte of the headers and notes, and at some of the rest."""
    kernel = _elf("demo-every").read_bytes()
    tool = _imported_tool()
    ends = _segments_end(kernel)
    cuts = [*range(0x1200), *random.Random(1).sample(range(0x1200, ends), 400), ends - 1]
    for end in cuts:
        try:
            tool.Kernel(kernel[:end])
        except (tool.NotAKernel, struct.error):
            continue
        raise AssertionError(f"cut at {end:#x}, it is taken")
    whole, stripped = tool.Kernel(kernel), tool.Kernel(kernel[:ends])
    assert (whole.pages, whole.entry) == (stripped.pages, stripped.entry)
    path = cases.scratch_directory() / "cut.elf"
    for end in (0, 5, 0x30, 0x100, 0x1000, ends - 1):
        path.write_bytes(kernel[:end])
        said = run_tool("-o", path.with_suffix(".igvm"), path)
        assert said.returncode == 1 and said.stderr.count("\n") == 1, said
        assert re.match(r"prologue-igvm: \S+: it ", said.stderr), said
        assert not path.with_suffix(".igvm").exists()


def _segments_end(kernel: bytes) -> int:
    tool = _imported_tool()
    return max(header["offset"] + header["filesz"]
               for header in tool.elf_tool.program_headers(kernel))


def _imported_tool():
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_loader
    loader = SourceFileLoader("prologue_igvm", str(cases.ROOT / "linker/prologue-igvm"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def _refuses(why: str, *options) -> None:
    said = run_tool("-o", cases.scratch_directory() / "none.igvm", *options)
    assert said.returncode == 1 and re.search(why, said.stderr), said


def _refuses_what_cannot_be() -> None:
    _refuses("it does not carry the igvm header", _elf("demo"))
    _refuses("it is no 64-bit", cases.ROOT / "README.md")
    _refuses("the command line has 65536 bytes", "--cmdline", "x" * 65536, _elf("demo-every"))
    _refuses("No such file", "--initrd", "/nowhere", _elf("demo-every"))


CASES = [
    *(Case(f"igvm: boots: {sev}, {levels} levels{', for it alone' * alone}",
           lambda n=levels, s=sev, a=alone: _boots(n, s, a))
      for sev in _PLATFORMS for levels, alone in ((4, False), (5, True))),
    Case("igvm: a kernel needs neither command line nor initrd", _needs_neither_text_nor_initrd),
    Case("igvm: boots as SNP with the CPUID page that the file asks for", _asks_no_cpuid),
    *(Case(f"igvm: the host refuses a file for {named} as {sev}",
           lambda s=sev, n=named: _is_not_for(s, n))
      for sev, named in (("sev", "sev-es"), ("es", "snp"), ("none", "snp"))),
    Case("igvm: the host refuses a map that does not fit", _a_map_without_room),
    Case("igvm: the host refuses a page beyond memory", _a_page_beyond_memory),
    Case("igvm: the host refuses a VMSA with another feature", _another_feature),
    Case("igvm: the host refuses files that are cut", _cut_files_are_named),
    Case("igvm: the launch digest is another tool's", _digest_is_another_tools),
    Case("igvm: the launch digest is the document's", _digest_is_the_documents),
    Case("igvm: the launch digest follows what is measured", _digest_follows_what_is_measured),
    Case("igvm: all is measured but the host's map", _measures_all_but_the_map),
    Case("igvm: the same kernel makes the same file", _is_the_same_each_time),
    Case("igvm: a kernel cut at every byte is named", _cut_kernels_are_named),
    Case("igvm: what cannot be made is refused", _refuses_what_cannot_be),
]
