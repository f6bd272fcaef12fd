"""The forward algorithm in plain PyTorch, and what follows from its alphas.

Part of :mod:`pybert_crf.crf.backends.reference`, whose notation it uses.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pybert_crf.crf.backends.base import Gradients, Pair, Triple, ValueAndGradients
from pybert_crf.crf.backends.reference.marginals import Counts, expected_counts, from_right
from pybert_crf.crf.backends.reference.packing import packing
from pybert_crf.crf.backends.reference.paths import sample_paths
from pybert_crf.crf.backends.reference.score import path_counts, path_score
from pybert_crf.crf.log_space import NEG_INF, finite_max, logsumexp, widened
from pybert_crf.crf.problem import Chain, check_tags


def log_partition(chain: Chain, pairwise: Tensor | None = None) -> Pair:
    """log Z (B,) and, as messages, the alphas (B, T, K) in float64, each relative to its position's maximum,
    0 where masked (docs/crf/theory.md, eq. 3 and 4)."""
    emissions, mask, start, transitions, end = chain
    B, T, K = emissions.shape
    if T == 0:  # only empty paths; summed so that autograd stays connected
        return emissions.sum(dim=(1, 2)), widened(torch.zeros_like(emissions))[0]
    rows = packing(mask)
    moves = rows.moves(transitions, pairwise)
    packed, start, end = widened(rows.pack(emissions), start, end)

    offset = packed.new_zeros(B)  # sum of the maxima taken out so far
    alpha = packed.new_zeros(B, K)
    alphas = []
    for t in range(T):
        inside = rows.inside[:, t]
        incoming = start if t == 0 else logsumexp(alpha[:, :, None] + moves[t], dim=1)
        grown = incoming + packed[:, t]
        top = finite_max(grown, dim=1)
        alpha = torch.where(inside[:, None], grown - top, alpha)
        offset = offset + top[:, 0] * inside
        alphas.append(alpha)

    log_z = torch.where(rows.lengths > 0, offset + logsumexp(alpha + end, dim=1), 0.0)
    return log_z.to(emissions.dtype), rows.unpack(torch.stack(alphas, dim=1), mask)


def log_likelihood(tags: Tensor, chain: Chain, pairwise: Tensor | None = None) -> Triple:
    """The score of the paths ``tags`` minus log Z (eq. 2), log Z, and the alphas of :func:`log_partition`."""
    check_tags(tags, chain.mask, chain.emissions.shape[2])
    dtype, chain = chain.emissions.dtype, chain.widened()
    log_z, alphas = log_partition(chain, pairwise)
    # Without a legal path the difference is -inf - -inf, NaN: where() keeps that out, of gradients too.
    impossible = log_z == NEG_INF
    score = path_score(tags, chain, pairwise)
    likelihood = torch.where(impossible, NEG_INF, score - torch.where(impossible, 0.0, log_z))
    return likelihood.to(dtype), log_z.to(dtype), alphas


def gradient(
    grad: Tensor,
    tags: Tensor | None,
    chain: Chain,
    messages: Tensor,
    log_z: Tensor,
    pairwise: Tensor | None = None,
) -> Gradients:
    """The gradient of the sum of ``grad`` times log Z or, with ``tags``, times the likelihoods (eq. 6).

    That of log Z is the posterior marginals, of tags and of pairs of them; that of a score is how often the
    path uses each. Differentiable through the ``messages``.
    """
    emissions, mask, _, transitions, end = chain
    (weight,) = widened(grad)
    weight = torch.where(log_z == NEG_INF, 0.0, weight)
    gradients = expected_counts(weight, mask, transitions, end, messages, pairwise)
    if tags is not None:
        counts = path_counts(weight, tags, mask, emissions.shape[2])
        gradients = Counts(*(count - part for count, part in zip(counts, gradients, strict=True)))
    return Counts(*(part.to(emissions.dtype) for part in gradients))


def value_and_gradient(
    grad: Tensor, tags: Tensor | None, chain: Chain, pairwise: Tensor | None = None
) -> ValueAndGradients:
    """The value of :func:`log_likelihood`, or of :func:`log_partition` without ``tags``; its gradient."""
    if tags is None:
        log_z, alphas = log_partition(chain, pairwise)
        value = log_z
    else:
        value, log_z, alphas = log_likelihood(tags, chain, pairwise)
    return value, *gradient(grad, tags, chain, alphas, log_z, pairwise)


def log_alphas(chain: Chain, pairwise: Tensor | None = None) -> Tensor:
    """The alphas (B, T, K), relative to each position's maximum; 0 where masked. Differentiable."""
    return log_partition(chain, pairwise)[1].to(chain.emissions.dtype)


def log_marginals(chain: Chain, pairwise: Tensor | None = None) -> Tensor:
    """log P(y_t = k | x) (B, T, K) in float64; -inf where masked or impossible. Differentiable."""
    emissions, mask, _, transitions, end = chain
    if emissions.shape[1] == 0:
        return widened(torch.zeros_like(emissions))[0]
    _, alphas = log_partition(chain, pairwise)
    rows = packing(mask)
    steps = [step.log_marginal for step in from_right(rows, alphas, transitions, end, pairwise)]
    return rows.unpack(torch.stack(steps[::-1], dim=1), mask, fill=NEG_INF)


def sample(uniforms: Tensor, chain: Chain, pairwise: Tensor | None = None) -> Tensor:
    """A path for each of the uniforms: forwards the alphas, backwards y_n ~ exp(alpha_n + end) and
    y_t ~ exp(alpha_t + transitions[:, y_{t+1}]) (eq. 26)."""
    _, mask, _, transitions, end = chain
    with torch.no_grad():
        _, alphas = log_partition(chain, pairwise)
        return sample_paths(uniforms, alphas, mask, transitions, end, pairwise)
