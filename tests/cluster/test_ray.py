"""``predict --ray`` on clusters of this machine: equal to ``predict``; workers and runs that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster_cases import check, state, write_texts

pytest.importorskip("pyarrow")
pytest.importorskip("ray")

from pybert_crf import Tagger

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds workers in /proc"),
]

PATIENCE = 600  # seconds that a busy machine may need


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 1,000 lines."""
    path = tmp_path_factory.mktemp("texts") / "in.txt"
    write_texts(path, 1000, longest=60)
    return path


@pytest.fixture(scope="module")
def expected(texts: Path, model: Path) -> list[Any]:
    """The answers of one process."""
    given = texts.read_text("utf-8").splitlines()
    found = Tagger.from_pretrained(model).annotate(given)
    return [{"text": each.text, "entities": [entity.to_dict() for entity in each.entities]} for each in found]


@contextmanager
def predicting(model: Path, source: Path, out: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, which is ended with the block."""
    command = [sys.executable, "-m", "pybert_crf", "predict", "--ray", "local", "--actors", "1"]
    command += ["--shard-kb", "4", *options, str(model), str(source), str(out)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and what was said."""
    _, err = process.communicate(timeout=PATIENCE)  # Ray itself prints what became of a worker
    return process.returncode, err


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    """The first true value, while the process runs."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(process.communicate() if process.poll() is not None else "timeout")


def worker_of(process: subprocess.Popen[str]) -> int | None:
    """The process of a worker that descends from this one."""
    parents, workers = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            name = (path / "cmdline").read_text()
        except OSError:
            continue
        parents[int(path.name)] = int(fields[1])
        if name.startswith("ray::") and "Worker" in name:
            workers.append(int(path.name))
    for worker in workers:
        above = worker
        while above in parents and above != process.pid:
            above = parents[above]
        if above == process.pid:
            return worker
    return None


def test_a_run_that_is_killed_goes_on(texts: Path, model: Path, expected: list[Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with predicting(model, texts, out) as process:
        wait_for(lambda: state(out)["parts_done"] >= 3, process)
        process.send_signal(signal.SIGKILL)
        finish(process)
    left = state(out)
    assert not left["complete"]
    before = {done["shard"]: (out / done["shard"]).stat().st_mtime_ns for done in left["done"]}
    with predicting(model, texts, out) as process:
        status, told = finish(process)
    assert (status, f"of which {len(before)} are done" in told) == (0, True), told
    check(out, expected)
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    with predicting(model, texts, out) as process:  # all is done: Ray is not even started
        assert finish(process)[0] == 0


def test_a_worker_that_is_killed_is_replaced(
    texts: Path, model: Path, expected: list[Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with predicting(model, texts, out) as process:
        wait_for(lambda: state(out)["parts_done"] >= 3, process)
        os.kill(wait_for(lambda: worker_of(process), process), signal.SIGKILL)
        status, told = finish(process)
    assert status == 0, told
    check(out, expected)


def test_faults_of_workers_are_one_line(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_bytes("张三\n".encode() * 4000 + b"\xff\n")
    with predicting(model, source, tmp_path / "out") as process:
        status, told = finish(process)
    assert (status, told.splitlines()[-1].startswith(f"error: {source}:4001: not UTF-8")) == (1, True), told
    assert "Traceback" not in told
