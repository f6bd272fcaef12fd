"""The linear chain in plain PyTorch: any device, any dtype, any order of derivative.

This is the oracle that every other backend is tested against, so it is written to be read. Notation, for one
row with positions t = 1..n (Lafferty, McCallum & Pereira, 2001; Rabiner, 1989)::

    score(y)   = start[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_{t-1}, y_t] + end[y_n]
    log Z      = log sum_y exp score(y)
    alpha_t(j) = log sum over the paths y_1..y_t = j of exp(their score so far)

Each alpha_t is kept relative to its own maximum, and the maxima are summed apart: numbers stay small however
long the row is. The maxima are constants to autograd, which is exact: log Z does not depend on what is
subtracted and added again. All is computed in float64 where the device has it: in float32 autograd's products
of thousands of steps drift (by 5e-6 at T = 2,000). Memory is B * T * K * K for autograd; this is not the fast
backend.

Every function takes the chain's five tensors, and what no other backend knows: ``pairwise``
(B, T - 1, K, K), scores of each position's own, added to the transitions on entering position t + 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pybert_crf.crf.checks import check_tags
from pybert_crf.crf.log_space import NEG_INF, finite_max, logsumexp, widened
from pybert_crf.crf.packing import packing
from pybert_crf.crf.reference_marginals import Counts, expected_counts, from_right
from pybert_crf.crf.reference_paths import k_best, sample_paths, viterbi
from pybert_crf.crf.score import path_counts, path_score

__all__ = [
    "gradient",
    "k_best",
    "log_alphas",
    "log_likelihood",
    "log_marginals",
    "log_partition",
    "sample",
    "viterbi",
]


def log_partition(
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    pairwise: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The forward algorithm (docs/crf.md, eq. 3 and 4).

    Args:
        emissions: (B, T, K) floating point, any strides; anything at masked positions.
        mask: (B, T) bool.
        start: (K,); transitions: (K, K), from row to column; end: (K,). All of the emissions' dtype.
        pairwise: (B, T - 1, K, K); read only between two unmasked positions, at the latter.

    Returns:
        log Z (B,) and the alphas (B, T, K) in float64, each relative to its position's maximum, 0 where
        masked. log Z is 0 for a row with nothing unmasked, -inf for one without a legal path.
    """
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


def log_likelihood(
    tags: Tensor,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    pairwise: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The score of the paths ``tags`` less log Z (docs/crf.md, eq. 2).

    Args:
        tags: (B, T) int64, read only where unmasked; the others as for :func:`log_partition`.

    Returns:
        The log-likelihoods (B,): 0 for a row with nothing unmasked, -inf for one without a legal path; and
        log Z and the alphas of :func:`log_partition`.

    Raises:
        ValueError: on the CPU, a tag is out of range where unmasked; names the first.
    """
    check_tags(tags, mask, emissions.shape[2])
    dtype = emissions.dtype
    emissions, start, transitions, end = widened(emissions, start, transitions, end)
    log_z, alphas = log_partition(emissions, mask, start, transitions, end, pairwise)
    # Without a legal path the difference is -inf - -inf, NaN: where() keeps that out, of gradients too.
    impossible = log_z == NEG_INF
    score = path_score(tags, emissions, mask, start, transitions, end, pairwise)
    likelihood = torch.where(impossible, NEG_INF, score - torch.where(impossible, 0.0, log_z))
    return likelihood.to(dtype), log_z.to(dtype), alphas


def gradient(
    grad: Tensor,
    tags: Tensor | None,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    messages: Tensor,
    log_z: Tensor,
    pairwise: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradient of ``(grad * log_z).sum()``; with ``tags``, of ``(grad * log_likelihood).sum()``.

    Expected counts, which are marginals (docs/crf.md, eq. 6).

    That of log Z is the posterior marginals, of tags and of pairs of them; that of a score is how often the
    path uses each. Differentiable through the ``messages``.

    Args:
        grad: (B,); tags: (B, T) int64 or None; messages and log_z: from the function that is differentiated.

    Returns:
        The gradients of emissions (B, T, K; exactly 0 where masked), start, transitions and end. A row with
        no legal path, or with nothing unmasked, adds 0 to each.
    """
    (weight,) = widened(grad)
    weight = torch.where(log_z == NEG_INF, 0.0, weight)
    gradients = expected_counts(weight, mask, transitions, end, messages, pairwise)
    if tags is not None:
        counts = path_counts(weight, tags, mask, emissions.shape[2])
        gradients = Counts(*(count - part for count, part in zip(counts, gradients, strict=True)))
    return Counts(*(part.to(emissions.dtype) for part in gradients))


def log_alphas(
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    pairwise: Tensor | None = None,
) -> Tensor:
    """The alphas (B, T, K), relative to each position's maximum; 0 where masked. Differentiable."""
    return log_partition(emissions, mask, start, transitions, end, pairwise)[1].to(emissions.dtype)


def log_marginals(
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    pairwise: Tensor | None = None,
) -> Tensor:
    """log P(y_t = k | x) (B, T, K) in float64; -inf where masked or impossible. Differentiable."""
    if emissions.shape[1] == 0:
        return widened(torch.zeros_like(emissions))[0]
    _, alphas = log_partition(emissions, mask, start, transitions, end, pairwise)
    rows = packing(mask)
    steps = [step.log_marginal for step in from_right(rows, alphas, transitions, end, pairwise)]
    return rows.unpack(torch.stack(steps[::-1], dim=1), mask, fill=NEG_INF)


def sample(
    uniforms: Tensor,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    pairwise: Tensor | None = None,
) -> Tensor:
    """A path for each of the uniforms, with exactly its probability.

    Forwards the alphas; backwards y_n ~ exp(alpha_n + end) and y_t ~ exp(alpha_t + transitions[:, y_{t+1}]).

    Args:
        uniforms: (n, B, T) float64 in [0, 1), one a position: its tag is the first whose cumulative weight
            exceeds the uniform's share of the total. The others as for :func:`log_partition`.

    Returns:
        tags (n, B, T) int64, -1 where masked and in rows without a legal path.
    """
    with torch.no_grad():
        _, alphas = log_partition(emissions, mask, start, transitions, end, pairwise)
        return sample_paths(uniforms, alphas, mask, transitions, end, pairwise)
