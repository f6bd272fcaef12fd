"""The posterior marginals of the linear chain in plain PyTorch, from its alphas.

Part of :mod:`pybert_crf.crf.backends.reference`, whose notation it uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pybert_crf.crf.backends.reference.packing import Packing, packing
from pybert_crf.crf.log_space import NEG_INF, log_softmax, logsumexp, widened


class Counts(NamedTuple):
    """One number per score."""

    emissions: Tensor  # (B, T, K)
    start: Tensor  # (K,)
    transitions: Tensor  # (K, K)
    end: Tensor  # (K,)


def expected_counts(
    weight: Tensor, mask: Tensor, transitions: Tensor, end: Tensor, alphas: Tensor, pairwise: Tensor | None
) -> Counts:
    """How often a path uses each score, on average over the paths of a row, times weight (B,)."""
    start, pairs, end_counts = (torch.zeros_like(part) for part in widened(end, transitions, end))
    if alphas.shape[1] == 0:
        return Counts(torch.zeros_like(alphas), start, pairs, end_counts)
    rows = packing(mask)
    marginals = []
    for step in from_right(rows, alphas, transitions, end, pairwise):
        marginal = step.log_marginal.exp() * weight[:, None]
        marginals.append(marginal)
        end_counts = end_counts + torch.where(step.is_last, marginal, 0.0).sum(dim=0)
        if step.log_pair is not None:
            pairs = pairs + (step.log_pair.exp() * weight[:, None, None]).sum(dim=0)
    emissions = rows.unpack(torch.stack(marginals[::-1], dim=1), mask)
    return Counts(emissions, marginals[-1].sum(dim=0), pairs, end_counts)


class Step(NamedTuple):
    """The posterior probabilities of a packed position, given that all positions to its right are done."""

    log_marginal: Tensor  # (B, K): -inf past the row's end
    is_last: Tensor  # (B, 1) bool
    log_pair: Tensor | None  # (B, K, K) of it and the next; -inf past the row's end. None at T - 1


def from_right(
    rows: Packing, alphas: Tensor, transitions: Tensor, end: Tensor, pairwise: Tensor | None
) -> Iterator[Step]:
    """The posterior marginals' logs, in one sweep from right to left over packed positions T - 1 .. 0.

    Given the next tag, the chain so far is independent of all that follows::

        P(y_t = i | y_{t+1} = j, x) ∝ exp(alpha_t(i) + transitions[i, j])   (summing to 1 over i)

    so P(y_t, y_{t+1}) = P(y_t | y_{t+1}, x) P(y_{t+1}), beginning from P(y_n) ∝ exp(alpha_n + end). No second
    recursion can drift apart from the first, and each position is made to sum to 1.
    """
    T = alphas.shape[1]
    moves = rows.moves(transitions, pairwise)
    alphas, end = widened(rows.pack(alphas), end)
    marginal, pair = alphas.new_zeros(()), None
    for t in reversed(range(T)):
        inside, is_last = rows.inside[:, t, None], (rows.lengths == t + 1)[:, None]
        final = log_softmax(alphas[:, t] + end, dim=1)
        if t + 1 < T:
            given_next = log_softmax(alphas[:, t, :, None] + moves[t + 1], dim=1)  # (B, K, K)
            pair = given_next + marginal[:, None, :]
            final = torch.where(is_last, final, log_softmax(logsumexp(pair, dim=2), dim=1))
        marginal = torch.where(inside, final, NEG_INF)
        yield Step(marginal, is_last, pair)
