"""The rows of a batch in which the scaled recursion cannot be trusted, for Numba: all in the log semiring.

Each kernel works through chunks ``first, first + step, ...`` of ``size`` rows, without the GIL.
"""

from __future__ import annotations

import numpy as np

from pybert_crf.crf.numba_compile import NEG_INF, Flags, Floats, Reals, Tags, compiled
from pybert_crf.crf.numba_log import forward_log, gradient_log
from pybert_crf.crf.numba_weights import Weights


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
    left: Flags,
    emissions: Reals,
    mask: Flags,
    weights: Weights,
    tags: Tags,
    value: Reals,
    log_z: Reals,
    alphas: Reals,
) -> None:
    """For the rows ``left`` (B,), write log_z (B,), alphas (B, T, K) and value (B,): the log-likelihoods of
    tags (B, T), log_z where there are none (0, T)."""
    first, step, size = chunks
    B = emissions.shape[0]
    for begin in range(first * size, B, step * size):
        for b in range(begin, min(begin + size, B)):
            if left[b]:
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
def find_left(mask: Flags, alphas: Reals, log_z: Reals, left: Flags) -> None:
    """Which rows (B,) have something unmasked and alphas that are not weights."""
    for b in range(mask.shape[0]):
        left[b] = False
        for t in range(mask.shape[1]):
            if mask[b, t]:
                left[b] = np.isnan(log_z[b]) or not alphas[b, t].max() > 0.5
                break


@compiled
def gradient_rows(
    chunks: tuple[int, int, int],
    left: Flags,
    grad: Reals,
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
    """For the rows ``left`` (B,), write d_emissions (B, T, K); add to each chunk's d_start, d_end (chunks,
    K), d_products (chunks, P, P) and d_direct (chunks, K, K), whose ``weights.forward * d_products +
    d_direct`` is that of the transitions."""
    first, step, size = chunks
    B = grad.shape[0]
    for chunk in range(first, d_start.shape[0], step):
        starts, products, direct, ends = d_start[chunk], d_products[chunk], d_direct[chunk], d_end[chunk]
        for b in range(chunk * size, min((chunk + 1) * size, B)):
            if not left[b]:
                continue
            if log_z[b] == NEG_INF:
                d_emissions[b] = 0.0
                continue
            g = np.nan if np.isnan(log_z[b]) else float(grad[b])
            share = -g if tags.shape[0] > 0 else g
            gradient_log(share, alphas[b], mask[b], weights, d_emissions[b], starts, products, direct, ends)
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
