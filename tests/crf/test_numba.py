"""What is the Numba backend's own: which rows are scaled, when a step's product of exponentials is used, its
threads, and where machine code is kept."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from cases import COMPILED, Problem, answer, chain_of, check_bounds, problem

pytestmark = pytest.mark.skipif("numba" not in COMPILED, reason="numba is not usable here")


@pytest.mark.parametrize("below", [-2000, -800, -1, 1, 300])
def test_both_sides_of_the_floor(below: float) -> None:
    """The only ways into the last tag weigh exp(log FLOOR + below); it is where every path must end."""
    from pybert_crf.crf.numba_log import FLOOR

    case = problem(2, 7, 3)
    case.transitions[:, 2] = math.log(FLOOR) + below + torch.tensor([0.3, -0.2, 0.0])
    case.end[:2] = -torch.inf
    found, expected = answer(case, "numba"), answer(case, "reference")
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def spread(what: str, by: float, dtype: torch.dtype) -> Problem:
    """A problem in which one score of a kind is that far below the others of its kind."""
    case = problem(3, 6, 5)
    for scores in (case.emissions, case.transitions, case.start, case.end):
        scores.mul_(0.0)
    if what == "alphas":  # the second tag falls behind with every position
        case.transitions.fill_(-torch.inf).fill_diagonal_(0.0)
        case.emissions[:, :, 1] = -by / 6
    elif what == "emissions":
        case.emissions[:, 2, 1] = -by
    else:
        getattr(case, what)[..., 1] = -by
    return case.to(dtype)


LIMITS = {
    ("transitions", torch.float64): 300,
    ("start", torch.float64): 200,
    ("end", torch.float64): 200,
    ("emissions", torch.float64): 200,
    ("alphas", torch.float64): 400,
    ("alphas", torch.float32): 100,
    # All 5 tags lead there, and before they were 5, scaled by 1/4.
    ("emissions", torch.float32): 100 + math.log2(5 * 5 / 4),
}


@pytest.mark.parametrize("side", [-0.01, 0.01])
@pytest.mark.parametrize(("what", "dtype"), LIMITS)
def test_both_sides_of_the_scaled_bound(what: str, dtype: torch.dtype, side: float) -> None:
    from pybert_crf.crf import numba_backend

    case = spread(what, (LIMITS[what, dtype] + side) * math.log(2.0), dtype)
    _, alphas = numba_backend.log_partition(*chain_of(case))
    is_scaled = alphas.amax(dim=2)[:, 0] >= 1  # weights are relative to 1, logarithms to 0
    assert is_scaled.all() if side < 0 else not is_scaled[0]
    check_bounds(case.to(torch.float64), answer(case, "numba"), answer(case.to(torch.float64), "reference"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype) -> None:
    case = problem(37, 50, 9).to(dtype)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append(answer(case, "numba"))
    torch.set_num_threads(before)
    for more in results[1:]:
        assert all(map(torch.equal, results[0], more))


def test_calls_from_several_threads_at_once() -> None:
    case = problem(20, 64, 16)
    expected = answer(case, "numba")
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: answer(case, "numba"), range(12)):
            assert all(map(torch.equal, found, expected))


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_child_after_a_parallel_call() -> None:
    program = """
import os, torch
from pybert_crf.crf import numba_backend
torch.set_num_threads(2)
scores = map(torch.randn, ((24,), (24, 24), (24,)))
chain = (torch.randn(64, 64, 24), torch.ones(64, 64, dtype=torch.bool), *scores)
log_z = numba_backend.log_partition(*chain)[0].tolist()
child = os.fork()
if child == 0:
    os._exit(0 if numba_backend.log_partition(*chain)[0].tolist() == log_z else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, timeout=120, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_a_folder_for_machine_code_it_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    from pybert_crf.crf import numba_compile

    def njit(cache: bool = False, **options: Any) -> Callable[[Any], Any]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: ("compiled", function, options["nogil"])

    monkeypatch.setattr("numba.njit", njit)
    assert numba_compile.compiled(len) == ("compiled", len, True)
