"""Sums over paths of a batch's rows, for Numba: log Z, likelihoods, and their gradient.

Each kernel works through chunks ``first, first + step, ...`` of ``size`` rows, without the GIL. A row whose
alphas are weights has the greatest of each position at 1, one whose alphas are logarithms at 0 or below: that
is how the gradient tells them apart.
"""

from __future__ import annotations

import numpy as np

from pybert_crf.crf.numba_compile import NEG_INF, Flags, Floats, Reals, Tags, compiled
from pybert_crf.crf.numba_log import forward_log, gradient_log
from pybert_crf.crf.numba_scaled import forward_scaled, gradient_scaled
from pybert_crf.crf.numba_weights import Weights


@compiled
def find_wrong_tag(tags: Tags, mask: Flags, num_tags: int) -> int:
    """The flat index of the first unmasked tag (B, T) that is none; -1 if all are."""
    for b in range(tags.shape[0]):
        for t in range(tags.shape[1]):
            if mask[b, t] and not 0 <= tags[b, t] < num_tags:
                return int(b * tags.shape[1] + t)
    return -1


@compiled
def _score(emissions: Reals, on: Flags, tags: Tags, weights: Weights) -> float:
    """The score of a path (docs/crf.md, eq. 1)."""
    score = 0.0
    before = -1
    for t in range(on.shape[0]):
        if on[t]:
            tag = tags[t]
            score += emissions[t, tag]
            score += weights.transitions[before, tag] if before >= 0 else weights.start[tag]
            before = tag
    return score + weights.end[before] if before >= 0 else score


@compiled
def forward_rows(
    chunks: tuple[int, int, int],
    emissions: Reals,
    mask: Flags,
    weights: Weights,
    least: float,
    tags: Tags,
    value: Reals,
    log_z: Reals,
    alphas: Reals,
) -> None:
    """Write log_z (B,), alphas (B, T, K) and value (B,): the log-likelihoods of tags (B, T), log_z where
    there are none (0, T)."""
    first, step, size = chunks
    B = emissions.shape[0]
    P = weights.forward.shape[0]
    alpha, sums = np.zeros(P), np.zeros(P)
    for begin in range(first * size, B, step * size):
        for b in range(begin, min(begin + size, B)):
            total: float = np.nan
            if weights.is_scalable:
                total = forward_scaled(emissions[b], mask[b], weights, least, alphas[b], alpha, sums)
            if np.isnan(total):
                total = forward_log(emissions[b], mask[b], weights, alphas[b])
            log_z[b] = total
            if tags.shape[0] > 0 and total != NEG_INF:
                total = _score(emissions[b], mask[b], tags[b], weights) - total
            value[b] = total


@compiled
def log_alpha_rows(
    chunks: tuple[int, int, int], emissions: Reals, mask: Flags, weights: Weights, alphas: Reals
) -> None:
    """Write the log-alphas (B, T, K), each relative to its position's maximum."""
    first, step, size = chunks
    B = emissions.shape[0]
    for begin in range(first * size, B, step * size):
        for b in range(begin, min(begin + size, B)):
            forward_log(emissions[b], mask[b], weights, alphas[b])


@compiled
def _is_scaled(alphas: Reals, on: Flags) -> bool:
    for t in range(on.shape[0]):
        if on[t]:
            return bool(alphas[t].max() > 0.5)
    return False


@compiled
def gradient_rows(
    chunks: tuple[int, int, int],
    grad: Floats,
    tags: Tags,
    mask: Flags,
    weights: Weights,
    alphas: Reals,
    log_z: Reals,
    d_emissions: Reals,
    d_start: Floats,
    d_products: Floats,
    d_direct: Floats,
    d_end: Floats,
) -> None:
    """Write d_emissions (B, T, K); add to each chunk's d_start, d_end (chunks, K), d_products (chunks, P, P)
    and d_direct (chunks, K, K), whose ``weights.forward * d_products + d_direct`` is that of the transitions.
    """
    first, step, size = chunks
    B = grad.shape[0]
    memory = np.zeros((11, weights.forward.shape[0]))
    for chunk in range(first, d_start.shape[0], step):
        starts, products, direct, ends = d_start[chunk], d_products[chunk], d_direct[chunk], d_end[chunk]
        for b in range(chunk * size, min((chunk + 1) * size, B)):
            if log_z[b] == NEG_INF:
                d_emissions[b] = 0.0
                continue
            g = np.nan if np.isnan(log_z[b]) else grad[b]
            share = -g if tags.shape[0] > 0 else g
            if not np.isnan(g) and _is_scaled(alphas[b], mask[b]):
                gradient_scaled(
                    share, alphas[b], mask[b], weights, d_emissions[b], starts, products, ends, memory
                )
            else:
                gradient_log(
                    share, alphas[b], mask[b], weights, d_emissions[b], starts, products, direct, ends
                )
            if tags.shape[0] > 0:
                _count_path(g, tags[b], mask[b], d_emissions[b], starts, direct, ends)


@compiled
def _count_path(
    g: float, tags: Tags, on: Flags, d_emissions: Reals, d_start: Floats, d_direct: Floats, d_end: Floats
) -> None:
    """Add g for each time that the path uses a score."""
    before = -1
    for t in range(on.shape[0]):
        if on[t]:
            tag = tags[t]
            d_emissions[t, tag] += g
            if before >= 0:
                d_direct[before, tag] += g
            else:
                d_start[tag] += g
            before = tag
    if before >= 0:
        d_end[before] += g
