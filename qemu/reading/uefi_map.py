"""The memory map that UEFI gave, held against the one that the kernel got."""

from handoff_report import Report

# UEFI 2.10, table 7.6: what a kernel may use once the boot services have been ended.
_LOADER_CODE, _LOADER_DATA, _BOOT_CODE, _BOOT_DATA = 1, 2, 3, 4
_RUNTIME_CODE, _RUNTIME_DATA, _CONVENTIONAL, _ACPI, _NVS = 5, 6, 7, 9, 10
_FREE = (_LOADER_CODE, _LOADER_DATA, _BOOT_CODE, _BOOT_DATA, _CONVENTIONAL)
_MEANS = {**dict.fromkeys(_FREE, ("usable", "loader", "prologue", "module", "kernel")),
          **dict.fromkeys((_RUNTIME_CODE, _RUNTIME_DATA), ("reserved",)),
          _ACPI: ("acpi",), _NVS: ("nvs",)}

# While they run, it is all the firmware's; usable is what Prologue has asked it for.
MEANS_RUNNING = {**_MEANS, **dict.fromkeys(_FREE, ("loader", "module", "kernel")),
                 _LOADER_DATA: ("loader", "usable", "prologue", "module", "kernel")}


def expect_efi(report: Report, means: dict = _MEANS) -> None:
    """The firmware's map is whole, and the loader's says the same."""
    bits, table, size, stride = report.fields["efi"].split(" ")
    assert (bits, stride) == ("64", "48"), report.fields["efi"]
    assert int(size) == 48 * len(report.efi_memory) and len(report.efi_memory) > 20
    holds = next(kind for start, end, kind in report.efi_memory if start <= int(table, 16) < end)
    assert holds == _RUNTIME_DATA, f"the system table lies in memory of type {holds}"
    for start, end, kind in report.efi_memory:
        if kind not in means or start == 0:
            continue
        for r in report.memory:
            apart = r.end <= start or end <= r.start
            assert apart or r.kind in means[kind], f"{r} is UEFI's {start:#x} {end:#x} {kind}"
        known = sum(min(end, r.end) - max(start, r.start)
                    for r in report.memory if r.start < end and start < r.end)
        assert known == end - start, f"not all of UEFI's {start:#x} {end:#x} {kind} is known"
