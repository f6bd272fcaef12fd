"""Sums over all paths of a row, in plain loops: log Z and its gradient, in float64.

The scaled recursion (docs/crf/numbers.md). An *alpha* is a vector of the weights of prefixes by
their last tag; each step divides by the sum of the alpha before, and log Z is the sum of the logarithms of
these sums. The gradient goes from right to left by conditional probabilities (eq. 20).

Why nothing underflows in it. A row takes this recursion only if

- finite transitions are at most 300 log 2 below the greatest, finite emissions of a position, start and end
  scores at most 200 log 2 below the greatest of theirs: weights are 0, or at least 2^-300, 2^-200 (eq. 14);
- the entries of every alpha are 0 or at least 2^-400 (eq. 15). They sum to at most K.

So the product of an entry and a transition is 0 or at least 2^-700, times an emission at least 2^-900, and
divided by the sum before at least 2^-900 / K: a normal number. An entry of 0 is therefore a tag in which no
legal prefix ends, and all else has rounding errors only. In the gradient, marginals are divided by sums of at
least 2^-700: no ratio overflows. Products there may underflow, but each is a part of a probability, which
loses less than 2^-1000. A row that fails a check, or has NaN or +inf in it, takes the log semiring.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np

from pybert_crf.crf.backends.numba.batches import ROWS, Decorator, Flags, Floats, Ints, Reals, kernel

TRANSITION_SPREAD = 300 * math.log(2.0)
EMISSION_SPREAD = 200 * math.log(2.0)
LEAST_ALPHA = 2.0**-400
BLOCK = 8  # the rows of a table that one loop reads
NEG_INF = -math.inf
LOG2_E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 6.93147180369123816490e-01, 1.90821492927058770002e-10
SHIFT = 1.5 * 2.0**52  # added to a number, rounds it to an integer
TAYLOR = tuple(1.0 / math.factorial(n) for n in range(12, -1, -1))

# Sums may be added up in any order, so that loops are vectorised; infinities and NaN stay what they are.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
_kernel: Decorator = partial(kernel, **OPTIONS)
_inlined: Decorator = numba.njit(**OPTIONS)
# In the order as written; without fastmath of its own, a function takes its caller's.
_as_written: Decorator = numba.njit(error_model="numpy", fastmath={"contract"})


class Weights(NamedTuple):
    """The parameters' scores; and their exponentials, padded by 0 to P tags, a multiple of BLOCK."""

    start: Floats  # (K,) scores
    transitions: Floats  # (K, K)
    end: Floats  # (K,)
    start_weights: Floats  # (P,) exp(start - tops[0])
    forward: Floats  # (P, P) exp(transitions - tops[1])
    backward: Floats  # (P, P) the transpose
    end_weights: Floats  # (P,) exp(end - tops[2])
    tops: tuple[float, float, float]  # the greatest score of each kind; 0 for -inf
    is_scalable: bool  # whether (14) holds for the parameters


class Batch(NamedTuple):
    """What is given, and what is to be written. A part that is not wanted has length 0."""

    emissions: Reals  # (B, T, K)
    mask: Flags  # (B, T)
    tags: Ints  # (B, T): paths
    factors: Floats  # (B,) of each row's log Z in what the gradient is of; of a path's score, the opposite
    values: Floats  # (B,) log-likelihoods of the paths; NaN if a tag is out of range
    log_z: Floats  # (B,) NaN until it is known
    d_emissions: Reals  # (B, T, K)
    d_start: Floats  # (chunks, K), and likewise below: chunk c has the rows or groups c, c + chunks, ...
    d_transitions: Floats  # (chunks, K, K)
    d_end: Floats  # (chunks, K)


class Group(NamedTuple):
    """R rows of a batch that go together, step by step, the longest first."""

    rows: Ints  # (R,)
    lengths: Ints  # (R,) the number of unmasked positions
    positions: Ints  # (R, T) these
    finals: Floats  # (R,) the weight of all paths, relative to the last alpha
    alphas: Floats  # ((T + BLOCK) * R, P): of position n and row r at n * R + r
    sums: Floats  # likewise: what the emissions were multiplied by


def weigh(start: Reals, transitions: Reals, end: Reals) -> Weights:
    """The weights of the parameters (K,), (K, K), (K,)."""
    scores = [part.astype(np.float64) for part in (start, transitions, end)]
    spreads = (EMISSION_SPREAD, TRANSITION_SPREAD, EMISSION_SPREAD)
    (first, forward, last), tops, scalable = zip(*map(_exponentiate, scores, spreads), strict=True)
    return Weights._make([*scores, first, forward, forward.T.copy(), last, tops, all(scalable)])


