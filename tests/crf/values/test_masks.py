"""Every mask is legal: the chain of a row is its unmasked positions."""

from __future__ import annotations

import pytest
import torch
from cases import Case, answer, drawn, each_backend, layer, problem
from hypothesis import given, settings
from hypothesis import strategies as st

B, T, K = 5, 13, 7


def scattered(seed: int) -> Case:
    """A problem with gaps, one left-padded row and one empty row; -100 and NaN where masked."""
    case = problem(B, T, K, seed=seed)
    mask = drawn(torch.rand, B, T, seed=seed) < 0.6
    mask[1] = torch.arange(T) >= 6
    mask[2] = False
    case.emissions[~mask] = torch.nan
    return case._replace(mask=mask, tags=case.tags.masked_fill(~mask, -100))


def row_alone(case: Case, row: int) -> Case:
    """The row without its masked positions."""
    on = case.mask[row]
    emissions, tags = case.emissions[row, on], case.tags[row, on]
    return case._replace(emissions=emissions[None], tags=tags[None], mask=on[on][None])


@each_backend
@settings(derandomize=True, deadline=None, max_examples=5, database=None)
@given(seed=st.integers(0, 2**16))
def test_a_gap_is_as_if_the_position_were_not_there(backend: str, seed: int) -> None:
    case = scattered(seed)
    crf = layer(case, backend)
    found = answer(case, backend)
    likelihood = crf(case.emissions, case.tags, case.mask, reduction="none")
    decoded = crf.decode(case.emissions, case.mask)
    for row in range(B):
        alone = row_alone(case, row)
        expected = answer(alone, backend)
        torch.testing.assert_close(found.log_z[row], expected.log_z[0])
        torch.testing.assert_close(found.marginals[row, case.mask[row]], expected.marginals[0])
        torch.testing.assert_close(likelihood[row], crf(alone.emissions, alone.tags))
        assert [decoded[row]] == crf.decode(alone.emissions)
    assert found.marginals[~case.mask].eq(0).all()


@each_backend
def test_an_empty_row_has_one_path_of_score_0(backend: str) -> None:
    case = scattered(0)
    crf = layer(case, backend)
    assert crf.log_partition(case.emissions, case.mask)[2] == 0
    assert crf.score(case.emissions, case.tags, case.mask)[2] == 0
    assert crf(case.emissions, case.tags, case.mask, reduction="none")[2] == 0
    assert crf.viterbi(case.emissions, case.mask)[1][2] == 0
    assert crf.decode(case.emissions, case.mask)[2] == []


@pytest.mark.reduced
@each_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layout_and_strides_change_nothing(backend: str, dtype: torch.dtype) -> None:
    case = scattered(1).to(dtype)
    parts = (case.emissions, case.tags, case.mask)
    emissions, tags, mask = (part.transpose(0, 1) for part in parts)  # time first, not contiguous
    # Every second number of a wider tensor: the last axis is not contiguous either.
    strided = torch.stack([case.emissions, case.emissions], dim=3)[..., 0]
    first, last = layer(case, backend), layer(case, backend, batch_first=False)
    expected = first(case.emissions, case.tags, case.mask)
    assert torch.equal(last(emissions, tags, mask), expected)
    assert torch.equal(first(strided, case.tags, case.mask), expected)
    assert last.decode(emissions, mask) == first.decode(case.emissions, case.mask)
    assert torch.equal(last.marginals(emissions, mask), first.marginals(*parts[::2]).transpose(0, 1))
    assert torch.equal(last.viterbi(emissions, mask)[0], first.viterbi(*parts[::2])[0].transpose(0, 1))
    spans = [(0, 1, 4), (1, 0, 7)]
    ours = last.span_probabilities(emissions, tags, spans, mask)
    assert torch.equal(ours, first.span_probabilities(*parts[:2], spans, case.mask))
