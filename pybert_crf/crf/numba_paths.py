"""Single paths of a batch's rows, for Numba: the k best, and samples.

Each kernel works through chunks ``first, first + step, ...`` of ``size`` rows, without the GIL.
"""

from __future__ import annotations

import numpy as np

from pybert_crf.crf.numba_compile import NEG_INF, Flags, Floats, Reals, Tags, compiled
from pybert_crf.crf.numba_log import forward_log
from pybert_crf.crf.numba_weights import Weights, highest


@compiled
def _insert(score: float, place: int, scores: Floats, places: Tags) -> None:
    """Into a list in falling order; behind its equals; what falls off the end is forgotten."""
    at = scores.shape[0] - 1
    if not score > scores[at]:
        return
    while at > 0 and score > scores[at - 1]:
        scores[at], places[at] = scores[at - 1], places[at - 1]
        at -= 1
    scores[at], places[at] = score, place


@compiled
def k_best_rows(
    chunks: tuple[int, int, int],
    emissions: Reals,
    mask: Flags,
    start: Floats,
    transitions: Floats,
    end: Floats,
    tags: Tags,
    scores: Reals,
) -> None:
    """Write the k best tags (k, B, T) and scores (k, B), from the k best prefixes of each tag.

    A place is tag * k + rank (docs/crf.md, eq. 24).
    """
    first, step, size = chunks
    B, T, K = emissions.shape
    k = scores.shape[0]
    came_from = np.zeros((T, K, k), dtype=np.int64)
    before, now = np.empty((K, k)), np.empty((K, k))
    final, places = np.empty(k), np.zeros(k, dtype=np.int64)
    ends_broken = np.isnan(start).any() or np.isnan(end).any()
    moves_broken = np.isnan(transitions).any()
    for begin in range(first * size, B, step * size):
        for b in range(begin, min(begin + size, B)):
            last = -1
            broken = ends_broken
            for t in range(T):
                if not mask[b, t]:
                    continue
                now[:] = NEG_INF
                for j in range(K):
                    if last < 0:
                        now[j, 0] = start[j]
                    else:
                        broken |= moves_broken
                        for i in range(K):
                            for rank in range(k):
                                score = before[i, rank] + transitions[i, j]
                                if not score > now[j, k - 1]:
                                    break
                                _insert(score, i * k + rank, now[j], came_from[t, j])
                    broken |= np.isnan(emissions[b, t, j])
                    now[j] += emissions[b, t, j]
                before, now = now, before
                last = t
            final[:] = NEG_INF
            for j in range(K):
                for rank in range(k):
                    _insert(before[j, rank] + end[j], j * k + rank, final, places)
            if last < 0:
                final[:] = NEG_INF
                final[0] = 0.0
            elif broken:
                final[:] = np.nan
                places[:] = 0
            scores[:, b] = final
            tags[:, b] = -1
            for rank in range(k):
                place = places[rank]
                for t in range(last if final[rank] != NEG_INF else -1, -1, -1):
                    if mask[b, t]:
                        tags[rank, b, t] = place // k
                        place = came_from[t, place // k, place % k]


@compiled
def sample_rows(
    chunks: tuple[int, int, int],
    uniforms: Floats,
    emissions: Reals,
    mask: Flags,
    weights: Weights,
    tags: Tags,
) -> None:
    """Write a path (n, B, T) for each of the uniforms (n, B, T): tag by tag from the right, each the first
    whose cumulative weight exceeds the uniform's share of the total (docs/crf.md, eq. 26)."""
    first, step, size = chunks
    B, T, K = emissions.shape
    alphas = np.empty((T, K))
    scores = np.empty(K)
    for begin in range(first * size, B, step * size):
        for b in range(begin, min(begin + size, B)):
            tags[:, b] = -1
            log_z = forward_log(emissions[b], mask[b], weights, alphas)
            if log_z == NEG_INF:
                continue
            for n in range(tags.shape[0]):
                tag = -1
                for t in range(T - 1, -1, -1):
                    if not mask[b, t]:
                        continue
                    scores[:] = alphas[t] + (weights.end if tag < 0 else weights.transitions[:, tag])
                    tag = _choose(scores, uniforms[n, b, t])
                    tags[n, b, t] = tag


@compiled
def _choose(scores: Floats, share: float) -> int:
    top = highest(scores)
    total = 0.0
    for k in range(scores.shape[0]):
        total += np.exp(scores[k] - top)
        scores[k] = total
    for k in range(scores.shape[0]):
        if scores[k] > share * total:
            return k
    return int(scores.shape[0]) - 1
