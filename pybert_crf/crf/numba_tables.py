"""The parameters as the Numba kernels of lanes read them, made once a call.

Tables have their tags in blocks of a group's width, each block row after row, so that a recursion reads
memory
from one end to the other: entry (i, j) stands at ``j // W * P * W + i * W + j % W``, P being the number of
tags rounded up to whole blocks. Lanes beyond the last tag are tags that cannot be reached.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pybert_crf.crf.numba_compile import NEG_INF, Lanes, Pointer, compiled_lanes
from pybert_crf.crf.numba_lanes import (
    every,
    exp,
    first,
    greatest,
    keep_nan,
    least,
    least_finite,
    maximum,
    one_row,
    padded,
    total,
    width_of,
)
from pybert_crf.crf.numba_memory import (
    at,
    load,
    load_some,
    store,
)
from pybert_crf.crf.numba_weights import EMISSION_SPREAD, TRANSITION_SPREAD


class Tables(NamedTuple):
    """Exponentials, each relative to the greatest score of its kind; or, for Viterbi, the scores."""

    forward: Pointer  # (P, P) in blocks, from row to column
    backward: Pointer  # (P, P) in blocks, from column to row
    start: Pointer  # (P,)
    end: Pointer  # (P,)
    tops: Pointer  # (4,): the greatest transition, start and end, and 0 or 1: see `weigh_tables`


@compiled_lanes
def tables_in(like: Lanes, num_tags: int, memory: Pointer) -> Tables:
    """Where the tables stand in memory of :func:`size_of_tables` numbers."""
    P = padded(like, num_tags)
    rest = at(memory, 2 * P * P)
    return Tables(memory, at(memory, P * P), rest, at(rest, P), at(rest, 2 * P))


def size_of_tables(padded_tags: int) -> int:
    """How many float64 numbers they take."""
    return 2 * padded_tags * (padded_tags + 1) + 8


@compiled_lanes
def _copy(like: Lanes, source: Pointer, count: int, to: Pointer, along: int) -> tuple[float, float]:
    """``count`` scores, -inf beyond them, to blocks ``along`` apart; their highest, and lowest but -inf (NaN
    if one is NaN)."""
    one = one_row(like)
    P, W = padded(like, count), width_of(like)
    top, low, broken = every(one, NEG_INF), every(one, np.inf), one
    for block in range(0, P, W):
        scores = load_some(one, at(source, block), count - block, NEG_INF)
        top, low = maximum(scores, top), least_finite(low, scores)
        broken = keep_nan(broken, scores)
        store(at(to, block // W * along), 0, scores)
    return first(greatest(top)), first(least(low)) + first(total(broken))


@compiled_lanes
def _copy_table(like: Lanes, transitions: Pointer, num_tags: int, forward: Pointer) -> tuple[float, float]:
    """The transitions, -inf beyond the last tag; returns what :func:`_copy` does."""
    one = one_row(like)
    P, W = padded(like, num_tags), width_of(like)
    top, low = NEG_INF, np.inf
    for i in range(P):
        row = at(forward, i * W)
        if i >= num_tags:
            for block in range(0, P, W):
                store(at(row, block * P), 0, every(one, NEG_INF))
            continue
        here, lowest = _copy(like, at(transitions, i * num_tags), num_tags, row, P * W)
        top = max(top, here)
        if not np.isnan(low) and not lowest >= low:
            low = lowest
    return top, low


@compiled_lanes
def transpose(like: Lanes, num_tags: int, tables: Tables) -> None:
    """The backward table from the forward one."""
    P, W = padded(like, num_tags), width_of(like)
    for block in range(0, P, W):
        for j in range(P):
            to = at(tables.backward, block * P + j * W)
            source = at(tables.forward, j // W * W * P + block * W + j % W)
            for i in range(W):
                to[i] = source[i * W]


@compiled_lanes
def _exponentiate(like: Lanes, scores: Pointer, size: int, top: float) -> None:
    """Scores in place, relative to the highest."""
    one = one_row(like)
    for block in range(0, size, width_of(like)):
        here = at(scores, block)
        store(here, 0, exp(load(one, here, 0) - every(one, top), 0.0))


@compiled_lanes
def weigh_tables(
    like: Lanes, start: Pointer, transitions: Pointer, end: Pointer, num_tags: int, tables: Tables
) -> None:
    """The parameters' exponentials. The last of ``tops`` is 1 if the scaled recursion may be tried: finite
    scores of a kind are close enough, and none is NaN or +inf (docs/crf.md, eq. 14)."""
    W, P = width_of(like), padded(like, num_tags)
    top, low = _copy_table(like, transitions, num_tags, tables.forward)
    start_top, start_low = _copy(like, start, num_tags, tables.start, W)
    end_top, end_low = _copy(like, end, num_tags, tables.end, W)
    is_scalable = (
        not np.isnan(low + start_low + end_low)
        and top - low <= TRANSITION_SPREAD
        and start_top - start_low <= EMISSION_SPREAD
        and end_top - end_low <= EMISSION_SPREAD
    )
    top, start_top, end_top = max(top, -1e300), max(start_top, -1e300), max(end_top, -1e300)
    _exponentiate(like, tables.forward, P * P, top)
    _exponentiate(like, tables.start, P, start_top)
    _exponentiate(like, tables.end, P, end_top)
    tables.tops[0], tables.tops[1], tables.tops[2] = top, start_top, end_top
    tables.tops[3] = 1.0 if is_scalable else 0.0


@compiled_lanes
def score_tables(
    like: Lanes, start: Pointer, transitions: Pointer, end: Pointer, num_tags: int, tables: Tables
) -> None:
    """The parameters themselves. The last of ``tops`` is NaN if a transition is, that before if another
    is."""
    _, low = _copy_table(like, transitions, num_tags, tables.forward)
    W = width_of(like)
    _, start_low = _copy(like, start, num_tags, tables.start, W)
    _, end_low = _copy(like, end, num_tags, tables.end, W)
    tables.tops[2] = np.nan if np.isnan(start_low + end_low) else 0.0
    tables.tops[3] = np.nan if np.isnan(low) else 0.0
    transpose(like, num_tags, tables)
