"""Scores of +inf and NaN, and rows of -inf: every tag that comes out is -1 or in 0..K-1, and nothing is read
outside the tensors, in every operation of every backend."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cases import COMPILED, DEVICE, USABLE, Case, each_backend, layer
from not_finite import check_tags_in_range, hostile_batch

INF = torch.inf


@pytest.mark.reduced
@each_backend
def test_plus_infinity_beside_minus_infinity(backend: str) -> None:
    """The smallest input whose best path has no tag: +inf is reached from, and only -inf follows."""
    case = Case(torch.zeros(1, 3, 3), *(torch.zeros(1, 3).long(), torch.ones(1, 3).bool()),
                torch.zeros(3), torch.zeros(3, 3), torch.zeros(3))  # fmt: skip
    case.emissions[0, 0, 0] = INF
    case.emissions[0, 1] = -INF
    crf = layer(case, backend)
    tags, scores = crf.viterbi(case.emissions)
    assert ((tags >= 0) & (tags < 3)).all()
    assert scores.isnan().all()
    with pytest.raises(ValueError, match=r"emissions hold \+inf at batch row 0, position 0"):
        crf.decode(case.emissions)


@each_backend
def test_half_precision_that_overflowed(backend: str) -> None:
    emissions = torch.full((2, 3, 5), 60_000.0, dtype=torch.float16) * 2  # +inf
    emissions[1] = 0
    crf = layer(hostile_batch(0, 5), backend)
    tags, _ = crf.viterbi(emissions)
    assert ((tags >= 0) & (tags < 5)).all()


@each_backend
@pytest.mark.parametrize("first", range(0, 200, 100))
def test_tags_of_hostile_batches_are_in_range(backend: str, first: int) -> None:
    for seed in range(first, first + 100):
        check_tags_in_range(hostile_batch(seed, 1 + seed % 33), backend)


@each_backend
def test_nan_or_plus_infinity_makes_the_row_nan(backend: str) -> None:
    """Never the score of another path, and never -inf, which would mean that no path is legal."""
    for seed in range(200):
        case = hostile_batch(seed, 1 + seed % 33)
        crf = layer(case, backend)
        bad = ~(case.emissions < INF).all(dim=2) & case.mask
        row_is_bad = bad.any(dim=1)
        if not all(bool((scores < INF).all()) for scores in (case.start, case.end)):
            row_is_bad |= case.mask.any(dim=1)
        if not bool((case.transitions < INF).all()):
            row_is_bad |= case.mask.sum(dim=1) > 1
        for found in (
            crf.log_partition(case.emissions, case.mask),
            crf.viterbi(case.emissions, case.mask)[1],
            *crf.viterbi(case.emissions, case.mask, k=2)[1],
        ):
            assert found.isnan().tolist() == row_is_bad.tolist(), (seed, found, row_is_bad)
        likelihood = crf(case.emissions, case.tags, case.mask, "none")
        assert likelihood[row_is_bad].isnan().all()
        assert not likelihood[~row_is_bad].isnan().any()


@each_backend
def test_marginals_before_plus_infinity_are_nan(backend: str) -> None:
    """The smallest row: its first position is impossible, and +inf follows."""
    crf = layer(hostile_batch(0, 1), backend)
    for last in (INF, torch.nan):
        assert crf.marginals(torch.tensor([[[-INF], [last]]], device=DEVICE)).isnan().all()


@each_backend
def test_a_sum_beyond_the_dtype_is_infinite(backend: str) -> None:
    """Silently: a warning would be an error here."""
    emissions = torch.full((1, 2, 1), 3e38, device=DEVICE)
    crf = layer(hostile_batch(0, 1), backend).float()
    assert crf.log_partition(emissions).tolist() == [INF]
    assert crf.viterbi(emissions)[1].tolist() == [INF]


PATH = [str(folder) for folder in Path(__file__).parents[:2]]  # of the modules that the programs below import

# Run in a process of its own, which a read outside the tensors ends.
PROGRAM = """
import sys
sys.path[:0] = sys.argv[2:]
from not_finite import at_an_unreadable_page, check_tags_in_range, hostile_batch, run_every_function
for num_tags in range(1, 34):
    for seed in range(3):
        case = at_an_unreadable_page(hostile_batch(97 * num_tags + seed, num_tags))
        check_tags_in_range(case, sys.argv[1])
        run_every_function(case, sys.argv[1])
print("done")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect by ctypes")
@pytest.mark.skipif(DEVICE.type != "cpu", reason="pages of the host's memory")
@pytest.mark.parametrize(
    ("backend", "instructions"),
    [("native", name) for name in ("baseline", "avx2", "avx512")] + [("numba", ""), ("reference", "")],
)
def test_tensors_that_end_at_an_unreadable_page(backend: str, instructions: str) -> None:
    if backend not in USABLE:
        pytest.skip(f"{backend} cannot be used here")
    command = [sys.executable, "-c", PROGRAM, backend, *PATH]
    environment = {**os.environ, "PYBERT_CRF_ISA": instructions} if instructions else {**os.environ}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if f"PYBERT_CRF_ISA is '{instructions}'" in done.stderr:
        pytest.skip(f"this machine has no {instructions}")
    assert (done.returncode, done.stdout.split()) == (0, ["done"]), done.stderr


@pytest.mark.skipif(not COMPILED, reason="no backend here reads raw memory")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect by ctypes")
@pytest.mark.skipif(DEVICE.type != "cpu", reason="pages of the host's memory")
def test_the_unreadable_page_is_unreadable() -> None:
    """Otherwise the test above shows nothing."""
    program = """
import ctypes, sys
sys.path[:0] = sys.argv[1:]
from not_finite import at_an_unreadable_page, hostile_batch
emissions = at_an_unreadable_page(hostile_batch(0, 3)).emissions
ctypes.string_at(emissions.data_ptr(), emissions.numel() * emissions.element_size())
print("inside", flush=True)
ctypes.string_at(emissions.data_ptr(), emissions.numel() * emissions.element_size() + 1)
"""
    command = [sys.executable, "-c", program, *PATH]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode < 0, done.stdout.split()) == (True, ["inside"]), done.stderr
