"""The native backend's fast path: taken up to its bound (docs/crf/numbers.md) and not beyond, right on
both sides, with every instruction set."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cases import COMPILED, Case, answer, chain_of, check_bounds, problem

pytestmark = pytest.mark.skipif("native" not in COMPILED, reason="the compiled extension is not built")

BIT = math.log(2.0)
# How far below the greatest of its kind a score may be that is not -inf, in nats, as
# csrc/chain/parameters.hpp has it; of messages and totals, how small.
LIMITS = {
    "transitions": 207.9,
    "start": 138.6,
    "end": 138.6,
    "emissions": 138.6,
    "message": 400 * BIT,
    "total": 400 * BIT,
}
DTYPES = [torch.float32, torch.float64]


def flat(batch: int, time: int, num_tags: int) -> Case:
    """A problem with scores of 0 and nothing masked."""
    case = problem(batch, time, num_tags, ragged=False)
    for scores in (case.emissions, case.transitions, case.start, case.end):
        scores.mul_(0.0)
    return case


def spread(what: str, by: float) -> Case:
    """A problem whose first row has this spread."""
    case = flat(3, 6, 5)
    if what == "message":  # the second tag falls behind with each of the three positions of a half
        case.transitions.fill_(-torch.inf).fill_diagonal_(0.0)
        case.emissions[0, :, 1] = -by / 3
    elif what == "total":  # one way from the first tag of the one half to the unlikely one of the other
        case = flat(3, 2, 2)
        case.transitions.fill_(-torch.inf)
        case.transitions[0, 0], case.transitions[1, 1] = -by * 5 / 8, 0.0
        case.start[1] = -torch.inf
        case.emissions[0, 1, 0] = -by * 3 / 8
    elif what == "emissions":
        case.emissions[0, 2, 1] = -by
    else:
        getattr(case, what)[..., 1] = -by
    return case


def is_scaled(case: Case) -> list[bool]:
    """Which rows took the fast path: the messages of the others are NaN."""
    from pybert_crf.crf.backends import native

    _, messages = native.log_partition(chain_of(case))
    nan = messages.isnan()
    left = nan.flatten(1).any(dim=1)
    assert torch.equal(nan, (left[:, None] & case.mask)[..., None].expand_as(nan))
    return (~left).tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("side", [-0.01, 0.01])
@pytest.mark.parametrize("what", LIMITS)
def test_both_sides_of_a_limit(what: str, side: float, dtype: torch.dtype) -> None:
    case = spread(what, LIMITS[what] + side).to(dtype)
    of_all_rows = what in ("transitions", "start", "end")
    expected = [True] * 3 if side < 0 else [not of_all_rows and row > 0 for row in range(3)]
    assert is_scaled(case) == expected
    wide = case.to(torch.float64)
    check_bounds(wide, answer(case, "native"), answer(wide, "reference"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", [40, 59, 61, 80, 150, 300, 399])
def test_a_position_where_likely_tags_meet_unlikely_ones(bits: int, dtype: torch.dtype) -> None:
    """Below 2^-60 messages stored in float32 are not exact enough for the gradient, although log Z is."""
    case = spread("total", bits * BIT).to(dtype)
    assert is_scaled(case) == [True] * 3
    wide = case.to(torch.float64)
    check_bounds(wide, answer(case, "native"), answer(wide, "reference"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_on_both_sides_in_one_batch(dtype: torch.dtype) -> None:
    """One of four rows in a group leaves the fast path; the gradients of the other three do not change."""
    for num_tags in (5, 40):
        case = problem(9, 7, num_tags)
        case.emissions[[1, 6], 2, 1] -= 200.0
        case = case.to(dtype)
        lengths = case.mask.sum(1)
        assert is_scaled(case) == [row not in (1, 6) or length < 3 for row, length in enumerate(lengths)]
        wide = case.to(torch.float64)
        check_bounds(wide, answer(case, "native"), answer(wide, "reference"))


# Run by each instruction set, in a process of its own.
PROGRAM = """
import sys
sys.path[:0] = sys.argv[1:]
import torch
from cases import answer, check_bounds, layer, problem
from pybert_crf.crf.backends import native
print(native.instruction_set())
for num_tags in (1, 2, 7, 9, 16, 17, 29, 33, 70):
    for dtype in (torch.float32, torch.float64):
        wide = problem(9, 11, num_tags, seed=num_tags)
        case = wide.to(dtype)
        check_bounds(wide, answer(case, "native"), answer(wide, "reference"))
        found = layer(case, "native").decode(case.emissions, case.mask)
        assert found == layer(case, "reference").decode(case.emissions, case.mask)
"""


def run_with(name: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYBERT_CRF_ISA": name}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("name", ["baseline", "avx2", "avx512"])
def test_every_instruction_set(name: str) -> None:
    done = run_with(name)
    if f"PYBERT_CRF_ISA is '{name}'" in done.stderr:
        pytest.skip(f"this machine has no {name}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [name]


def test_an_instruction_set_that_there_is_not() -> None:
    done = run_with("mmx", "from pybert_crf import _native; _native.instruction_set()")
    assert "PYBERT_CRF_ISA is 'mmx', which is not an instruction set" in done.stderr
    assert done.returncode == 1
