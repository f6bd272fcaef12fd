"""Calls that would take long or much memory: k beyond the number of paths, and Ctrl-C."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from cases import COMPILED, DEVICE, each_backend, layer, problem

from pybert_crf.crf import on_numpy
from pybert_crf.crf.long_calls import count_paths, in_slices


@pytest.mark.parametrize(
    ("k", "time", "tags", "paths"),
    [(1, 0, 3, 1), (5, 0, 3, 1), (5, 1, 3, 3), (9, 2, 3, 9), (10, 2, 3, 9), (8, 2, 3, 8), (10**9, 7, 1, 1)],
)
def test_the_number_of_paths(k: int, time: int, tags: int, paths: int) -> None:
    assert count_paths(k, time, tags) == paths


@pytest.mark.reduced
@each_backend
def test_k_is_cut_to_the_number_of_paths(backend: str) -> None:
    case = problem(2, 3, 2)
    crf = layer(case, backend)
    tags, scores = crf.viterbi(case.emissions, case.mask, k=10**9)
    assert (tags.shape, scores.shape) == ((8, 2, 3), (8, 2))
    again = crf.viterbi(case.emissions, case.mask, k=8)
    assert torch.equal(tags, again[0])
    assert torch.equal(scores, again[1])
    assert crf.viterbi(case.emissions[:, :0], k=10**9)[0].shape == (1, 2, 0)


def test_k_is_cut_for_arrays() -> None:
    pytest.importorskip("pybert_crf._native")
    emissions, transitions = np.zeros((3, 2)), np.zeros((2, 2))
    assert on_numpy.viterbi(emissions, transitions, k=10**9)[0].shape == (8, 3)


@each_backend
def test_slices_give_the_same(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = problem(7, 5, 4)
    crf = layer(case, backend)
    whole = crf.viterbi(case.emissions, case.mask, k=6)
    monkeypatch.setattr("pybert_crf.crf.long_calls._LONG", 0.0)
    for part, sliced in zip(whole, crf.viterbi(case.emissions, case.mask, k=6), strict=True):
        assert torch.equal(part, sliced)


def test_an_error_comes_out_of_the_thread() -> None:
    def work(begin: int, end: int) -> int:
        raise MemoryError(f"{begin} to {end}")

    with pytest.raises(MemoryError, match="0 to 2"):
        in_slices(work, 5, 2, 1e9)


PROGRAM = """
import os, signal, sys, threading, time, torch
from pybert_crf import CRF
crf, emissions = CRF(29, batch_first=True, backend=sys.argv[1]), torch.zeros(64, 1024, 29)
crf.viterbi(emissions[:1, :2], k=3)  # compiled
threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT)).start()
try:
    crf.viterbi(emissions, k=1000)
except KeyboardInterrupt:
    print("interrupted", flush=True)
os._exit(0)  # without waiting for the row in work
"""


@pytest.mark.skipif(DEVICE.type != "cpu", reason="calls on a GPU return at once")
@pytest.mark.parametrize("backend", COMPILED)
def test_ctrl_c_is_answered(backend: str) -> None:
    """The call takes minutes."""
    command = [sys.executable, "-c", PROGRAM, backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
