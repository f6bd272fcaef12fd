"""Single paths of a batch's rows on a GPU, for Numba: the best, the k best, and samples."""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float64, int32

from pybert_crf.crf.numba_compile import NEG_INF
from pybert_crf.crf.numba_cuda_launch import device_function, kernel

Array = Any  # on the device


@device_function
def _is_column_broken(transitions: Array, j: int) -> bool:
    broken = False
    for i in range(transitions.shape[0]):
        broken = broken or math.isnan(transitions[i, j])
    return broken


@device_function
def _clear(tags: Array, thread: int, threads: int) -> None:
    """-1 at each position of a row; the block's threads share the work."""
    for t in range(thread, tags.shape[0], threads):
        tags[t] = -1


@kernel
def viterbi_rows(
    emissions: Array,
    mask: Array,
    start: Array,
    transitions: Array,
    end: Array,
    came_from: Array,
    tags: Array,
    scores: Array,
) -> None:
    """Write the best tags (B, T), -1 where masked, and their scores (B,) (docs/crf.md, eq. 21 and 22).

    A block a row, a thread a tag; scores of prefixes in two places of shared memory, in turns: 2 K. The tag
    before stays in ``came_from`` (B, T, K): the way back is one thread's, and a read for each position.
    """
    b, j = cuda.blockIdx.x, cuda.threadIdx.x
    T, K = emissions.shape[1], emissions.shape[2]
    memory = cuda.shared.array(0, float64)
    here, there = 0, K
    ends_broken = math.isnan(start[j]) or math.isnan(end[j])
    moves_broken = _is_column_broken(transitions, j)
    broken = False
    last = -1
    _clear(tags[b], j, K)
    for t in range(T):
        if not mask[b, t]:
            continue
        emitted = float64(emissions[b, t, j])
        best = float64(start[j])
        if last < 0:
            broken = ends_broken
        else:
            broken = broken or moves_broken
            best = memory[here] + transitions[0, j]
            found = 0
            for i in range(1, K):
                score = memory[here + i] + transitions[i, j]
                found = i if score > best else found
                best = score if score > best else best
            came_from[b, t, j] = found
        broken = broken or math.isnan(emitted)
        memory[there + j] = best + emitted
        here, there = there, here
        last = t
        cuda.syncthreads()

    broken = cuda.syncthreads_or(int32(broken)) != 0
    if j > 0:
        return
    scores[b] = 0.0
    if last < 0:
        return
    tag = 0
    best = memory[here] + end[0]
    for i in range(1, K):
        score = memory[here + i] + end[i]
        tag = i if score > best else tag
        best = score if score > best else best
    scores[b] = math.nan if broken else best
    for t in range(last, -1, -1):
        if mask[b, t]:
            tags[b, t] = tag
            tag = came_from[b, t, tag]  # at the first position there is nothing in it, and nothing follows


@device_function
def _insert(score: float, place: int, scores: Array, places: Array) -> None:
    """Into a list in falling order; behind its equals; what falls off the end is forgotten."""
    at = scores.shape[0] - 1
    if not score > scores[at]:
        return
    while at > 0 and score > scores[at - 1]:
        scores[at] = scores[at - 1]
        places[at] = places[at - 1]
        at -= 1
    scores[at] = score
    places[at] = place


@kernel
def k_best_rows(
    emissions: Array,
    mask: Array,
    start: Array,
    transitions: Array,
    end: Array,
    lists: Array,
    came_from: Array,
    final: Array,
    places: Array,
    tags: Array,
    scores: Array,
) -> None:
    """Write the k best tags (k, B, T) and scores (k, B), from the k best prefixes of each tag.

    A block a row, a thread a tag. A place is tag * k + rank (docs/crf.md, eq. 24). To work in: ``lists``
    (B, 2, K, k), ``came_from`` (B, T, K, k) of places, ``final`` and ``places`` (B, k).
    """
    b, j = cuda.blockIdx.x, cuda.threadIdx.x
    T, K = emissions.shape[1], emissions.shape[2]
    k = scores.shape[0]
    ends_broken = math.isnan(start[j]) or math.isnan(end[j])
    moves_broken = _is_column_broken(transitions, j)
    broken = False
    here, there = 0, 1
    last = -1
    for rank in range(k):
        _clear(tags[rank, b], j, K)
    for t in range(T):
        if not mask[b, t]:
            continue
        now = lists[b, there, j]
        for rank in range(k):
            now[rank] = NEG_INF
        if last < 0:
            broken = ends_broken
            now[0] = start[j]
        else:
            broken = broken or moves_broken
            for i in range(K):
                for rank in range(k):
                    score = lists[b, here, i, rank] + transitions[i, j]
                    if not score > now[k - 1]:
                        break
                    _insert(score, i * k + rank, now, came_from[b, t, j])
        emitted = float64(emissions[b, t, j])
        broken = broken or math.isnan(emitted)
        for rank in range(k):
            now[rank] += emitted
        here, there = there, here
        last = t
        cuda.syncthreads()

    broken = cuda.syncthreads_or(int32(broken)) != 0
    if j == 0:
        _merge(lists[b, here], end, last < 0, broken, final[b], places[b])
    cuda.syncthreads()
    for rank in range(j, k, K):
        score = final[b, rank]
        scores[rank, b] = score
        if score != NEG_INF:
            place = places[b, rank]
            for t in range(last, -1, -1):
                if mask[b, t]:
                    tags[rank, b, t] = place // k
                    place = came_from[b, t, place // k, place % k]


@device_function
def _merge(lists: Array, end: Array, is_empty: bool, broken: bool, final: Array, places: Array) -> None:
    """The k best of all tags' lists (K, k)."""
    K, k = lists.shape
    for rank in range(k):
        final[rank] = math.nan if broken else NEG_INF
        places[rank] = 0
    if is_empty:
        final[0] = 0.0
    elif not broken:
        for i in range(K):
            for rank in range(k):
                _insert(lists[i, rank] + end[i], i * k + rank, final, places)


@kernel
def sample_rows(
    uniforms: Array,
    mask: Array,
    transitions: Array,
    end: Array,
    alphas: Array,
    log_z: Array,
    tags: Array,
) -> None:
    """Write a path (n, B, T) for each of the uniforms (n, B, T), a thread a path: tag by tag from the right,
    each the first whose cumulative weight exceeds the uniform's share of the total (docs/crf.md, eq. 26)."""
    path = cuda.grid(1)
    B, T = mask.shape
    if path >= uniforms.shape[0] * B:
        return
    n, b = path // B, path % B
    tag = -1
    for t in range(T - 1, -1, -1):
        if mask[b, t] and log_z[b] != NEG_INF:
            moves = end if tag < 0 else transitions[:, tag]
            tag = _draw(alphas[b, t], moves, uniforms[n, b, t])
            tags[n, b, t] = tag
        else:
            tags[n, b, t] = -1


@device_function
def _draw(alpha: Array, moves: Array, share: float) -> int:
    K: int = alpha.shape[0]
    top = NEG_INF
    for i in range(K):
        score = alpha[i] + moves[i]
        top = score if score > top else top
    top = 0.0 if top == NEG_INF else top
    total = 0.0
    for i in range(K):
        total += math.exp(alpha[i] + moves[i] - top)
    below = 0.0
    for i in range(K):
        below += math.exp(alpha[i] + moves[i] - top)
        if below > share * total:
            return i
    return K - 1
