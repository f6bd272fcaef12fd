"""Single paths of a row, in plain loops: the best, the k best, samples (docs/crf.md, sections 11, 12 and 14).

Scores are float64 and are added up as they are written, so that ties stay ties. The tags that come out are in
range whatever the scores are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pybert_crf.crf.backends.numba.batches import Chunks, Flags, Floats, Integers, Reals, inlined, kernel

NEG_INF = -np.inf
BLOCK = 4  # the tags that one loop reads

_kernel = kernel(error_model="numpy")
_inlined = inlined(error_model="numpy")


class Scores(NamedTuple):
    """The parameters' scores, padded by -inf to P tags, a multiple of BLOCK."""

    start: Floats  # (P,)
    transitions: Floats  # (P, P)
    end: Floats  # (P,)
    is_broken: tuple[bool, bool]  # whether NaN or +inf is among start and end, and among transitions


def pad(start: Reals, transitions: Reals, end: Reals) -> Scores:
    """The scores of parameters (K,), (K, K), (K,)."""
    size = (0, -len(start) % BLOCK)
    parts = [
        np.pad(part.astype(np.float64), size, constant_values=NEG_INF) for part in (start, transitions, end)
    ]
    first, moves, last = (not bool((part < np.inf).all()) for part in parts)
    return Scores._make([*parts, (first or last, moves)])


