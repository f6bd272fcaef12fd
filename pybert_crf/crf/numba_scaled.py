"""A few rows of the chain in scaled probabilities, for Numba: no logarithm and no exponential in the
recursion but those of the emissions.

The alphas are weights, brought by a power of two to a maximum in [1, 2) at each position (docs/crf.md, eq.
9, in
one sweep); the power is applied one step late, so that the recursion does not wait for it. A row is left to
:mod:`pybert_crf.crf.numba_log` unless it is seen that nothing has underflowed: the scores of a kind are close
enough (:mod:`pybert_crf.crf.numba_tables`), those of each position's emissions too, and no alpha but an
exact 0 is below ``least``, so that all survive in the dtype in which they are kept.

The rows of a group begin together, each at its own end, and a row that has come to its other end goes on as
zeros. A stretch of steps at a time goes through each phase of the work, so that a phase is a loop of
independent operations, but for the recursion itself, which is then short.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pybert_crf.crf.numba_compile import NEG_INF, Lanes, Pointer, compiled_lanes, shared
from pybert_crf.crf.numba_lanes import (
    every,
    exp,
    exponent_of,
    first,
    fma,
    greatest,
    least,
    least_finite,
    least_positive,
    maximum,
    one_row,
    padded,
    rows_of,
    scale_to_one,
    total,
    width_of,
)
from pybert_crf.crf.numba_memory import (
    at,
    load,
    load_shared,
    load_some,
    spread,
    store,
    store_first,
    store_some,
)
from pybert_crf.crf.numba_tables import Tables
from pybert_crf.crf.numba_weights import EMISSION_SPREAD

LEAST_FLOAT = 2.0**-100  # of alphas kept in float32
LEAST_DOUBLE = 2.0**-400


class Group(NamedTuple):
    """The rows that go together. Of each:"""

    emissions: Pointer  # (R,) int64: where they begin, in those of the batch
    messages: Pointer  # (R,) int64: likewise
    lengths: Pointer  # (R,) int64: the number of positions
    positions: Pointer  # (R, T) int64: the unmasked positions, in order
    time: int  # T


class Work(NamedTuple):
    """Memory for a stretch of S steps of R rows of P tags."""

    emitted: Pointer  # (S, R, P): exp of the emissions; in the gradient, the alphas
    vectors: Pointer  # (S + 1, R, P): the sweep before each step, and after the last
    ratios: Pointer  # (S, R, P)
    scales: Pointer  # (S + 1, R): what brings each vector to a maximum in [1, 2); or to a sum of 1
    tops: Pointer  # (R,): the sums of the emissions' tops
    lows: Pointer  # (R,): the lowest finite emissions, relative to their positions' tops
    ends: Pointer  # (3, R): for a row's result


@shared
def count_steps(rows: int, padded_tags: int) -> int:
    """How many steps stay in the first cache: a multiple of 4."""
    return max(8, 1024 // (rows * padded_tags) // 4 * 4)


@compiled_lanes
def steps_of(like: Lanes, num_tags: int) -> int:
    """S of a group."""
    return int(count_steps(rows_of(like), padded(like, num_tags)))


@compiled_lanes
def work_in(like: Lanes, num_tags: int, memory: Pointer) -> Work:
    """Memory of :func:`size_of_work` numbers, laid out."""
    R, S = rows_of(like), steps_of(like, num_tags)
    whole = S * R * padded(like, num_tags)
    vectors = at(memory, whole)
    ratios = at(vectors, whole + R * padded(like, num_tags))
    scales = at(ratios, whole)
    rest = at(scales, (S + 1) * R)
    return Work(memory, vectors, ratios, scales, rest, at(rest, R), at(rest, 2 * R))


@shared
def size_of_work(rows: int, padded_tags: int) -> int:
    """How many float64 numbers the work of a group takes."""
    steps: int = count_steps(rows, padded_tags)
    return 3 * steps * rows * padded_tags + rows * padded_tags + (steps + 6) * rows


@compiled_lanes
def propagate(like: Lanes, vectors: Pointer, P: int, table: Pointer, along: int) -> Lanes:
    """sum_i vector_i table_i of one block of the table: of each row, whose vectors are ``along`` apart."""
    W = width_of(like)
    a, b = every(like, 0.0), every(like, 0.0)
    for i in range(0, P, 2):
        a = fma(spread(like, at(vectors, i), along), load_shared(like, at(table, i * W)), a)
        b = fma(spread(like, at(vectors, i + 1), along), load_shared(like, at(table, i * W + W)), b)
    return a + b


@compiled_lanes
def _weigh_emissions(
    one: Lanes,
    real: float,
    emissions: Pointer,
    positions: Pointer,
    steps: int,
    K: int,
    to: Pointer,
    along: int,
) -> tuple[float, float]:
    """exp(emission - top) of a row's steps, ``along`` apart; the sum of the tops, and the lowest finite
    emission less its top."""
    P, W = padded(one, K), width_of(one)
    tops, low = every(one, 0.0), every(one, 0.0)
    for step in range(steps):
        emission = at(emissions, positions[step] * K)
        highest = every(one, NEG_INF)
        for block in range(0, P, W):
            highest = maximum(load_some(one, at(emission, block), K - block, NEG_INF), highest)
        top = greatest(highest)
        tops = tops + top
        for block in range(0, P, W):
            relative = load_some(one, at(emission, block), K - block, NEG_INF) - top
            low = least_finite(low, relative)
            store(at(to, step * along + block), 0, exp(relative, real))
    return first(tops), first(least(low))


@compiled_lanes
def _fill(pointer: Pointer, size: int, rows: int, along: int) -> None:
    """Zeros: ``rows`` times ``size``, ``along`` apart."""
    for row in range(rows):
        for i in range(size):
            pointer[row * along + i] = 0.0


@compiled_lanes
def forward_group(
    like: Lanes,
    real: float,
    emissions: Pointer,
    K: int,
    group: Group,
    tables: Tables,
    floor: float,
    work: Work,
    messages: Pointer,
    log_z: Pointer,
) -> None:
    """log Z (R,) of the group's rows and their alphas, by position; NaN where this cannot be trusted."""
    one = one_row(like)
    R, P, W = rows_of(like), padded(like, K), width_of(like)
    RP, S = R * P, steps_of(like, K)
    longest = 0
    for r in range(R):
        longest = max(longest, group.lengths[r])
        work.tops[r] = work.lows[r] = 0.0
        log_z[r] = 0.0
    scale, exponent, low = every(like, 1.0), every(like, 0.0), every(like, 1.0)
    for begin in range(0, longest, S):
        steps = min(S, longest - begin)
        for r in range(R):
            here = max(0, min(steps, group.lengths[r] - begin))
            tops, lowest = _weigh_emissions(
                one,
                real,
                at(emissions, group.emissions[r]),
                at(group.positions, r * group.time + begin),
                here,
                K,
                at(work.emitted, r * P),
                RP,
            )
            work.tops[r] += tops
            work.lows[r] = min(work.lows[r], lowest)
            _fill(at(work.emitted, here * RP + r * P), P, steps - here, RP)
        for step in range(steps):
            vectors = at(work.vectors, step * RP)
            peak = every(like, 0.0)
            for block in range(0, P, W):
                if begin + step == 0:
                    reached = load_shared(like, at(tables.start, block))
                else:
                    reached = propagate(like, vectors, P, at(tables.forward, block * P), P)
                value = reached * (load(like, at(work.emitted, step * RP + block), P) * scale)
                store(at(vectors, RP + block), P, value)
                low = least_positive(low, value)
                peak = maximum(value, peak)
            peak = greatest(peak)
            scale = scale_to_one(peak)
            exponent = exponent + exponent_of(peak)
            store_first(at(work.scales, (step + 1) * R), scale)
        for r in range(R):
            here = max(0, min(steps, group.lengths[r] - begin))
            for step in range(here):
                vector = at(work.vectors, (step + 1) * RP + r * P)
                message = at(messages, group.messages[r] + group.positions[r * group.time + begin + step] * K)
                scaled = every(one, work.scales[(step + 1) * R + r])
                for block in range(0, P, W):
                    store_some(at(message, block), K - block, load(one, at(vector, block), 0) * scaled)
            if here > 0 and begin + here == group.lengths[r]:
                vector, sums = at(work.vectors, here * RP + r * P), every(one, 0.0)
                for block in range(0, P, W):
                    sums = fma(load(one, at(vector, block), 0), load(one, at(tables.end, block), 0), sums)
                log_z[r] = first(total(sums)) * work.scales[here * R + r]
        for block in range(0, P, W):
            store(at(work.vectors, block), P, load(like, at(work.vectors, steps * RP + block), P))
    store_first(work.ends, least(low))
    store_first(at(work.ends, R), exponent)
    for r in range(R):
        length = group.lengths[r]
        if length == 0:
            continue
        if log_z[r] > 0.0 and work.lows[r] >= -EMISSION_SPREAD and work.ends[r] >= floor:
            tops = work.tops[r] + tables.tops[1] + tables.tops[2] + (length - 1) * tables.tops[0]
            log_z[r] = math.log(log_z[r]) + math.log(2.0) * work.ends[R + r] + tops
        else:
            log_z[r] = np.nan