def _exponentiate(scores: Floats, spread: float) -> tuple[Floats, float, bool]:
    """Exponentials relative to the greatest score, padded by 0; that score; and whether (14) holds."""
    weights = np.zeros([size + -size % BLOCK for size in scores.shape])
    top = float(scores.max())
    if not math.isfinite(top):
        return weights, 0.0, top == NEG_INF
    relative = scores - top
    weights[tuple(map(slice, scores.shape))] = np.exp(relative)
    return weights, top, bool(relative[relative > NEG_INF].min() >= -spread)


@_as_written
def _exp(x: float) -> float:
    """exp(x) for x in [-700, 0], and 0 below: 2^n e^r, by a Taylor series, so that loops are vectorised."""
    shifted = np.float64(x * LOG2_E + SHIFT)  # its lowest bits are n
    n = shifted - SHIFT
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    series = TAYLOR[0]
    for coefficient in TAYLOR[1:]:
        series = series * r + coefficient
    power = np.int64((shifted.view(np.int64) + 1023) << 52).view(np.float64)
    return 0.0 if x < -700.0 else series * power


@_inlined
def _weigh_emissions(group: Group, batch: Batch) -> None:
    """Find the unmasked positions, and write exp of the emissions, relative to each position's greatest, to
    the alphas; log Z becomes the sum of the greatest, NaN unless (14) holds."""
    R, T = group.positions.shape
    K, P = batch.emissions.shape[2], group.alphas.shape[1]
    tops = np.empty(T)
    for r in range(R):
        b = group.rows[r]
        positions = np.flatnonzero(batch.mask[b])
        group.lengths[r] = positions.shape[0]
        log_z = 0.0
        for n in range(positions.shape[0]):  # apart from the exponentials, which need not wait for each other
            group.positions[r, n] = positions[n]
            row = batch.emissions[b, positions[n]]
            highest = row[0]
            for k in range(1, K):
                highest = row[k] if row[k] > highest else highest
            tops[n] = highest
            log_z += tops[n]
        far = 0
        for n in range(positions.shape[0]):
            row, weights = batch.emissions[b, positions[n]], group.alphas[n * R + r]
            for k in range(K):
                score = np.float64(row[k]) - tops[n]
                far += not (score >= -EMISSION_SPREAD or score == NEG_INF)
                weights[k] = _exp(score)
            for k in range(K, P):
                weights[k] = 0.0
        batch.log_z[b] = log_z if far == 0 else np.nan


@_inlined
def _add_products(vectors: Floats, table: Floats, products: Floats) -> None:
    """products_rj += sum_m vectors_rm table_mj: BLOCK rows of the table at a time for all vectors, so that
    they stay in the first cache, and a product is loaded and stored once for all of them."""
    R, P = products.shape
    for m in range(0, table.shape[0], 8):
        for r in range(R):
            a, b, c, d = vectors[r, m], vectors[r, m + 1], vectors[r, m + 2], vectors[r, m + 3]
            e, f, g, h = vectors[r, m + 4], vectors[r, m + 5], vectors[r, m + 6], vectors[r, m + 7]
            for j in range(P):
                left = (a * table[m, j] + b * table[m + 1, j]) + (c * table[m + 2, j] + d * table[m + 3, j])
                right = e * table[m + 4, j] + f * table[m + 5, j]
                products[r, j] += left + (right + (g * table[m + 6, j] + h * table[m + 7, j]))


