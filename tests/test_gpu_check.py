"""The check of a machine with a GPU, tried out on the CPU; and that what it skips there is still there."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import bench_gpu
from crf_speed import check, device
from crf_speed.device_table import device_targets
from crf_speed.results import Results
from crf_speed.timing import Timing

from pybert_crf import backends

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(sys.platform == "win32", reason="a script for bash")
def test_dry_run(tmp_path: Path) -> None:
    if not backends()["native"].usable:
        pytest.skip("the compiled extension is not built")
    command = ["bash", str(ROOT / "benchmarks" / "gpu_check.sh"), "--dry-run", str(tmp_path / "results")]
    environment = {**os.environ, "PYTHON": sys.executable}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (written,) = (tmp_path / "results").iterdir()
    found = json.loads(written.read_text(encoding="utf-8"))
    assert list(found["steps"]) == list(check.STEPS)
    assert all(step["outcome"] == "passed" for step in found["steps"].values())
    assert all(found["steps"][name]["tests"]["passed"] for name in ("tests", "memcheck", "racecheck"))
    assert {"date", "machine", "versions", "benchmark"} <= set(found)
    assert {row["contender"] for row in found["benchmark"]["timings"]} >= {"native", "pytorch-crf"}
    assert run.stdout.rstrip().endswith(f"All figures are in {written.name}.")


def step_files(work: Path, **outcomes: str) -> None:
    (work / "steps").mkdir()
    (work / "junit").mkdir()
    for name in check.STEPS:
        (work / "steps" / name).write_text(outcomes.get(name, "0 60 100.5 112.25"))
    suite = '<testsuite><testcase classname="tests.crf.test_x" name="{}">{}</testcase></testsuite>'
    for name in ("tests.test_x", "memcheck", "racecheck"):
        (work / "junit" / f"{name}.xml").write_text(suite.format("test_one", ""))


def test_a_step_that_fails_is_told_and_fails_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step_files(tmp_path, build="1 180 0 30", benchmark="124 105 0 105")
    (tmp_path / "junit" / "memcheck.xml").write_text(
        '<testsuite><testcase classname="c" name="bad"><failure/></testcase></testsuite>'
    )
    (tmp_path / "steps" / "racecheck").unlink()
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "build").write_text("what the compiler said")
    assert check.main([str(tmp_path), str(tmp_path)]) == 1
    told = capsys.readouterr().out
    for words in ("failed (1)", "timed out", "not run", "no test ran", "12 of 60", "- memcheck: c::bad"):
        assert words in told
    (written,) = tmp_path.glob("*.json")
    steps = json.loads(written.read_text(encoding="utf-8"))["steps"]
    assert steps["build"]["log"] == ["what the compiler said"]


def test_steps_that_pass_pass_the_whole(tmp_path: Path) -> None:
    step_files(tmp_path)
    assert check.main([str(tmp_path), str(tmp_path), "--dry-run"]) == 0


def test_what_is_skipped_on_a_device_exists() -> None:
    """A test of another name would run there again, and nobody would notice."""
    folder = ROOT / "tests" / "crf"
    for name in _cpu_only(folder / "conftest.py"):
        file, _, function = name.partition("::")
        tree = ast.parse((folder / file).read_text(encoding="utf-8"))
        assert not function or function in {
            node.name for node in tree.body if isinstance(node, ast.FunctionDef)
        }


def _cpu_only(conftest: Path) -> dict[str, str]:
    for node in ast.parse(conftest.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CPU_ONLY":
            table: dict[str, str] = ast.literal_eval(node.value)
            return table
    raise AssertionError("there is no CPU_ONLY")


def made_up() -> Results:
    """pytorch-crf takes 60 ms, native 0.2; the CRF adds 2 % to a step; a position costs 90 cycles."""
    results = Results.begin()
    for name, seconds in (("native", 2e-4), ("pytorch-crf", 6e-2)):
        for clock in ("wall", "stream"):
            row = Timing((16, 256, 7), 1, "loss_backward", name, seconds, seconds, 9, clock)
            results.timings.append(row)
    results.timings.append(Timing((16, 256, 7), 1, "loss_backward", "native", 5e-5, 5e-5, 9, "graph"))
    for loss, seconds in (("cross-entropy", 0.1), ("native", 0.102), ("pytorch-crf", 0.2)):
        row: dict[str, Any] = {"size": "base", "shape": (16, 128), "loss": loss}
        results.training.append({**row, "wall": 2 * seconds, "stream": seconds})
    for operation, counted in (("loss", 40.0), ("viterbi", None)):
        results.steps.append(
            {"contender": "native", "operation": operation, "lengths": (1000, 20000), "SM MHz": 1800.0}
            | {"nanoseconds of a call": (1e5, 1e6), "nanoseconds of a position": 50.0}
            | {"cycles of a position": 90.0, "cycles counted": counted}
        )
    return results


def test_targets() -> None:
    found = {target.what: (target.measured, target.met) for target in device_targets(made_up())}
    assert found["native over pytorch-crf, loss + backward, 16, 256, 7"] == (pytest.approx(300), True)
    assert found["native over pytorch-crf, decode to lists, 16, 256, 7"] == (None, None)
    assert found["share that native adds to a BERT-base step, 16, 128"] == (pytest.approx(0.02), True)
    assert found["clock cycles of a position over those counted, loss alone"] == (2.25, False)
    assert found["clock cycles of a position over those counted, viterbi to tensors"] == (None, None)


def test_report_is_the_same_from_its_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up().write(tmp_path / "figures.json")
    bench_gpu.main(["--read", str(tmp_path / "figures.json")])
    told = capsys.readouterr().out
    for words in (
        "0.2 (300×)",
        "| 0.0500",
        "replay of a CUDA graph",
        "| 2.0% ",
        "| 100.0% ",
        "1,000 and 20,000",
    ):
        assert words in told


def test_the_stream_is_timed_in_rounds() -> None:
    calls = []
    times = device.stream_times(lambda: calls.append(0), device.torch.device("cpu"), 1e-3, 0.05)
    assert (len(times), len(calls)) == (device.ROUNDS, device.ROUNDS * 10)
    assert all(seconds > 0 for seconds in times)


def test_what_has_not_begun_in_time_is_named() -> None:
    results, cpu = Results.begin(), bench_gpu.torch.device("cpu")
    bench_gpu.run(results, [bench_gpu.Reference], cpu, [(2, 3, 2), (3, 4, 2)], quick=True, limit=-1)
    assert {row.shape for row in results.timings} == {(2, 3, 2)}
    assert [each["shape"] for each in results.skipped] == [(2, 16), (3, 4, 2)]
    assert not results.training
