"""The forward algorithm and the gold score on a GPU, for Numba: a block a row, a thread a tag.

The log semiring in float64, relative to each step's maximum: exact for forbidden transitions and any scores.
A step is a product of exponentials, and a column with too small a sum is summed again from the scores
themselves: docs/crf.md, eq. 18 and 19, where the w subtracted from the transitions is each column's own.
What all threads need (a maximum, a sum over tags) each finds for itself, in the order of the tags: no further
barrier, and the same bits in all.
"""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float64, int32

from pybert_crf.crf.numba_compile import NEG_INF
from pybert_crf.crf.numba_cuda_launch import device_function, kernel
from pybert_crf.crf.numba_log import FLOOR

Array = Any  # on the device


@device_function
def highest(scores: Array) -> float:
    """The highest score, NaN left out; 0 if there is none above -inf."""
    top = NEG_INF
    for i in range(scores.shape[0]):
        score = scores[i]
        top = score if score > top else top
    return 0.0 if top == NEG_INF else top


@device_function
def column_sum(power: Array, table: Array, j: int) -> float:
    """sum_i power_i table_ij."""
    total = 0.0
    for i in range(power.shape[0]):
        total += power[i] * table[i, j]
    return total


@device_function
def column_top(alpha: Array, transitions: Array, j: int) -> float:
    """max_i alpha_i + transitions_ij; NaN if there is any."""
    top = NEG_INF
    for i in range(alpha.shape[0]):
        score: float = alpha[i] + transitions[i, j]
        if math.isnan(score):
            return score
        top = score if score > top else top
    return top


@device_function
def column_rest(alpha: Array, transitions: Array, j: int, top: float) -> float:
    """sum_i exp(alpha_i + transitions_ij - top), from the scores themselves."""
    total = 0.0
    for i in range(alpha.shape[0]):
        total += math.exp(alpha[i] + transitions[i, j] - top)
    return total


@device_function
def _incoming(alpha: Array, power: Array, transitions: Array, table: Array, tops: Array, j: int) -> float:
    """log sum_i exp(alpha_i + transitions_ij) (docs/crf.md, eq. 18)."""
    total: float = column_sum(power, table, j)
    if total >= FLOOR:
        top: float = tops[j]
        return math.log(total) + top
    top = column_top(alpha, transitions, j)
    if top > NEG_INF:
        top += math.log(column_rest(alpha, transitions, j, top))
    return top


@kernel
def forward_rows(
    emissions: Array,
    mask: Array,
    start: Array,
    transitions: Array,
    end: Array,
    table: Array,
    tops: Array,
    has_tags: bool,
    tags: Array,
    are_tags: Array,
    value: Array,
    log_z: Array,
    alphas: Array,
) -> None:
    """Write log_z (B,), alphas (B, T, K) and value (B,): the log-likelihoods of tags (B, T), log_z without.

    ``table``, ``tops``: exp(transitions - tops), (K, K) and (K,). ``are_tags`` (1,) becomes False where a tag
    is none; the row's value is NaN then, and nothing is read out of bounds. Shared: 4 K.
    """
    b, j = cuda.blockIdx.x, cuda.threadIdx.x
    T, K = emissions.shape[1], emissions.shape[2]
    memory = cuda.shared.array(0, float64)
    reached, alpha = memory[:K], memory[K : 2 * K]
    power, parts = memory[2 * K : 3 * K], memory[3 * K : 4 * K]
    relative, offset = 0.0, 0.0
    score, before = 0.0, -1  # this thread's part of the path's score; the path's last tag
    begun, broken = False, False
    for t in range(T):
        if not mask[b, t]:
            alphas[b, t, j] = 0.0
            continue
        emitted = float64(emissions[b, t, j])
        if has_tags:
            tag = tags[b, t]
            if tag < 0 or tag >= K:
                are_tags[0] = False
                score = math.nan
                tag = 0
            if tag == j:
                score += emitted + (transitions[before, j] if begun else start[j])
            before = tag
        grown = emitted + (_incoming(alpha, power, transitions, table, tops, j) if begun else start[j])
        begun = True
        broken = broken or math.isnan(grown)
        reached[j] = grown
        cuda.syncthreads()
        top = highest(reached)
        relative = grown - top
        alpha[j], power[j] = relative, math.exp(relative)
        alphas[b, t, j] = relative
        offset += top
        cuda.syncthreads()

    final = relative + end[j]
    reached[j] = final
    parts[j] = score + end[j] if before == j else score
    broken = cuda.syncthreads_or(int32(broken or math.isnan(final))) != 0
    if j == 0:
        _finish(begun, broken, offset, reached, has_tags, parts, value, log_z, b)


@device_function
def _finish(
    begun: bool,
    broken: bool,
    offset: float,
    final: Array,
    has_tags: bool,
    parts: Array,
    value: Array,
    log_z: Array,
    b: int,
) -> None:
    """A row's log Z (docs/crf.md, eq. 4) and likelihood (eq. 2)."""
    total_log = 0.0
    if begun:
        top = highest(final)
        total = 0.0
        score = 0.0
        for i in range(final.shape[0]):
            total += math.exp(final[i] - top)
            score += parts[i]
        if broken:
            total_log = math.nan
        elif total > 0.0:
            total_log = offset + top + math.log(total)
        else:
            total_log = NEG_INF
        value[b] = score - total_log if has_tags and total_log != NEG_INF else total_log
    else:
        value[b] = 0.0
    log_z[b] = total_log
