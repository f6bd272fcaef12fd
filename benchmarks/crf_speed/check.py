"""What `gpu_check.sh` found, as one table and one JSON file.

    python -m crf_speed.check WORK RESULTS [--dry-run]

WORK holds for each step `steps/NAME` (exit code, limit and two times), `log/NAME`, and `junit/NAME*.xml` if
it ran tests; and `benchmark.json`. The exit code is 0 only if every step has passed.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

from crf_speed.device import describe
from crf_speed.device_table import device_report
from crf_speed.results import Results, machine, versions
from crf_speed.table import markdown

STEPS = ("packages", "build", "tests", "memcheck", "racecheck", "benchmark")
TIMED_OUT = (124, 137)
TOLD = 12  # failed tests
LINES = 200  # of the log of a step that failed


def summary(work: Path, dry_run: bool) -> dict[str, Any]:
    """Everything that the run found, ready to be JSON."""
    device = torch.device("cuda" if torch.cuda.is_available() and not dry_run else "cpu")
    figures = work / "benchmark.json"
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "dry run": dry_run,
        "machine": {**describe(device), **machine()},
        "versions": {**versions(), **_nvcc()},
        "steps": {name: _step(work, name) for name in STEPS},
        "benchmark": json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else None,
    }


def passed(found: dict[str, Any]) -> bool:
    """Whether every step has."""
    return all(step["outcome"] == "passed" for step in found["steps"].values())


def table(found: dict[str, Any]) -> str:
    """A row for each step."""
    rows = [
        [
            name,
            step["outcome"],
            "" if step["seconds"] is None else f"{step['seconds']:.0f} of {step['limit']}",
            ", ".join(f"{number} {what}" for what, number in step["tests"].items() if number),
        ]
        for name, step in found["steps"].items()
    ]
    return markdown(["step", "outcome", "seconds", "tests"], rows)


def failures(found: dict[str, Any]) -> str:
    """The first failed tests by name; all are in the JSON."""
    names = [name for step in found["steps"].values() for name in step["failed"]]
    more = [f"- and {len(names) - TOLD} more"] if len(names) > TOLD else []
    return "\n".join(["Failed:", "", *(f"- {name}" for name in names[:TOLD]), *more]) if names else ""


def _nvcc() -> dict[str, str]:
    """The CUDA compiler's version, if it is there."""
    try:
        run = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"nvcc": run.stdout.strip().splitlines()[-1]}


def _step(work: Path, name: str) -> dict[str, Any]:
    """Its outcome, seconds and tests; a step that ran tests and found none has not passed."""
    record = work / "steps" / name
    if not record.exists():
        return {"outcome": "not run", "seconds": None, "limit": None, "tests": {}, "failed": [], "log": []}
    code, limit, begun, ended = record.read_text().split()
    outcome = "passed" if code == "0" else "timed out" if int(code) in TIMED_OUT else f"failed ({code})"
    cases = list(_cases(work, name))
    tests = {what: sum(case[1] == what for case in cases) for what in ("passed", "failed", "skipped")}
    if name in ("tests", "memcheck", "racecheck") and outcome == "passed" and not tests["passed"]:
        outcome = "no test ran"
    log = work / "log" / name
    words = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return {
        "outcome": outcome,
        "seconds": round(float(ended) - float(begun), 1),
        "limit": int(limit),
        "tests": tests if cases else {},
        "failed": [case for case, what in cases if what == "failed"],
        "log": [] if outcome == "passed" else words[-LINES:],
    }


def _cases(work: Path, step: str) -> Iterator[tuple[str, str]]:
    """The step's tests, and what became of each."""
    for path in sorted((work / "junit").glob(f"{step}*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            wrong = case.find("failure") is not None or case.find("error") is not None
            what = "failed" if wrong else "skipped" if case.find("skipped") is not None else "passed"
            yield f"{step}: {case.get('classname')}::{case.get('name')}", what


def main(words: list[str]) -> int:
    """The command; `words` are its arguments. Returns its exit code."""
    work, results, *options = words
    found = summary(Path(work), "--dry-run" in options)
    name = f"{found['date'][:10]}-gpu-check{'-dry-run' if found['dry run'] else ''}.json"
    path = Path(results) / name
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
    if found["benchmark"]:
        figures = Results.read(Path(work) / "benchmark.json")
        print(device_report(figures))
    parts = (failures(found), table(found), f"All figures are in {path.name}.")
    print(*filter(None, parts), sep="\n\n")
    return 0 if passed(found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
