"""Dropout keeps the expectation, drops the given share, and depends on torch's seed."""

from __future__ import annotations

import pytest
import torch

from pybert_crf.encoders.dropout import Dropout, dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_rate_and_scale(probability: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    size = 300_007  # not a multiple of the four elements that share a draw
    dropped = dropout(torch.ones(size, dtype=dtype), probability)
    zeros = float((dropped == 0).float().mean())
    deviation = (probability * (1 - probability) / size) ** 0.5
    assert abs(zeros - probability) < 5 * deviation + 1 / 65536
    survivors = dropped[dropped != 0].double()
    assert survivors.min() == survivors.max()
    assert float(survivors[0]) == pytest.approx(
        1 / (1 - probability), rel=0.01 if dtype == torch.bfloat16 else 2e-4
    )


def test_neighbours_are_independent() -> None:
    """The elements that share one draw of the generator are dropped independently of each other."""
    torch.manual_seed(0)
    zeros = (dropout(torch.ones(100_000, 8), 0.5) == 0).double()
    covariance = zeros.T.cov()
    assert (covariance - torch.eye(8) * 0.25).abs().max() < 0.01


def test_gradient_is_the_same_mask() -> None:
    x = torch.ones(7, 11, requires_grad=True)
    dropped = dropout(x, 0.3)
    (gradient,) = torch.autograd.grad(dropped.sum(), x)
    assert torch.equal(gradient, dropped.detach())  # the input is ones: both are the scaled mask


def test_seed_and_threads() -> None:
    """The result depends on the seed only: a second call differs, the number of threads does not matter."""
    x, threads = torch.ones(200_000), torch.get_num_threads()
    results = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            torch.manual_seed(4)
            results.append(dropout(x, 0.1))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(dropout(x, 0.1), results[0])


def test_edges() -> None:
    x = torch.ones(1000)
    assert dropout(x, 0.0) is x
    assert dropout(torch.ones(0, 3), 0.5).shape == (0, 3)
    almost_all = dropout(x, 0.9999999)
    assert almost_all.isfinite().all()
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert (Dropout(0.5)(x) == 0).any()
    assert repr(Dropout(0.5)) == "Dropout(p=0.5)"
