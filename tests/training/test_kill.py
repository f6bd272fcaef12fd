"""A run that is killed outright, as the system does when memory is short, and then resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pybert_crf import TrainOptions, train
from pybert_crf.encoders import read_tensors

COMMAND = [sys.executable, "-m", "pybert_crf", "train"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_after_sigkill_it_goes_on_to_the_same_weights(
    options: Callable[..., TrainOptions], tmp_path: Path
) -> None:
    chosen = options(epochs=6, patience=0, out=str(tmp_path / "killed"))
    arguments = [chosen.train, "--dev", chosen.dev, "--test", str(chosen.test), "--model", "tiny"]
    arguments += ["--epochs", "6", "--patience", "0", "--batch-tokens", "128", "--min-count", "1"]
    command = [*COMMAND, *arguments, "--out", chosen.out]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "checkpoint" / "progress.json"
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL  # it had not finished

    subprocess.run([*command, "--resume"], env=environment, check=True, stdout=subprocess.DEVNULL)
    whole = train(options(epochs=6, patience=0, out=str(tmp_path / "whole")))
    killed, expected = read_tensors(chosen.out), read_tensors(whole.out)
    assert killed.keys() == expected.keys()
    assert all(killed[name].equal(expected[name]) for name in expected)
