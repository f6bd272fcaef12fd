"""Single paths of a row, in plain loops: the best, the k best, samples (docs/crf/theory.md).
Scores are float64, added as written, so that ties stay ties. Tags are in range whatever the scores are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pybert_crf.crf.backends.numba.batches import Chunks, Flags, Floats, Ints, Reals, inlined, kernel

NEG_INF = -np.inf
BLOCK = 4  # the tags that one loop reads

_kernel = kernel(error_model="numpy")
_inlined = inlined(error_model="numpy")


class Scores(NamedTuple):
    """The parameters' scores, padded by -inf to P tags, a multiple of BLOCK."""

    start: Floats  # (P,)
    transitions: Floats  # (P, P)
    end: Floats  # (P,)
    is_broken: tuple[bool, bool, bool]  # whether NaN or +inf is among them


def pad(*parameters: Reals) -> Scores:
    """The scores of start (K,), transitions (K, K) and end (K,)."""
    size = -len(parameters[0]) % BLOCK
    scores = [np.pad(part.astype(np.float64), (0, size), constant_values=NEG_INF) for part in parameters]
    return Scores._make([*scores, tuple(not bool((part < np.inf).all()) for part in scores)])


@_kernel
def viterbi_rows(
    chunks: Chunks, emissions: Reals, mask: Flags, parameters: Scores, tags: Ints, scores: Reals
) -> None:
    """Write the best tags (1, B, T) and their scores (1, B). Without back-pointers: the way back looks, at
    each position, for the lowest tag that attains the maximum of eq. 21."""
    first, step, size = chunks
    B, T, K = emissions.shape
    start, transitions, end, is_broken = parameters
    best, reached = np.full((T, start.shape[0]), NEG_INF), np.empty((T, start.shape[0]))
    for chunk in range(first, -(-B // size), step):
        for b in range(chunk * size, min(B, (chunk + 1) * size)):
            last = -1  # the position before; position t is at t in all arrays
            broken = is_broken[0] or is_broken[2]
            for t in range(T):
                tags[0, b, t] = -1
                if mask[b, t]:
                    if last >= 0:
                        _reach(best[last], transitions, reached[t])
                        broken |= is_broken[1]
                    for j in range(K if last < 0 else 0):
                        reached[t, j] = start[j]
                    for k in range(K):
                        broken |= not emissions[b, t, k] < np.inf
                        best[t, k] = reached[t, k] + emissions[b, t, k]
                    last = t
            tag, score = 0, NEG_INF if last >= 0 else 0.0
            for k in range(K if last >= 0 else 0):
                total = best[last, k] + end[k]
                if total > score:
                    tag, score = k, total
            scores[0, b] = np.nan if broken and last >= 0 else score
            after = -1
            for t in range(last, -1, -1):
                if mask[b, t]:
                    if after >= 0:
                        goal = reached[after, tag]
                        before = 0
                        while before < K - 1 and best[t, before] + transitions[before, tag] != goal:
                            before += 1
                        tag = before
                    tags[0, b, t] = tag
                    after = t


@_inlined
def _reach(best: Floats, transitions: Floats, reached: Floats) -> None:
    """reached_j = max_i best_i + transitions_ij."""
    P = best.shape[0]
    reached[:] = NEG_INF
    for i in range(0, P, 4):
        a, b, c, d = best[i], best[i + 1], best[i + 2], best[i + 3]
        for j in range(P):
            e, f = a + transitions[i, j], b + transitions[i + 1, j]
            g, h = c + transitions[i + 2, j], d + transitions[i + 3, j]
            e, g = (e if e > f else f), (g if g > h else h)
            e = e if e > g else g
            reached[j] = e if e > reached[j] else reached[j]


@_inlined
def _insert(score: float, place: int, scores: Floats, places: Ints) -> None:
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
    chunks: Chunks, emissions: Reals, mask: Flags, parameters: Scores, tags: Ints, scores: Reals
) -> None:
    """Write the k best tags (k, B, T) and their scores (k, B), from the k best prefixes of each tag (eq. 24),
    whose place is tag * k + rank."""
    first, step, size = chunks
    (B, T, K), k = emissions.shape, scores.shape[0]
    start, transitions, end, is_broken = parameters
    came_from, before, now = np.zeros((T, K, k), np.int64), np.empty((K, k)), np.empty((K, k))
    final, places = np.empty(k), np.zeros(k, np.int64)
    for chunk in range(first, -(-B // size), step):
        for b in range(chunk * size, min(B, (chunk + 1) * size)):
            last = -1
            broken = is_broken[0] or is_broken[2]
            for t in range(T):
                if not mask[b, t]:
                    continue
                broken |= is_broken[1] and last >= 0
                now[:] = NEG_INF
                for j in range(K):
                    if last < 0:
                        now[j, 0] = start[j]
                    for place in range(K * k if last >= 0 else 0):
                        score = before[place // k, place % k] + transitions[place // k, j]
                        _insert(score, place, now[j], came_from[t, j])
                    broken |= not emissions[b, t, j] < np.inf
                    for rank in range(k):
                        now[j, rank] += emissions[b, t, j]
                before, now = now, before
                last = t
            final[:] = NEG_INF
            final[0] = NEG_INF if last >= 0 else 0.0
            for place in range(K * k if last >= 0 else 0):
                _insert(before[place // k, place % k] + end[place // k], place, final, places)
            for rank in range(k):
                scores[rank, b] = np.nan if broken and last >= 0 else final[rank]
                place = places[rank] if final[rank] > NEG_INF else 0
                for t in range(T - 1, -1, -1):
                    tags[rank, b, t] = -1
                    if mask[b, t] and scores[rank, b] != NEG_INF:
                        tags[rank, b, t] = place // k
                        place = came_from[t, place // k, place % k]


@_kernel
def sample_rows(
    chunks: Chunks, uniforms: Floats, mask: Flags, parameters: Scores, alphas: Floats, tags: Ints
) -> None:
    """Write a path (n, B, T) for each of the uniforms (n, B, T), given the alphas (B, T, K) as logarithms:
    from the right, the first tag whose cumulative weight exceeds the uniform's share (eq. 26)."""
    first, step, size = chunks
    B, T, K = alphas.shape
    weights = np.empty(K)
    for chunk in range(first, -(-B // size), step):
        for b in range(chunk * size, min(B, (chunk + 1) * size)):
            for draw in range(tags.shape[0]):
                tags[draw, b] = -1
                tag = -1
                for t in range(T - 1, -1, -1):
                    if not mask[b, t]:
                        continue
                    top, total = NEG_INF, 0.0
                    for k in range(K):
                        weights[k] = alphas[b, t, k]
                        weights[k] += parameters.end[k] if tag < 0 else parameters.transitions[k, tag]
                        top = weights[k] if weights[k] > top else top
                    if top == NEG_INF:  # no path is legal
                        break
                    for k in range(K):
                        total += np.exp(weights[k] - top)
                        weights[k] = total
                    tag = 0
                    while tag < K - 1 and not weights[tag] > uniforms[draw, b, t] * total:
                        tag += 1
                    tags[draw, b, t] = tag
