"""Single paths of a row, in plain loops: the best, the k best, samples (docs/crf/theory.md).
Scores are float64, added as written, so that ties stay ties. Tags are in range whatever the scores are."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numba
import numpy as np

from pybert_crf.crf.backends.numba.batches import Decorator, Flags, Floats, Ints, Reals, kernel

NEG_INF = -np.inf
BLOCK = 4  # the tags that one loop reads

_kernel: Decorator = partial(kernel, error_model="numpy")
_inlined: Decorator = numba.njit(error_model="numpy")


class Scores(NamedTuple):
    """A batch and the parameters."""

    emissions: Reals  # (B, T, K); to draw samples, the alphas as logarithms
    mask: Flags  # (B, T)
    start: Reals  # (K,)
    transitions: Reals  # (K, K)
    end: Reals  # (K,)


@_kernel
def viterbi_rows(first: int, step: int, problem: Scores, tags: Ints, scores: Reals) -> None:
    """Write the best tags (1, B, T) and scores (1, B). The way back looks for the lowest tag with eq. 21."""
    emissions, mask, start, _, end = problem
    (B, T, K), P = emissions.shape, start.shape[0] + -start.shape[0] % BLOCK
    transitions = np.full((P, P), NEG_INF)  # padded, so that every loop has BLOCK tags to read
    best, reached = np.full((T, P), NEG_INF), np.empty((T + 1, P))
    are_ends_broken = are_steps_broken = False  # by NaN or +inf
    for i in range(K):
        reached[0, i] = start[i]
        are_ends_broken |= not (start[i] < np.inf and end[i] < np.inf)
        for j in range(K):
            transitions[i, j] = problem.transitions[i, j]
            are_steps_broken |= not transitions[i, j] < np.inf
    for b in range(first, B, step):
        tags[0, b], scores[0, b] = -1, 0.0
        positions = np.flatnonzero(mask[b])
        last = positions.shape[0] - 1
        broken = int(are_ends_broken or (are_steps_broken and last > 0))
        for n in range(last + 1):
            if n > 0:
                _reach(best, transitions, n, reached)
            t = positions[n]
            for k in range(K):
                broken += not emissions[b, t, k] < np.inf
                best[n, k] = reached[n, k] + emissions[b, t, k]
        if last < 0:
            continue
        tag = 0
        for k in range(K):
            if best[last, k] + end[k] > best[last, tag] + end[tag]:
                tag = k
        scores[0, b] = np.nan if broken > 0 else best[last, tag] + end[tag]
        tags[0, b, positions[last]] = tag
        for n in range(last - 1, -1, -1):
            after, tag = tag, 0
            while tag < K - 1 and best[n, tag] + transitions[tag, after] != reached[n + 1, after]:
                tag += 1
            tags[0, b, positions[n]] = tag


@_inlined
def _reach(best: Floats, transitions: Floats, n: int, reached: Floats) -> None:
    """reached_nj = max_i best_(n-1)i + transitions_ij."""
    P = best.shape[1]
    for j in range(P):
        reached[n, j] = NEG_INF
    for i in range(0, P, BLOCK):
        a, b, c, d = best[n - 1, i], best[n - 1, i + 1], best[n - 1, i + 2], best[n - 1, i + 3]
        rows = transitions[i : i + BLOCK]
        for j in range(P):
            e, f, g, h = a + rows[0, j], b + rows[1, j], c + rows[2, j], d + rows[3, j]
            e, g = (e if e > f else f), (g if g > h else h)
            e = e if e > g else g
            reached[n, j] = e if e > reached[n, j] else reached[n, j]


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
def k_best_rows(first: int, step: int, problem: Scores, tags: Ints, scores: Reals) -> None:
    """Write the k best tags (k, B, T) and their scores (k, B), from the k best prefixes of each tag (eq. 24),
    whose place is tag * k + rank."""
    emissions, mask, start, transitions, end = problem
    (B, T, K), k = emissions.shape, scores.shape[0]
    are_ends_broken = not (start.max() < np.inf and end.max() < np.inf)
    are_steps_broken = not transitions.max() < np.inf
    came_from, best = np.zeros((T, K, k), np.int64), np.empty((T, K, k))
    final, places = np.empty(k), np.zeros(k, np.int64)
    for b in range(first, B, step):
        positions = np.flatnonzero(mask[b])
        length = positions.shape[0]
        broken = are_ends_broken or (are_steps_broken and length > 1)
        for n in range(length):
            best[n] = NEG_INF
            for j in range(K):
                if n == 0:
                    best[0, j, 0] = start[j]
                for place in range(K * k if n > 0 else 0):
                    score = best[n - 1, place // k, place % k] + transitions[place // k, j]
                    _insert(score, place, best[n, j], came_from[n, j])
                broken |= not emissions[b, positions[n], j] < np.inf
                for rank in range(k):
                    best[n, j, rank] += emissions[b, positions[n], j]
        final[:] = NEG_INF
        final[0] = NEG_INF if length > 0 else 0.0
        for place in range(K * k if length > 0 else 0):
            _insert(best[length - 1, place // k, place % k] + end[place // k], place, final, places)
        for rank in range(k):
            tags[rank, b] = -1
            scores[rank, b] = np.nan if broken and length > 0 else final[rank]
            place = places[rank] if final[rank] > NEG_INF else 0
            for n in range(length - 1 if scores[rank, b] != NEG_INF else -1, -1, -1):
                tags[rank, b, positions[n]] = place // k
                place = came_from[n, place // k, place % k]


@_kernel
def sample_rows(first: int, step: int, uniforms: Floats, problem: Scores, tags: Ints) -> None:
    """Write a path (n, B, T) for each of the uniforms (n, B, T), given the alphas in place of emissions:
    from the right, the first tag whose cumulative weight exceeds the uniform's share (eq. 26)."""
    alphas, mask, _, transitions, end = problem
    B, _, K = alphas.shape
    weights = np.empty(K)
    for b in range(first, B, step):
        for draw in range(tags.shape[0]):
            tags[draw, b] = -1
            tag = -1
            for t in np.flatnonzero(mask[b])[::-1]:
                top, total = NEG_INF, 0.0
                for k in range(K):
                    weights[k] = alphas[b, t, k] + (end[k] if tag < 0 else transitions[k, tag])
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
