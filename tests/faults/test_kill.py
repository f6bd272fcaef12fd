"""A run that is killed outright, as the system does when memory is short."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pybert_crf import PretrainOptions, TrainOptions, pretrain, train
from pybert_crf.encoders import read_tensors

COMMAND = [sys.executable, "-m", "pybert_crf"]
SMALL = ["--model", "tiny", "--batch-tokens", "128", "--min-count", "1", "--patience", "0"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")


def kill_after_a_checkpoint(command: list[str], out: Path) -> None:
    """Start a run and kill it as soon as it has written a checkpoint that was not there before."""
    checkpoint = out / "checkpoint" / "progress.json"
    before = _inode(checkpoint)
    run = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while _inode(checkpoint) in (None, before) and time.monotonic() < deadline:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL  # it had not finished


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def assert_same_weights(first: str | Path, second: str | Path) -> None:
    killed, expected = read_tensors(first), read_tensors(second)
    assert killed.keys() == expected.keys()
    assert all(killed[name].equal(expected[name]) for name in expected)


def test_after_sigkill_it_goes_on_to_the_same_weights(
    options: Callable[..., TrainOptions], tmp_path: Path
) -> None:
    chosen = options(epochs=6, patience=0, out=str(tmp_path / "killed"))
    command = [*COMMAND, "train", *chosen.files("train"), *SMALL]
    command += ["--dev", *chosen.files("dev"), "--test", *chosen.files("test")]
    command += ["--epochs", "6", "--out", chosen.out]
    kill_after_a_checkpoint(command, Path(chosen.out))
    subprocess.run([*command, "--resume"], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    whole = train(options(epochs=6, patience=0, out=str(tmp_path / "whole")))
    assert_same_weights(chosen.out, whole.out)


@pytest.mark.slow
def test_pretraining_that_is_killed_again_and_again_ends_with_the_same_weights(tmp_path: Path) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "killed"
    text.write_text("甲乙丙丁戊己庚辛\n丁丙乙甲\n" * 60, encoding="utf-8")
    command = [*COMMAND, "pretrain", str(text), "--out", str(out), "--checkpoint-steps", "1", *SMALL]
    command += ["--epochs", "3"]
    kill_after_a_checkpoint(command, out)
    for _ in range(2):
        kill_after_a_checkpoint([*command, "--resume"], out)
    subprocess.run([*command, "--resume"], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    chosen = {"model": "tiny", "batch_tokens": 128, "min_count": 1, "epochs": 3, "checkpoint_steps": 0}
    assert_same_weights(out, pretrain(PretrainOptions(str(text), str(tmp_path / "whole"), **chosen)).out)
    assert not [path for path in out.iterdir() if path.is_dir() or path.name.startswith(".")]
