"""prologue-check: what it says of kernels that are wrong in each way that it knows, and of right
ones. It is the tool with sanitizers that is run here."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import cases
import wrong_kernels
from cases import Case
from wrong_kernels import Wrong

_TOOL = cases.BUILD / "prologue-check-sanitized"
TAKEN, REFUSED, UNUSABLE = range(3)


class Said(NamedTuple):
    status: int
    output: str
    errors: str


def check(*words) -> Said:
    result = subprocess.run([str(word) for word in (_TOOL, *words)], capture_output=True,
                            text=True, timeout=60, check=False)
    return Said(result.returncode, result.stdout, result.stderr)


def asking(loaders) -> list:
    return [word for loader in loaders for word in ("--loader", loader)]


def report_on(kernel: Path, loaders=()) -> dict:
    """The report, and with it the status."""
    said = check("--json", *asking(loaders), kernel)
    assert said.status in (TAKEN, REFUSED) and not said.errors, said
    report = json.loads(said.output)
    assert report["taken"] == (said.status == TAKEN), said
    return report


def rules() -> dict:
    """All findings that there are, by their names."""
    return {rule["id"]: rule for rule in json.loads(check("--list", "--json").output)}


# ---- Wrong kernels ----


def _expect(wrong: Wrong) -> None:
    kernel = wrong.image()
    report = report_on(kernel, wrong.asked)
    found = {finding["id"]: finding for finding in report["findings"]}
    assert set(found) == {wrong.rule, *wrong.also}, sorted(found)
    finding = found[wrong.rule]
    assert set(finding["loaders"]) == wrong.loaders, finding
    assert finding["severity"] == wrong.severity, finding
    assert finding["here"] and finding["mend"] == rules()[wrong.rule]["mend"], finding

    refused_by = {loader for finding in report["findings"] if finding["severity"] == "error"
                  for loader in finding["loaders"]}
    assert refused_by >= (wrong.loaders if wrong.severity == "error" else set())
    for loader in report["loaders"]:
        wanted = loader["name"] not in refused_by if loader["asked"] else None
        assert loader["taken"] is wanted, loader
        if loader["asked"]:
            status = check("--loader", loader["name"], kernel).status
            assert status == (TAKEN if wanted else REFUSED), (loader, status)
    assert f"\n{wrong.severity}: {wrong.rule} (" in check(*asking(wrong.asked), kernel).output


def _case(rule: str) -> Case:
    def expect_all() -> None:
        for wrong in wrong_kernels.ALL:
            if wrong.rule == rule:
                _expect(wrong)
    return Case(f"check: {rule}", expect_all)


def _every_finding_has_a_wrong_kernel() -> None:
    tried = {wrong.rule for wrong in wrong_kernels.ALL}
    assert tried == set(rules()), tried ^ set(rules())


CASES = [
    *(_case(rule) for rule in dict.fromkeys(wrong.rule for wrong in wrong_kernels.ALL)),
    Case("check: every finding has a wrong kernel", _every_finding_has_a_wrong_kernel),
]
