"""Errors about tags, spans, NaN and rows with no legal path."""

from __future__ import annotations

import re

import pytest
import torch
from cases import Case, each_backend, layer, problem

B, T, K = 3, 5, 7


def say(message: str) -> str:
    return re.escape(message)


@pytest.mark.parametrize("tag", [-100, -1, K])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_tag_out_of_range_is_named_with_its_place(tag: int, batch_first: bool) -> None:
    case = problem(B, T, K, ragged=False)
    case.tags[1, 3] = tag
    crf = layer(case, "auto", batch_first=batch_first)
    emissions, tags = case.emissions, case.tags
    if not batch_first:
        emissions, tags = emissions.transpose(0, 1), tags.transpose(0, 1)
    with pytest.raises(ValueError, match=say(f"tag {tag} at batch row 1, position 3 is out of range")):
        crf(emissions, tags)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_tags_must_be_integers(dtype: torch.dtype) -> None:
    case = problem(B, T, K)
    with pytest.raises(ValueError, match="tags must be integers"):
        layer(case, "auto")(case.emissions, case.tags.to(dtype))


def test_tags_may_be_of_any_integer_dtype() -> None:
    case = problem(B, T, K)
    crf = layer(case, "auto")
    assert torch.equal(crf(case.emissions, case.tags.to(torch.int16)), crf(case.emissions, case.tags))


def test_emissions_must_be_floating_point() -> None:
    case = problem(B, T, K)
    with pytest.raises(ValueError, match=say("emissions must be floating point, got torch.int64")):
        layer(case, "auto").decode(case.emissions.long())


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ((1, 0, 4), "span 1 is [0, 4) of batch row 1, which has 3 unmasked positions"),
        ((1, 2, 2), "span 1 is [2, 2) of batch row 1"),
        ((1, -1, 2), "span 1 is [-1, 2) of batch row 1"),
        ((3, 0, 1), "span 1 is [0, 1) of batch row 3, which does not exist"),
        ((-1, 0, 1), "span 1 is [0, 1) of batch row -1, which does not exist"),
    ],
)
def test_a_span_outside_its_row_is_named(span: tuple[int, int, int], message: str) -> None:
    case = problem(B, T, K, ragged=False)
    case.mask[1, [0, 4]] = False
    with pytest.raises(ValueError, match=say(message)):
        layer(case, "auto").span_probabilities(case.emissions, case.tags, [(0, 0, 5), span], case.mask)


@pytest.mark.reduced
@each_backend
def test_nan_is_not_hidden(backend: str) -> None:
    case = problem(B, T, K, ragged=False)
    case.emissions[1, 3, 2] = torch.nan
    crf = layer(case, backend)
    emissions = case.emissions.requires_grad_()
    likelihood = crf(emissions, case.tags, reduction="none")
    assert likelihood.isnan().tolist() == [False, True, False]
    likelihood.sum().backward()
    assert emissions.grad is not None
    assert emissions.grad.isnan().flatten(1).any(1).tolist() == [False, True, False]
    assert crf.transitions.grad is not None
    assert crf.transitions.grad.isnan().any()
    with pytest.raises(ValueError, match="emissions hold NaN at batch row 1, position 3"):
        crf.decode(emissions)


@each_backend
@pytest.mark.parametrize("name", ["start_transitions", "transitions", "end_transitions"])
def test_nan_parameters_are_not_hidden(backend: str, name: str) -> None:
    case = problem(B, T, K)
    crf = layer(case, backend)
    with torch.no_grad():
        getattr(crf, name).view(-1)[1] = torch.nan
    assert crf.log_partition(case.emissions).isnan().all()
    with pytest.raises(ValueError, match="the transition parameters hold NaN"):
        crf.decode(case.emissions)


def test_infinite_emissions_are_no_nan() -> None:
    case = problem(B, T, K)
    case.emissions[:, :, 0] = -torch.inf
    assert all(0 not in row for row in layer(case, "auto").decode(case.emissions))


@pytest.mark.reduced
@each_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_without_a_legal_path(backend: str, dtype: torch.dtype) -> None:
    """All transitions are forbidden: only rows with at most one position have a path."""
    case: Case = problem(B, T, K).to(dtype)
    case.transitions.fill_(-torch.inf)
    case = case._replace(mask=torch.tensor([[0, 1, 0, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]]).bool())
    crf = layer(case, backend)
    emissions = case.emissions.requires_grad_()
    likelihood = crf(emissions, case.tags, case.mask, reduction="none")
    assert likelihood.isneginf().tolist() == [False, True, False]
    assert not likelihood.isnan().any()
    likelihood.sum().backward()
    assert emissions.grad is not None
    assert emissions.grad[1].eq(0).all()
    assert emissions.grad[0].ne(0).any()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in crf.parameters())
    assert crf.viterbi(emissions, case.mask)[1].isneginf().tolist() == [False, True, False]
    assert crf.marginals(emissions, case.mask)[1].eq(0).all()
    with pytest.raises(ValueError, match="no legal tag sequence for batch row 1"):
        crf.decode(emissions, case.mask)