@_inlined
def _forward(group: Group, weights: Weights, log_z: Floats) -> None:
    """Turn the emissions' weights into alphas; write the finals, and log Z (B,), NaN unless (15) holds."""
    R, P = group.rows.shape[0], group.alphas.shape[1]
    scales = np.ones(R)
    count = R  # the rows that have a position n
    for at in range(R * P):  # assigning an array to a slice would take three times as long to compile
        group.sums[at // P, at % P] = weights.start_weights[at % P]
    for n in range(group.lengths[0]):
        here = n * R
        while group.lengths[count - 1] <= n:
            count -= 1
        if n > 0:
            group.sums[here : here + count] = 0.0
            before = group.alphas[here - R : here - R + count]
            _add_products(before, weights.forward, group.sums[here : here + count])
        for r in range(count):
            b, alpha, reached, scale = group.rows[r], group.alphas[here + r], group.sums[here + r], scales[r]
            total = 0.0
            small = 0
            for j in range(P):
                value = (alpha[j] * scale) * reached[j]
                small += (value > 0.0) and (value < LEAST_ALPHA)
                total += value
                alpha[j] = value
            scales[r] = 1.0 / total
            log_z[b] += math.log(total) if small == 0 else np.nan
            if n == group.lengths[r] - 1:
                final = group.finals[r] = (alpha * weights.end_weights).sum()
                log_z[b] += math.log(final * scales[r]) if final > 0.0 else np.nan
                log_z[b] += weights.tops[0] + n * weights.tops[1] + weights.tops[2]


@_inlined
def _backward(group: Group, weights: Weights, chunk: int, batch: Batch, products: Floats) -> None:
    """Write the probabilities of tags, times the row's factor, and add them to the gradients of start and
    end; add to ``products`` (P, P) those of pairs of tags, but for the transitions' weights.

    The sums become the ratios of eq. 20, marginal / sum: an entry of an alpha, times a transition, times an
    entry of the next ratio is the probability of a pair. Beyond a row's end all are 0.
    """
    (R, T), P, K = group.positions.shape, group.alphas.shape[1], batch.emissions.shape[2]
    for r in range(R):
        b, beyond = group.rows[r], group.lengths[r]
        if beyond < T:
            batch.d_emissions[b] = 0.0
        if np.isnan(batch.log_z[b]):  # so that the row adds nothing
            beyond, group.finals[r] = 0, np.inf
        unused = slice(beyond * R + r, (group.lengths[0] + BLOCK) * R, R)
        group.alphas[unused], group.sums[unused] = 0.0, 0.0
    marginals = np.empty((R, P))
    count = 0  # the rows that have a position n
    for n in range(group.lengths[0] - 1, -1, -1):
        here = n * R
        while count < R and group.lengths[count] > n:
            count += 1
        marginals[:count] = 0.0
        _add_products(group.sums[here + R : here + R + count], weights.backward, marginals[:count])
        for r in range(count):
            alpha, reached, marginal = group.alphas[here + r], group.sums[here + r], marginals[r]
            b, is_last = group.rows[r], n == group.lengths[r] - 1
            for i in range(P if is_last else 0):
                marginal[i] = batch.factors[b] / group.finals[r] * weights.end_weights[i]
            for i in range(P):
                value = marginal[i] * alpha[i]
                reached[i] = value / reached[i] if reached[i] > 0.0 else 0.0
                marginal[i] = value
            to = batch.d_emissions[b, group.positions[r, n]]
            for k in range(K):
                to[k] = marginal[k]
            for k in range(K if is_last else 0):
                batch.d_end[chunk, k] += marginal[k]
            for k in range(K if n == 0 else 0):
                batch.d_start[chunk, k] += marginal[k]
    pairs = -(-(group.lengths[0] - 1) * R // BLOCK) * BLOCK
    _add_products(group.alphas[:pairs].T, group.sums[R : R + pairs], products)


@_inlined
def _follow_path(b: int, positions: Ints, weights: Weights, chunk: int, batch: Batch) -> None:
    """Write the log-likelihood of a row's path (eq. 1); add to the gradients of the scores that it uses."""
    g = -batch.factors[b] if batch.factors.shape[0] > 0 and np.isfinite(batch.log_z[b]) else 0.0
    score = 0.0
    before = -1
    for t in positions:
        tag = batch.tags[b, t]
        if tag < 0 or tag >= batch.emissions.shape[2]:
            batch.values[b] = np.nan
            return
        score += batch.emissions[b, t, tag]
        if g != 0.0:
            batch.d_emissions[b, t, tag] += g
        if before < 0:
            score += weights.start[tag]
            batch.d_start[chunk, tag] += g
        else:
            score += weights.transitions[before, tag]
            batch.d_transitions[chunk, before, tag] += g
        before = tag
    if before >= 0:
        score += weights.end[before]
        batch.d_end[chunk, before] += g
    batch.values[b] = score - batch.log_z[b] if batch.log_z[b] != NEG_INF else score + NEG_INF


@_kernel
def scaled_rows(first: int, step: int, rows: Ints, weights: Weights, batch: Batch) -> None:
    """Write the batch's results; log Z stays NaN for rows that are left to :func:`log_rows`. The ``rows``
    (B,) are the longest first."""
    (B, T, K), chunks, P = batch.emissions.shape, batch.d_start.shape[0], weights.forward.shape[0]
    size_of_alphas = ((T + BLOCK) * min(B, ROWS), P)
    alphas, sums, products = np.empty(size_of_alphas), np.empty(size_of_alphas), np.empty((P, P))
    for chunk in range(first, chunks, step):
        products[:] = 0.0
        for begin in range(chunk * ROWS, B, chunks * ROWS):
            own = rows[begin : begin + ROWS]
            R = own.shape[0]
            lengths, positions = np.empty(R, np.int64), np.empty((R, T), np.int64)
            group = Group(own, lengths, positions, np.empty(R), alphas, sums)
            _weigh_emissions(group, batch)
            _forward(group, weights, batch.log_z)
            if batch.factors.shape[0] > 0:
                _backward(group, weights, chunk, batch, products)
            for r in range(R if batch.tags.shape[0] > 0 else 0):
                _follow_path(own[r], positions[r, : lengths[r]], weights, chunk, batch)
        for i in range(K):
            for j in range(K):
                batch.d_transitions[chunk, i, j] += weights.forward[i, j] * products[i, j]


@_inlined
def _log_sum_exp(a: Floats, b: Floats) -> float:
    """log sum_i exp(a_i + b_i)."""
    top = NEG_INF
    for i in range(a.shape[0]):
        top = a[i] + b[i] if a[i] + b[i] > top else top
    top = 0.0 if top == NEG_INF else top
    total = 0.0
    for i in range(a.shape[0]):
        total += _exp(a[i] + b[i] - top)
    return top + math.log(total)


@_inlined
def _log_forward(emissions: Reals, positions: Ints, weights: Weights, alphas: Floats, sums: Floats) -> float:
    """log Z of a row; write its alphas (T, K), relative to each position's greatest, and sums (eq. 4)."""
    columns = weights.transitions.T.copy()
    K, length = emissions.shape[1], positions.shape[0]
    log_z = 0.0
    for n in range(length):
        alpha = alphas[positions[n]]
        top = NEG_INF
        for j in range(K):
            sums[n, j] = _log_sum_exp(alphas[positions[n - 1]], columns[j]) if n > 0 else weights.start[j]
            alpha[j] = sums[n, j] + emissions[positions[n], j]
            top = alpha[j] if alpha[j] > top else top
        top = 0.0 if top == NEG_INF else top
        for j in range(K):
            alpha[j] -= top
        log_z += top
    return log_z + _log_sum_exp(alphas[positions[-1]], weights.end) if length > 0 else 0.0


@_inlined
def _log_backward(
    b: int, positions: Ints, weights: Weights, alphas: Floats, sums: Floats, chunk: int, batch: Batch
) -> None:
    """What :func:`_backward` does, for a row in the log semiring."""
    K, last = alphas.shape[1], positions.shape[0] - 1
    marginals = np.zeros((last + 1, K))
    final = _log_sum_exp(alphas[positions[last]], weights.end)
    for k in range(K):
        marginals[last, k] = batch.factors[b] * _exp(alphas[positions[last], k] + weights.end[k] - final)
        batch.d_end[chunk, k] += marginals[last, k]
    for n in range(last, 0, -1):
        for i in range(K):
            alpha, total = alphas[positions[n - 1], i], 0.0
            for j in range(K):
                part = _exp(alpha + weights.transitions[i, j] - sums[n, j])
                pair = marginals[n, j] * part if sums[n, j] != NEG_INF else 0.0
                batch.d_transitions[chunk, i, j] += pair
                total += pair
            marginals[n - 1, i] = total
    for k in range(K):
        batch.d_start[chunk, k] += marginals[0, k]
        for n in range(last + 1):
            batch.d_emissions[b, positions[n], k] = marginals[n, k]


@_kernel
def log_rows(first: int, step: int, rows: Ints, weights: Weights, batch: Batch, alphas: Floats) -> None:
    """Write the results of some rows by the log semiring, and their alphas (rows, T, K) as logarithms."""
    chunks = batch.d_start.shape[0]
    sums = np.empty(alphas.shape[1:])
    for chunk in range(first, chunks, step):
        for at in range(chunk, rows.shape[0], chunks):
            b = rows[at]
            alphas[at] = 0.0
            positions = np.flatnonzero(batch.mask[b])
            batch.log_z[b] = _log_forward(batch.emissions[b], positions, weights, alphas[at], sums)
            if batch.factors.shape[0] > 0:
                batch.d_emissions[b] = 0.0
                if batch.log_z[b] != NEG_INF and positions.shape[0] > 0:
                    _log_backward(b, positions, weights, alphas[at], sums, chunk, batch)
            if batch.tags.shape[0] > 0:
                _follow_path(b, positions, weights, chunk, batch)