@_kernel
def viterbi_rows(
    chunks: Chunks, emissions: Reals, mask: Flags, parameters: Scores, tags: Integers, scores: Reals
) -> None:
    """Write the best tags (1, B, T) and their scores (1, B).

    Without back-pointers: the way back looks, at each position, for the lowest tag that attains the maximum
    of eq. 21.
    """
    first, step, size = chunks
    B, T, K = emissions.shape
    start, transitions, end, is_broken = parameters
    P = start.shape[0]
    best, reached, positions = np.full((T, P), NEG_INF), np.empty((T, P)), np.empty(T, np.int64)
    for chunk in range(first, -(-B // size), step):
        for b in range(chunk * size, min(B, (chunk + 1) * size)):
            tags[0, b] = -1
            scores[0, b] = 0.0
            length = 0
            broken = is_broken[0]
            for t in range(T):
                if not mask[b, t]:
                    continue
                if length == 0:
                    for j in range(P):
                        reached[0, j] = start[j]
                else:
                    _step(best[length - 1], transitions, reached[length])
                    broken |= is_broken[1]
                for k in range(K):
                    broken |= not emissions[b, t, k] < np.inf
                    best[length, k] = reached[length, k] + emissions[b, t, k]
                positions[length] = t
                length += 1
            if length == 0:
                continue
            tag, score = 0, NEG_INF
            for k in range(K):
                total = best[length - 1, k] + end[k]
                if total > score:
                    tag, score = k, total
            scores[0, b] = np.nan if broken else score
            tags[0, b, positions[length - 1]] = tag
            for n in range(length - 2, -1, -1):
                goal = reached[n + 1, tag]
                before = 0
                while before < K and best[n, before] + transitions[before, tag] != goal:
                    before += 1
                tag = before if before < K else 0  # NaN equals nothing
                tags[0, b, positions[n]] = tag


@_inlined
def _step(best: Floats, transitions: Floats, reached: Floats) -> None:
    """reached_j = max_i best_i + transitions_ij."""
    P = best.shape[0]
    for j in range(P):
        reached[j] = NEG_INF
    for i in range(0, P, 4):
        a, b, c, d = best[i], best[i + 1], best[i + 2], best[i + 3]
        for j in range(P):
            e, f = a + transitions[i, j], b + transitions[i + 1, j]
            g, h = c + transitions[i + 2, j], d + transitions[i + 3, j]
            e = e if e > f else f
            g = g if g > h else h
            e = e if e > g else g
            reached[j] = e if e > reached[j] else reached[j]


@_inlined
def _insert(score: float, place: int, scores: Floats, places: Integers) -> None:
    """Insert into a list in falling order, behind equal scores; the last one falls off."""
    at = scores.shape[0] - 1
    if not score > scores[at]:
        return
    while at > 0 and score > scores[at - 1]:
        scores[at], places[at] = scores[at - 1], places[at - 1]
        at -= 1
    scores[at], places[at] = score, place


@_kernel
def k_best_rows(
    chunks: Chunks, emissions: Reals, mask: Flags, parameters: Scores, tags: Integers, scores: Reals
) -> None:
    """Write the k best tags (k, B, T) and their scores (k, B), from the k best prefixes of each tag (eq. 24).

    A place is tag * k + rank.
    """
    first, step, size = chunks
    B, T, K = emissions.shape
    start, transitions, end, is_broken = parameters
    k = scores.shape[0]
    came_from = np.zeros((T, K, k), np.int64)
    before, now = np.empty((K, k)), np.empty((K, k))
    final, places = np.empty(k), np.zeros(k, np.int64)
    for chunk in range(first, -(-B // size), step):
        for b in range(chunk * size, min(B, (chunk + 1) * size)):
            last = -1
            broken = is_broken[0]
            for t in range(T):
                if not mask[b, t]:
                    continue
                now[:] = NEG_INF
                for j in range(K):
                    if last < 0:
                        now[j, 0] = start[j]
                    else:
                        broken |= is_broken[1]
                        for i in range(K):
                            for rank in range(k):
                                _insert(
                                    before[i, rank] + transitions[i, j], i * k + rank, now[j], came_from[t, j]
                                )
                    broken |= not emissions[b, t, j] < np.inf
                    for rank in range(k):
                        now[j, rank] += emissions[b, t, j]
                before, now = now, before
                last = t
            final[:] = NEG_INF
            places[:] = 0
            if last < 0:
                final[0] = 0.0
            else:
                for j in range(K):
                    for rank in range(k):
                        _insert(before[j, rank] + end[j], j * k + rank, final, places)
            for rank in range(k):
                scores[rank, b] = np.nan if broken and last >= 0 else final[rank]
                tags[rank, b] = -1
                place = places[rank]
                for t in range(last if scores[rank, b] != NEG_INF else -1, -1, -1):
                    if mask[b, t]:
                        tags[rank, b, t] = place // k
                        place = came_from[t, place // k, place % k]


@_kernel
def sample_rows(
    chunks: Chunks,
    uniforms: Floats,
    mask: Flags,
    parameters: Scores,
    alphas: Floats,
    log_z: Floats,
    tags: Integers,
) -> None:
    """Write a path (n, B, T) for each of the uniforms (n, B, T), given the alphas (B, T, K) as logarithms:
    from the right, the first tag whose cumulative weight exceeds the uniform's share (eq. 26)."""
    first, step, size = chunks
    B, T, K = alphas.shape
    cumulative = np.empty(K)
    for chunk in range(first, -(-B // size), step):
        for b in range(chunk * size, min(B, (chunk + 1) * size)):
            for draw in range(tags.shape[0]):
                tags[draw, b] = -1
                tag = -1
                for t in range(T - 1 if log_z[b] != NEG_INF else -1, -1, -1):
                    if mask[b, t]:
                        for k in range(K):
                            next_score = parameters.end[k] if tag < 0 else parameters.transitions[k, tag]
                            cumulative[k] = alphas[b, t, k] + next_score
                        tag = _choose(cumulative, uniforms[draw, b, t])
                        tags[draw, b, t] = tag


@_inlined
def _choose(scores: Floats, share: float) -> int:
    """The tag drawn by a number in [0, 1); turns the scores into cumulative weights."""
    K = scores.shape[0]
    top = NEG_INF
    for k in range(K):
        top = scores[k] if scores[k] > top else top
    total = 0.0
    for k in range(K):
        total += np.exp(scores[k] - top)
        scores[k] = total
    tag = 0
    while tag < K - 1 and not scores[tag] > share * total:
        tag += 1
    return tag
