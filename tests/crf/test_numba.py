"""What is the Numba backend's own: when a step's product of exponentials is used, and where machine code is
kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import COMPILED, answer, problem

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


def test_without_a_folder_for_machine_code_it_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    from pybert_crf.crf import numba_compile

    def njit(cache: bool = False, **options: Any) -> Callable[[Any], Any]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: ("compiled", function, options["nogil"])

    monkeypatch.setattr("numba.njit", njit)
    assert numba_compile.compiled(len) == ("compiled", len, True)
