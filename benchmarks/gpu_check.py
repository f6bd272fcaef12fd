"""The findings of `gpu_check.sh`, as one table and one JSON file.

    python benchmarks/gpu_check.py WORK RESULTS [--dry-run]

WORK holds for each step `steps/NAME` (exit code, limit and two times), `log/NAME`, and `junit/NAME*.xml` if
it ran tests; and `benchmark.json`. The exit code is 0 only if every step has passed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from machine import provenance
from report import markdown, report

STEPS = ("packages", "build", "tests", "memcheck", "racecheck", "benchmark")
TESTING = ("tests", "memcheck", "racecheck")
TIMED_OUT = ("124", "137")
LINES = 200  # of the log of a step that failed


def summary(work: Path, dry_run: bool) -> dict[str, Any]:
    """All findings of the run, ready to be JSON."""
    figures = work / "benchmark.json"
    return {
        **provenance(),
        "device": describe() if torch.cuda.is_available() and not dry_run else {},
        "dry run": dry_run,
        "steps": {name: _step(work, name) for name in STEPS},
        "benchmark": json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else None,
    }


def describe() -> dict[str, str]:
    """The GPU, its driver and clock, and CUDA."""
    fields = "name,compute_cap,driver_version,clocks.max.sm"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", "--id=0"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return {"CUDA of torch": str(torch.version.cuda), "GPU": run.stdout.strip()}


def table(found: dict[str, Any]) -> str:
    """A row for each step."""
    rows = []
    for name, step in found["steps"].items():
        tests = ", ".join(f"{number} {outcome}" for outcome, number in step["tests"].items() if number)
        rows.append([name, step["outcome"], step["seconds"], tests])
    return markdown(["step", "outcome", "seconds", "tests"], rows)


def _step(work: Path, name: str) -> dict[str, Any]:
    """Its outcome, seconds and tests; a step that should have run tests and found none has not passed."""
    record, log = work / "steps" / name, work / "log" / name
    if not record.exists():
        return {"outcome": "not run", "seconds": "", "tests": {}, "failed": [], "log": []}
    code, limit, begun, ended = record.read_text().split()
    outcome = "passed" if code == "0" else "timed out" if code in TIMED_OUT else f"failed ({code})"
    cases = dict(_cases(work, name))
    tests = {each: list(cases.values()).count(each) for each in ("passed", "failed", "skipped")}
    if name in TESTING and outcome == "passed" and not tests["passed"]:
        outcome = "no test ran"
    words = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return {
        "outcome": outcome,
        "seconds": f"{float(ended) - float(begun):.0f} of {limit}",
        "tests": tests,
        "failed": [case for case, result in cases.items() if result == "failed"],
        "log": [] if outcome == "passed" else words[-LINES:],
    }


def _cases(work: Path, step: str) -> Iterator[tuple[str, str]]:
    """The step's tests, and the outcome of each."""
    for path in sorted((work / "junit").glob(f"{step}*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            wrong = case.find("failure") is not None or case.find("error") is not None
            outcome = "failed" if wrong else "skipped" if case.find("skipped") is not None else "passed"
            yield f"{step}: {case.get('classname')}::{case.get('name')}", outcome


def main(words: Sequence[str]) -> int:
    """The command; `words` are its arguments. Returns its exit code."""
    work, results, *options = words
    found = summary(Path(work), "--dry-run" in options)
    name = f"{found['date']}-gpu-check{'-dry-run' if found['dry run'] else ''}.json"
    text = json.dumps(found, indent=1, ensure_ascii=False)
    (Path(results) / name).write_text(text + "\n", encoding="utf-8")
    failed = [f"- {case}" for step in found["steps"].values() for case in step["failed"]]
    parts = [report(found["benchmark"])] if found["benchmark"] else []
    parts += ["Failed:\n\n" + "\n".join(failed[:12])] if failed else []
    print(*parts, table(found), f"All figures are in {name}.", sep="\n\n")
    return 0 if all(step["outcome"] == "passed" for step in found["steps"].values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
