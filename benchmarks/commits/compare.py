"""Compare the speed of two commits in one run; fail if the second has lost.

    python benchmarks/commits/compare.py main            # against the commit that is checked out
    python benchmarks/commits/compare.py v0.1.0 main --turns 30

Both commits are built in a temporary folder by the same compiler. First their results are compared: commits
that disagree are not timed. Then

- each kernel's instructions are counted under callgrind, in one thread, for the instruction sets that
  valgrind knows. Every run counts the same, so the bound is narrow: a kernel may take 1 % more;
- calls from Python are timed, both commits taking turns, and the ratio of the least times is bounded by 1.15,
  as machines are noisy.

Needs valgrind, a C++ compiler, and the packages of pybert-crf. The driver, benchmarks/commits/kernels.cpp, is
that of the tree in which this stands: it cannot compare a commit whose operations have other arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
OPERATIONS = ("log_partition", "value_and_gradient", "viterbi", "k_best", "log_alphas", "sample")
SHAPES = ((8, 64, 7), (4, 64, 29), (2, 32, 128))
SETS = ("baseline", "avx2")  # valgrind knows no AVX-512
CLOSE = 1e-5
MOST_INSTRUCTIONS, MOST_SECONDS = 1.01, 1.15  # how many times the old figure the new one may be


class Row(NamedTuple):
    """One figure of both commits: instructions or seconds, and how many times the old the new may be."""

    name: str
    old: float
    new: float
    bound: float

    @property
    def ratio(self) -> float:
        """New over old; above 1 is a loss."""
        return self.new / self.old

    @property
    def lost(self) -> bool:
        """Whether the loss is beyond the bound."""
        return self.ratio > self.bound


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run a command; its output, or an error that shows what it said."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = f"{done.stdout}{done.stderr}"[-3000:]
        raise SystemExit(f"failed ({done.returncode}): {' '.join(map(str, command))}\n{said}")
    return done.stdout + done.stderr


def build(commit: str, folder: Path) -> Path:
    """Check a commit out and build it: its package with the extension, and the driver of kernels."""
    tree, objects = folder / "tree", folder / "build"
    tree.mkdir(parents=True)
    archive = folder / "archive.tar"
    run("git", "archive", "--output", archive, commit, cwd=ROOT)
    run("tar", "-xf", archive, "-C", tree)
    directory = run(sys.executable, "-m", "pybind11", "--cmakedir").strip()
    run(
        *("cmake", "-S", tree, "-B", objects, "-DCMAKE_BUILD_TYPE=Release", "-DPYBERT_CRF_CUDA=OFF"),
        *(f"-Dpybind11_DIR={directory}", f"-DPython_EXECUTABLE={sys.executable}"),
    )
    run("cmake", "--build", objects, "--parallel", "2")
    (extension,) = [*objects.glob("_native*.so"), *objects.glob("_native*.dylib")]
    shutil.copy(extension, tree / "pybert_crf")
    run(
        *(os.environ.get("CXX", "c++"), "-std=c++17", "-O2", f"-I{tree / 'csrc'}", HERE / "kernels.cpp"),
        *("-o", folder / "kernels", objects / "libcrf_kernels.a", "-lpthread"),
    )
    return folder


def results(folder: Path, instructions: str, case: tuple[str, ...]) -> Any:
    """What an operation computes."""
    out = folder / "results"
    run(folder / "kernels", *case, "1", out, PYBERT_CRF_ISA=instructions)
    return numpy.fromfile(out)


def instructions_of(folder: Path, instructions: str, case: tuple[str, ...]) -> int:
    """The instructions of one call: of a program that calls it twice, less those of one that does once."""
    counts = []
    for repeats in ("1", "2"):
        said = run(
            *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", folder / "kernels"),
            *(*case, repeats, "/dev/null"),
            PYBERT_CRF_ISA=instructions,
        )
        found = re.search(r"Collected : (\d+)", said)
        if not found:
            raise SystemExit(f"callgrind has counted nothing:\n{said[-2000:]}")
        counts.append(int(found[1]))
    return counts[1] - counts[0]


def differ(old: Sequence[float], new: Sequence[float]) -> bool:
    """Whether results differ by more than rounding; NaN equals NaN."""
    return len(old) != len(new) or not numpy.allclose(old, new, rtol=CLOSE, atol=CLOSE, equal_nan=True)


def compare_kernels(old: Path, new: Path) -> list[Row]:
    """The rows of all kernels, after their results have been found equal."""
    rows = []
    known = Path("/proc/cpuinfo")
    has_avx2 = known.exists() and "avx2" in known.read_text()
    for shape, name, each in product(SHAPES, OPERATIONS, SETS if has_avx2 else SETS[:1]):
        case = (name, *map(str, shape))
        if differ(results(old, each, case), results(new, each, case)):
            raise SystemExit(f"{name} of {shape} on {each}: the commits disagree, nothing is measured")
        counts = (instructions_of(folder, each, case) for folder in (old, new))
        rows.append(Row(f"{name} {shape} {each}, instructions", *counts, MOST_INSTRUCTIONS))
    return rows


def measured(tree: Path) -> dict[str, Any]:
    """The results and the seconds of the calls of a tree's package."""
    said = run(sys.executable, HERE / "calls.py", tree, OMP_NUM_THREADS="1", PYTHONPATH="")
    calls: dict[str, Any] = json.loads(said.partition("\n")[0])
    return calls


def compare_calls(old: Path, new: Path, turns: int) -> list[Row]:
    """The rows of calls from Python: the least times of so many turns of both commits."""
    runs = [[measured(folder / "tree") for folder in (old, new)] for _ in range(turns)]
    rows = []
    for name in runs[0][0]:
        if differ(*(one[name]["results"] for one in runs[0])):
            raise SystemExit(f"{name}: the commits disagree, nothing is timed")
        least = (min(each[side][name]["seconds"] for each in runs) for side in (0, 1))
        rows.append(Row(f"{name}, seconds", *least, MOST_SECONDS))
    return rows


def report(rows: list[Row]) -> int:
    """Print the table; 1 if a row has lost."""
    width = max(len(row.name) for row in rows)
    for row in rows:
        verdict = f"LOST: more than {row.bound:g} times" if row.lost else ""
        print(
            f"{row.name:<{width}}  {row.old:>12.6g}  {row.new:>12.6g}  {row.ratio:7.4f}  {verdict}".rstrip()
        )
    lost = sum(row.lost for row in rows)
    print(
        f"{lost} of {len(rows)} figures are beyond their bounds" if lost else f"all {len(rows)} within bounds"
    )
    return int(lost > 0)


def main(arguments: list[str] | None = None) -> int:
    """Compare the commits named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("old", help="a commit")
    parser.add_argument("new", nargs="?", default="HEAD", help="a commit (HEAD)")
    parser.add_argument("--turns", type=int, default=10, help="how often the calls of both are timed")
    given = parser.parse_args(arguments)
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is not here: apt-get install valgrind")
    commits = [
        run("git", "rev-parse", f"{name}^{{commit}}", cwd=ROOT).strip() for name in (given.old, given.new)
    ]
    print(f"old {commits[0][:12]} ({given.old}), new {commits[1][:12]} ({given.new})", flush=True)
    with tempfile.TemporaryDirectory() as work:
        old, new = (
            build(commit, Path(work) / name) for commit, name in zip(commits, ("old", "new"), strict=True)
        )
        rows = compare_kernels(old, new) + compare_calls(old, new, given.turns)
    return report(rows)


if __name__ == "__main__":
    sys.exit(main())
