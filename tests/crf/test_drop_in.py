"""`CRF` in place of `torchcrf.CRF` (pytorch-crf 0.7.2): same values, gradients, decoding, words and
state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import DEVICE, each_backend, problem
from torch import Tensor

from pybert_crf.crf import CRF

torchcrf: Any = pytest.importorskip("torchcrf", reason="pytorch-crf is not installed")
B, T, K = 5, 11, 7


def twins(backend: str = "auto", batch_first: bool = False) -> tuple[CRF, Any]:
    torch.manual_seed(3)
    ours = CRF(K, batch_first, backend=backend).to(DEVICE)
    torch.manual_seed(3)
    return ours, torchcrf.CRF(K, batch_first).to(DEVICE)


def inputs(batch_first: bool) -> tuple[Tensor, Tensor, Tensor]:
    case = problem(B, T, K, seed=2).to(torch.float32)
    emissions, tags, mask = case.emissions, case.tags, case.mask
    if not batch_first:
        emissions, tags, mask = emissions.transpose(0, 1), tags.transpose(0, 1), mask.transpose(0, 1)
    return emissions, tags, mask


def test_same_seed_same_parameters_repr_and_state() -> None:
    ours, theirs = twins()
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(ours.state_dict()[name], value) for name, value in theirs.state_dict().items())
    torch.manual_seed(4)
    ours.reset_parameters()
    torch.manual_seed(4)
    theirs.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_state_loads_both_ways() -> None:
    ours, theirs = CRF(K), torchcrf.CRF(K)
    ours.load_state_dict(theirs.state_dict())
    torchcrf.CRF(K).load_state_dict(ours.state_dict())
    assert torch.equal(ours.transitions, theirs.transitions)


@each_backend
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "token_mean"])
def test_same_values_and_gradients(backend: str, batch_first: bool, reduction: str) -> None:
    results = []
    for crf in twins(backend, batch_first):
        emissions, tags, mask = inputs(batch_first)
        emissions = emissions.clone().requires_grad_()
        value = crf(emissions, tags, mask, reduction=reduction)
        value.sum().backward()
        results.append([value, emissions.grad, *(parameter.grad for parameter in crf.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@each_backend
@pytest.mark.parametrize("batch_first", [False, True])
def test_same_decoding(backend: str, batch_first: bool) -> None:
    ours, theirs = twins(backend, batch_first)
    emissions, _, mask = inputs(batch_first)
    decoded = ours.decode(emissions, mask)
    assert decoded == theirs.decode(emissions, mask)
    assert all(type(tag) is int for row in decoded for tag in row)


@pytest.mark.parametrize("batch_first", [False, True])
def test_private_methods_take_time_first(batch_first: bool) -> None:
    emissions, tags, mask = inputs(False)
    results = []
    for crf in twins("auto", batch_first):
        score, log_z = crf._compute_score(emissions, tags, mask), crf._compute_normalizer(emissions, mask)
        results.append((score, log_z, crf._viterbi_decode(emissions, mask)))
        crf._validate(*inputs(batch_first))
        with pytest.raises(ValueError, match="first two dimensions of emissions and tags"):
            crf._validate(emissions, tags.T)
    (ours, expected) = results
    torch.testing.assert_close(ours[:2], expected[:2], rtol=1e-5, atol=1e-5)
    assert ours[2] == expected[2]


def test_mask_and_tags_in_another_order_are_refused() -> None:
    """As bert4torch and NCRF++ have it."""
    crf, _ = twins()
    emissions, tags, mask = inputs(False)
    with pytest.raises(ValueError, match=r"the order is crf\(emissions, tags, mask\)"):
        crf(emissions, mask.long(), tags)
    zeros = torch.zeros_like(tags)
    assert torch.equal(crf(emissions, zeros, mask.long()), crf(emissions, zeros, mask))
    assert torch.equal(crf(emissions, tags, mask.long() * 3), crf(emissions, tags, mask))


@each_backend
def test_no_mask_is_a_full_one(backend: str) -> None:
    crf, _ = twins(backend)
    emissions, tags, mask = inputs(False)
    full = torch.ones_like(mask)
    assert torch.equal(crf(emissions, tags), crf(emissions, tags, full))
    assert crf.decode(emissions) == crf.decode(emissions, full)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
def test_masks_of_any_dtype(dtype: torch.dtype) -> None:
    crf, _ = twins()
    emissions, tags, mask = inputs(False)
    assert torch.equal(crf(emissions, tags, mask.to(dtype)), crf(emissions, tags, mask))
    assert crf.decode(emissions, mask.to(dtype)) == crf.decode(emissions, mask)


WRONG: list[Callable[[Any], object]] = [
    lambda crf: type(crf)(0),
    lambda crf: crf(torch.zeros(T, B), torch.zeros(T, B).long()),
    lambda crf: crf(torch.zeros(T, B, K + 1), torch.zeros(T, B).long()),
    lambda crf: crf(torch.zeros(T, B, K), torch.zeros(B, T).long()),
    lambda crf: crf(torch.zeros(T, B, K), torch.zeros(T, B).long(), torch.ones(B, T).bool()),
    lambda crf: crf(torch.zeros(T, B, K), torch.zeros(T, B).long(), reduction="median"),
    lambda crf: crf.decode(torch.zeros(T, B)),
    lambda crf: crf.decode(torch.zeros(T, B, K + 1)),
    lambda crf: crf.decode(torch.zeros(T, B, K), torch.ones(B, T).bool()),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_same_words_for_what_does_not_fit(wrong: Callable[[Any], object]) -> None:
    messages = []
    for crf in twins():
        with pytest.raises(ValueError, match=r".") as caught:
            wrong(crf)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
