"""Training objectives other than the log-likelihood: partial labels, class weights, label smoothing.

Partial labels are for any backend; the others are plain PyTorch, for the reference backend. See
docs/crf/theory.md, eq. 30 to 32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pybert_crf.crf import autograd
from pybert_crf.crf.backends import reference
from pybert_crf.crf.backends.reference.links import at, links
from pybert_crf.crf.log_space import NEG_INF, finite_or_zero, log_softmax, widened
from pybert_crf.crf.problem import Problem, check_tags


def partial_log_likelihood(problem: Problem, candidates: Tensor) -> Tensor:
    """log P(every y_t is one of its candidates | x) (B,): log Z of those paths minus log Z (eq. 30).

    -inf for a row with no legal path, or with none through candidates alone.
    """
    chain, backend, pairwise = problem
    log_z = autograd.log_partition(chain, backend, pairwise)
    log_z_of_candidates = autograd.log_partition(chain.narrowed(candidates), backend, pairwise)
    return log_z_of_candidates - finite_or_zero(log_z)


def smoothed_log_likelihood(
    tags: Tensor, problem: Problem, class_weights: Tensor | None, smoothing: float
) -> Tensor:
    """The weighted and smoothed log-likelihood (B,) of ``tags`` (eq. 31 and 32).

    See :meth:`pybert_crf.crf.CRF.forward`, whose arguments these are.
    """
    chain = problem.chain
    if class_weights is None:
        likelihood = reference.log_likelihood(tags, chain, problem.pairwise)[0]
    else:
        likelihood = _weighted_log_likelihood(tags, problem, class_weights)
    if smoothing > 0:
        uniform = _uniform_log_likelihood(problem).to(likelihood.dtype)
        likelihood = (1 - smoothing) * likelihood + smoothing * uniform
    return likelihood


def _weighted_log_likelihood(tags: Tensor, problem: Problem, weights: Tensor) -> Tensor:
    """sum_t w[y_t] log P(y_t | y_{t+1}, x), exactly the log-likelihood if all weights are 1 (eq. 31).

    The factors are those of :mod:`pybert_crf.crf.posterior.entropy`. -inf for a row with no legal path; an
    impossible tag of weight 0 counts as 0.
    """
    (emissions, mask, _, transitions, end), pairwise = problem.chain, problem.pairwise
    B, T, K = emissions.shape
    check_tags(tags, mask, K)
    log_z, alphas = reference.log_partition(problem.chain, pairwise)
    if T == 0:
        return log_z
    tags = tags.masked_fill(~mask, 0)
    near = links(mask)
    transitions, end, weights = widened(transitions, end, weights)

    arriving = transitions.T[tags[:, 1:]]  # (B, T - 1, K): from every tag to the one at t + 1
    if pairwise is not None:
        wanted = tags[:, 1:, None, None].expand(B, T - 1, K, 1)
        own = widened(pairwise.gather(3, wanted)[:, :, :, 0])[0]
        arriving = arriving + torch.where(near.linked[:, :, None], own, 0.0)
    left = at(tags, near.before)
    inner = _chosen(log_softmax(at(alphas, near.before) + arriving, dim=2), left, weights)
    last_tag = at(tags, near.last)
    last = _chosen(log_softmax(at(alphas, near.last) + end, dim=2), last_tag, weights)[:, 0]
    total = torch.where(near.linked, inner, 0.0).sum(dim=1) + torch.where(near.nonempty, last, 0.0)
    return torch.where(log_z == NEG_INF, NEG_INF, total).to(log_z.dtype)


def _chosen(log_p: Tensor, tags: Tensor, weights: Tensor) -> Tensor:
    """weights[tag] * log_p[tag] (B, n) for log_p (B, n, K) and tags (B, n); 0 if the weight is 0."""
    chosen, weight = log_p.gather(2, tags[:, :, None])[:, :, 0], weights[tags]
    return torch.where((weight == 0) & (chosen == NEG_INF), 0.0, chosen) * weight


def _uniform_log_likelihood(problem: Problem) -> Tensor:
    """sum_t mean_k log P(y_t = k | x) (B,) in float64, over the tags k possible at t; -inf for no path."""
    log_p = reference.log_marginals(problem.chain, problem.pairwise)
    possible = log_p > NEG_INF
    mean = finite_or_zero(log_p).sum(dim=2) / possible.sum(dim=2).clamp(min=1)
    dead = problem.chain.mask & ~(possible | log_p.isnan()).any(dim=2)
    return torch.where(dead.any(dim=1), NEG_INF, mean.sum(dim=1))
