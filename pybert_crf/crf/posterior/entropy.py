"""Pairwise marginals, entropy and KL divergence of the posterior distribution of a row's path.

All of them come from the alphas and the posterior marginals. Given the next tag, the chain so far is
independent of all that follows::

    P(y_t = i | y_{t+1} = j, x) ∝ exp(alpha_t(i) + transitions[i, j])   (summing to 1 over i)
    P(y | x) = P(y_n | x) prod_t P(y_t | y_{t+1}, x)

so entropy and divergence are sums of those of the factors (the chain rules of Cover & Thomas, 2006;
docs/crf/theory.md, eq. 28 and 29), each weighted by P(y_{t+1} = j | x). No term is negative: nothing large
cancels, however long the row is. All is computed in float64, within autograd for the reference backend only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pybert_crf.crf import autograd
from pybert_crf.crf.backends.reference.links import Links, at, links
from pybert_crf.crf.log_space import NEG_INF, finite_or_zero, log_softmax
from pybert_crf.crf.problem import Problem

_BLOCK = 1 << 22  # numbers held at once for pairs of tags: (B, positions, K, K)


def transition_marginals(problem: Problem) -> Tensor:
    """P(y_s = i, y_t = j | x) (B, T - 1, K, K), t: each position but the first; s: the unmasked one before.

    0 where t is masked, or the first unmasked position; 0 for a row with no legal path.
    """
    B, T, K = problem.chain.emissions.shape
    if T == 0:
        return problem.chain.emissions.new_zeros(B, 0, K, K)
    factors = _Factors(problem, links(problem.chain.mask))
    pairs = factors.given_next(slice(T - 1)).exp() * factors.following()[:, :, None]
    return pairs.to(problem.chain.emissions.dtype)


def entropy(problem: Problem) -> Tensor:
    """H(P) = -sum_y P(y | x) log P(y | x), (B,) in nats."""
    return _expected(lambda log_p, _: -log_p.exp() * finite_or_zero(log_p), problem, problem)


def kl_divergence(problem: Problem, other: Problem) -> Tensor:
    """KL(P || Q) = sum_y P(y | x) log (P(y | x) / Q(y | x)), (B,) in nats; Q is the other problem's."""
    return _expected(_divergence, problem, other)


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """p log (p / q); 0 where p is 0, whatever q is."""
    p = log_p.exp()
    return p * torch.where(p == 0, 0.0, finite_or_zero(log_p) - log_q.masked_fill(p == 0, 0.0))


def _expected(term: Callable[[Tensor, Tensor], Tensor], problem: Problem, other: Problem) -> Tensor:
    """The sum (B,), over the factors of P and weighted by P, of ``term(log p, log q)`` over their outcomes.

    0 for a row with nothing unmasked, or with no legal path.
    """
    emissions = problem.chain.emissions
    B, T, K = emissions.shape
    if T == 0:
        return emissions.sum(dim=(1, 2))
    near = links(problem.chain.mask)
    ours = _Factors(problem, near)
    theirs = ours if other is problem else _Factors(other, near)
    total = torch.where(near.nonempty, term(ours.last(), theirs.last()).sum(dim=1), 0.0)
    weights = ours.following()
    size = max(1, _BLOCK // max(1, B * K * K))
    for first in range(0, T - 1, size):
        block = slice(first, first + size)
        weight, log_p = weights[:, block], ours.given_next(block)
        log_q = log_p if theirs is ours else theirs.given_next(block)
        # The terms of tags that follow with probability 0 are removed before they can be infinite.
        terms = term(log_p.masked_fill((weight == 0)[:, :, None], NEG_INF), log_q)
        total = total + (terms.sum(dim=2) * weight).sum(dim=(1, 2))
    return total.to(emissions.dtype)


class _Factors:
    """The factors of a posterior distribution, from right to left; T > 0."""

    def __init__(self, problem: Problem, near: Links) -> None:
        self._problem = problem.widened()
        self._near = near
        self._alphas = autograd.log_alphas(*self._problem)

    def last(self) -> Tensor:
        """log P(y_n | x) (B, K)."""
        return log_softmax(at(self._alphas, self._near.last)[:, 0] + self._problem.chain.end, dim=1)

    def given_next(self, block: slice) -> Tensor:
        """log P(y_s = i | y_t = j, x) (B, positions t in the block, K, K); t - 1 counts them."""
        before = at(self._alphas, self._near.before[:, block])
        scores = before[:, :, :, None] + self._problem.chain.transitions
        if self._problem.pairwise is not None:
            linked = self._near.linked[:, block, None, None]
            scores = scores + torch.where(linked, self._problem.pairwise[:, block], 0.0)
        return log_softmax(scores, dim=2)

    def following(self) -> Tensor:
        """P(y_t = j | x) (B, T - 1, K) for all t but the first; 0 if t is the first."""
        marginals = autograd.marginals(*self._problem)[:, 1:]
        return torch.where(self._near.linked[:, :, None], marginals, 0.0)
