"""The check of a GPU, run on the CPU; and the names of the tests that it skips there."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import gpu_check

from pybert_crf import backends

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
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
    assert list(found["steps"]) == list(gpu_check.STEPS)
    assert all(step["outcome"] == "passed" for step in found["steps"].values())
    assert all(found["steps"][name]["tests"]["passed"] for name in ("tests", "memcheck", "racecheck"))
    assert {"date", "machine", "versions", "benchmark"} <= set(found)
    timed = {(row["group"].split(",")[0], row["contender"]) for row in found["benchmark"]["benchmarks"]}
    assert {
        ("loss_backward", "native"),
        ("training step of BERT-tiny", "cross-entropy"),
        ("tagging by BERT-tiny", "bfloat16"),
        ("forward of ModernBERT-tiny", "packed"),
        ("training step of ModernBERT-tiny", "padded"),
    } <= timed
    assert run.stdout.rstrip().endswith(f"All figures are in {written.name}.")


def step_files(work: Path, **outcomes: str) -> None:
    (work / "steps").mkdir()
    (work / "junit").mkdir()
    for name in gpu_check.STEPS:
        (work / "steps" / name).write_text(outcomes.get(name, "0 60 100.5 112.25"))
    suite = '<testsuite><testcase classname="tests.crf.test_x" name="{}">{}</testcase></testsuite>'
    for name in ("tests.test_x", "memcheck", "racecheck"):
        (work / "junit" / f"{name}.xml").write_text(suite.format("test_one", ""))


def test_a_step_that_fails_is_reported_and_fails_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step_files(tmp_path, build="1 180 0 30", benchmark="124 105 0 105")
    (tmp_path / "junit" / "memcheck.xml").write_text(
        '<testsuite><testcase classname="c" name="bad"><failure/></testcase></testsuite>'
    )
    (tmp_path / "steps" / "racecheck").unlink()
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "build").write_text("what the compiler said")
    assert gpu_check.main([str(tmp_path), str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    for words in ("failed (1)", "timed out", "not run", "no test ran", "12 of 60", "- memcheck: c::bad"):
        assert words in printed
    (written,) = tmp_path.glob("*.json")
    steps = json.loads(written.read_text(encoding="utf-8"))["steps"]
    assert steps["build"]["log"] == ["what the compiler said"]


def test_steps_that_pass_pass_the_whole(tmp_path: Path) -> None:
    step_files(tmp_path)
    assert gpu_check.main([str(tmp_path), str(tmp_path), "--dry-run"]) == 0


def test_tests_that_are_skipped_on_a_gpu_exist() -> None:
    """A test that was renamed would run there again, unnoticed."""
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
