"""Factors of spans' probabilities, exported and run by onnxruntime, against ``CRF.span_probabilities``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import layer, problem
from torch import Tensor

from pybert_crf.crf import CRF
from pybert_crf.crf.onnx import posterior_model

pytest.importorskip("onnx", reason="the package onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

SHAPES = [(5, 23), (1, 1), (4, 7), (2, 150), (0, 4), (3, 0), (0, 0)]


def factors(crf: CRF, continuing: Tensor, *given: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """``given_next`` and ``closing`` of emissions, mask and tags."""
    model = posterior_model(crf, continuing).SerializeToString()
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = ("emissions", "mask", "tags")
    inputs = {name: each.detach().contiguous().numpy() for name, each in zip(names, given, strict=True)}
    given_next, closing = session.run(None, inputs)
    return given_next, closing


def random_mask(batch: int, time: int, seed: int) -> Tensor:
    """Gaps and, from three rows on, one row with nothing and one with everything."""
    mask = torch.rand(batch, time, generator=torch.Generator().manual_seed(seed)) < 0.6
    if batch >= 3:
        mask[1], mask[2] = False, True
    return mask


def check_all_spans(crf: CRF, continuing: Tensor, emissions: Tensor, mask: Tensor) -> None:
    """Products of the factors are the probabilities of all spans of up to five positions."""
    tags, _ = crf.viterbi(emissions, mask)
    given_next, closing = factors(crf, continuing, emissions, mask, tags)
    off = ~mask.numpy()
    assert not given_next[off].any()
    assert not closing[off].any()
    lengths = mask.sum(1).tolist()
    spans = [
        (b, s, e) for b, n in enumerate(lengths) for s in range(n) for e in range(s + 1, min(n, s + 5) + 1)
    ]
    links = [row[kept] for row, kept in zip(given_next, ~off, strict=True)]
    closes = [row[kept] for row, kept in zip(closing, ~off, strict=True)]
    got = [links[b][s : e - 1].prod() * closes[b][e - 1] for b, s, e in spans]
    expected = crf.span_probabilities(emissions, tags, spans, mask, continuing)
    torch.testing.assert_close(
        torch.tensor(got, dtype=torch.float64), expected.double(), rtol=2e-6, atol=1e-9
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_tags", [1, 2, 7, 33])
def test_probabilities_of_all_spans(num_tags: int, dtype: torch.dtype) -> None:
    crf = layer(problem(1, 1, num_tags, seed=num_tags).to(dtype), "reference")
    continuing = torch.rand(num_tags, num_tags, generator=torch.Generator().manual_seed(1)) < 0.3
    for seed, (B, T) in enumerate(SHAPES):
        emissions = problem(B, T, num_tags, seed=seed).emissions.to(dtype)
        check_all_spans(crf, continuing, emissions, random_mask(B, T, seed))


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_forbidden_transitions_and_hostile_scores(scale: float) -> None:
    """-inf entries, a column and a row of them, and emissions far apart."""
    crf = layer(problem(1, 1, 5, seed=3).to(torch.float64), "reference")
    with torch.no_grad():
        crf.transitions[:, 2] = -torch.inf  # tag 2 only begins
        crf.transitions[3, :] = -torch.inf  # tag 3 only ends
        crf.transitions[0, 1] = crf.start_transitions[4] = crf.end_transitions[0] = -torch.inf
    emissions = scale * problem(4, 40, 5, seed=4).emissions.double()
    check_all_spans(crf, torch.eye(5, dtype=torch.bool), emissions, random_mask(4, 40, 5))
