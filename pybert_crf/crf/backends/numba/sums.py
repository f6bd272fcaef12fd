"""Sums over all paths of a row, in plain loops: log Z and its gradient, in float64.

The scaled recursion (docs/crf/numbers.md). An *alpha* is a vector of the weights of prefixes by their last
tag; each step divides by the sum of the alpha before, and log Z is the logarithm of the product of these
sums. The gradient goes from right to left by conditional probabilities (eq. 20). A row takes it only if

- finite transitions are at most 300 log 2 below the greatest, finite emissions of a position, start and end
  scores at most 200 log 2 below the greatest of theirs: weights are 0, or at least 2^-300, 2^-200 (eq. 14);
- the entries of every alpha are 0 or at least 2^-400 (eq. 15). They sum to at most K.

So an entry times a transition is 0 or at least 2^-700, times an emission and divided by the sum before at
least 2^-900 / K, a normal number: an entry of 0 is a tag in which no legal prefix ends. Ratios, of marginals
to such sums, are below 2^700. Products in the gradient may underflow: parts of a probability, of less than
2^-1000. A row that fails a check, or has NaN or +inf in it, takes the log semiring.
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
PADDING = 4  # tags are padded to a multiple of it
NEG_INF = -math.inf
LOG2_E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 6.93147180369123816490e-01, 1.90821492927058770002e-10
SHIFT = 1.5 * 2.0**52  # added to a number, rounds it to an integer
TAYLOR = tuple((1.0 / math.factorial(n), 1.0 / math.factorial(n + 1)) for n in range(12, -1, -2))

# Sums may be added up in any order, so that loops are vectorised; infinities and NaN stay what they are.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
_kernel: Decorator = partial(kernel, **OPTIONS)
_inlined: Decorator = numba.njit(**OPTIONS)
# In the order as written; without fastmath of its own, a function takes its caller's.
_as_written: Decorator = numba.njit(error_model="numpy", fastmath={"contract"})


class Weights(NamedTuple):
    """Exponentials of the parameters, relative to the greatest of each kind; padded by 0 to P tags."""

    start: Floats  # (PADDING, P), of which the first row is read
    transitions: Floats  # (P, P)
    into: Floats  # (P, P) the transpose
    end: Floats  # (PADDING, P)
    tops: tuple[float, float, float]  # the greatest scores; 0 for -inf, NaN unless (14) holds


class Batch(NamedTuple):
    """What is given, and what is to be written. A part that is not wanted has length 0."""

    emissions: Reals  # (B, T, K)
    mask: Flags  # (B, T)
    start: Reals  # (K,)
    transitions: Reals  # (K, K)
    end: Reals  # (K,)
    tags: Ints  # (B, T): paths
    factors: Floats  # (B,) of each row's log Z in what the gradient is of; of a path's score, the opposite
    values: Floats  # (B,) log-likelihoods of the paths; NaN if a tag is out of range
    log_z: Floats  # (B,) NaN until it is known
    d_emissions: Reals  # (B, T, K)
    d_start: Floats  # (chunks, K), and likewise below: chunk c has the rows or groups c, c + chunks, ...
    d_transitions: Floats  # (chunks, K, K)
    d_end: Floats  # (chunks, K)


class Group(NamedTuple):
    """Up to ROWS rows of a batch that go together, step by step, the longest first."""

    rows: Ints  # (R,)
    lengths: Ints  # (ROWS,) the number of unmasked positions; 0 if there is no row
    positions: Ints  # (ROWS, T) these
    alphas: Floats  # ((T + 1) * ROWS, P): of position n and row r at n * ROWS + r
    ratios: Floats  # likewise: the weights of the emissions, which then become the ratios
    scales: Floats  # ((T + 1) * ROWS,) likewise: 1 / the sum of the alpha before; at the end, of the paths


@_as_written
def _exp(x: float) -> float:
    """exp(x) for x in [-700, 0], and 0 below: 2^n e^r, by a Taylor series, so that loops are vectorised.

    Its even and odd terms are two series in r^2, of which neither waits for the other.
    """
    shifted = np.float64(x * LOG2_E + SHIFT)  # its lowest bits are n
    n = shifted - SHIFT
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    even, odd = TAYLOR[0]
    for c, d in TAYLOR[1:]:
        even, odd = even * (r * r) + c, odd * (r * r) + d
    power = np.int64((shifted.view(np.int64) + 1023) << 52).view(np.float64)
    return 0.0 if x < -700.0 else (even + odd * r) * power


@_inlined
def _weigh(scores: Reals, spread: float) -> tuple[Floats, float]:
    """The weights of scores (M, N), padded, and what they are relative to; NaN unless (14) holds."""
    (M, N), top, far = scores.shape, NEG_INF, 0
    weights = np.zeros((M + -M % PADDING, N + -N % PADDING))
    for value in scores.flat:
        top = float(value) if value > top else top
    top = 0.0 if top == NEG_INF else top
    for i in range(M):
        for j in range(N):
            score = scores[i, j] - top
            far += not (score >= -spread or score == NEG_INF)
            weights[i, j] = _exp(score)
    return weights, top if far == 0 else np.nan


@_inlined
def _weigh_emissions(group: Group, batch: Batch) -> None:
    """Find the unmasked positions, and write exp of the emissions, relative to each position's greatest, to
    the ratios; log Z becomes the sum of the greatest, NaN unless (14) holds."""
    emissions, ratios, (_, T, K) = batch.emissions, group.ratios, batch.emissions.shape
    tops, P = np.empty(T), ratios.shape[1]
    for r in range(group.rows.shape[0]):
        b, log_z, far = group.rows[r], 0.0, 0
        positions = np.flatnonzero(batch.mask[b])
        group.lengths[r] = positions.shape[0]
        for n in range(positions.shape[0]):  # in a loop of its own no position waits for another
            t = group.positions[r, n] = positions[n]
            highest = emissions[b, t, 0]
            for k in range(1, K):
                highest = emissions[b, t, k] if emissions[b, t, k] > highest else highest
            tops[n] = highest
            log_z += tops[n]
        for n in range(positions.shape[0]):
            t, at, top = positions[n], n * ROWS + r, tops[n]
            for k in range(K):
                score = np.float64(emissions[b, t, k]) - top
                far += not (score >= -EMISSION_SPREAD or score == NEG_INF)
                ratios[at, k] = score
            for k in range(K, P):
                ratios[at, k] = NEG_INF
        batch.log_z[b] = log_z if far == 0 else np.nan
    end = (group.lengths[0] + 1) * ROWS
    for r in range(ROWS):  # beyond the rows' ends all is 0
        beyond = slice(group.lengths[r] * ROWS + r, end, ROWS)
        group.alphas[beyond], ratios[beyond] = 0.0, NEG_INF
    weights = ratios.reshape(-1)
    for at in range(end * P):
        weights[at] = _exp(weights[at])


@_inlined
def _multiply(vectors: Floats, table: Floats, size: int, products: Floats) -> None:
    """products_ri = sum_j table_ij vectors_rj of ROWS vectors: eight sums at a time, which stay in registers,
    and for which six numbers are loaded."""
    for i in range(0, size, 2):
        a = b = c = d = e = f = g = h = 0.0
        for j in range(table.shape[1]):
            x, y = table[i, j], table[i + 1, j]
            a, b = a + x * vectors[0, j], b + x * vectors[1, j]
            c, d = c + x * vectors[2, j], d + x * vectors[3, j]
            e, f = e + y * vectors[0, j], f + y * vectors[1, j]
            g, h = g + y * vectors[2, j], h + y * vectors[3, j]
        products[0, i], products[1, i], products[2, i], products[3, i] = a, b, c, d
        products[0, i + 1], products[1, i + 1], products[2, i + 1], products[3, i + 1] = e, f, g, h


@_inlined
def _multiply_back(
    alphas: Floats, ratios: Floats, table: Floats, size: int, products: Floats, pairs: Floats
) -> None:
    """products_ri = sum_j table_ij ratios_rj of ROWS ratios, and pairs_ij += sum_r alphas_ri ratios_rj: in
    one loop, so that a ratio is loaded once for both."""
    for i in range(size):
        a = b = c = d = 0.0
        e, f, g, h = alphas[0, i], alphas[1, i], alphas[2, i], alphas[3, i]
        for j in range(table.shape[1]):
            a, b = a + table[i, j] * ratios[0, j], b + table[i, j] * ratios[1, j]
            c, d = c + table[i, j] * ratios[2, j], d + table[i, j] * ratios[3, j]
            pairs[i, j] += (e * ratios[0, j] + f * ratios[1, j]) + (g * ratios[2, j] + h * ratios[3, j])
        products[0, i], products[1, i], products[2, i], products[3, i] = a, b, c, d


@_inlined
def _forward(group: Group, weights: Weights, batch: Batch) -> None:
    """Write the alphas and the scales; and log Z (B,), NaN unless (15) holds."""
    rows, lengths, _, alphas, ratios, scales = group
    P, K, log_z = alphas.shape[1], batch.start.shape[0], batch.log_z
    products, masses = np.zeros((ROWS, P)), np.ones(ROWS)  # masses: of sums, not yet added to log Z
    for at in range(ROWS * P):  # assigning an array to a slice would take three times as long to compile
        scales[at // P], products[at // P, at % P] = 1.0, weights.start[0, at % P]
    for n in range(lengths[0]):
        here = n * ROWS
        if n > 0:
            _multiply(alphas[here - ROWS : here], weights.into, K, products)
        for r in range(ROWS):
            if lengths[r] <= n:
                break
            b, at, scale, total, small = rows[r], here + r, scales[here + r], 0.0, 0
            for j in range(P):
                value = (ratios[at, j] * scale) * products[r, j]
                small += (value > 0.0) and (value < LEAST_ALPHA)
                total += value
                alphas[at, j] = value
            if n == lengths[r] - 1:
                total = (alphas[at] * weights.end[0]).sum()
                log_z[b] += weights.tops[0] + n * weights.tops[1] + weights.tops[2]
            scales[at + ROWS] = 1.0 / total
            masses[r] *= total
            if n == lengths[r] - 1 or not LEAST_ALPHA < masses[r] < 1 / LEAST_ALPHA:
                log_z[b] += math.log(masses[r])
                masses[r] = 1.0
            log_z[b] = log_z[b] if small == 0 and total > 0.0 else np.nan


@_inlined
def _backward(group: Group, weights: Weights, chunk: int, batch: Batch, pairs: Floats) -> None:
    """Write the probabilities of tags, times the row's factor, and add them to the gradients of start and
    end; add to ``pairs`` (P, P) those of pairs of tags, but for the transitions' weights.

    The emissions' weights become the ratios of eq. 20, marginal / sum = product * weight * scale: an entry
    of an alpha, times a transition, times an entry of the next ratio is the probability of a pair.
    """
    rows, lengths, positions, alphas, ratios, scales = group
    d_emissions, (_, T, K) = batch.d_emissions, batch.emissions.shape
    for r in range(rows.shape[0]):
        if lengths[r] < T:
            d_emissions[rows[r]] = 0.0
        if np.isnan(batch.log_z[rows[r]]):  # so that the row adds nothing
            alphas[r::ROWS], ratios[r::ROWS], scales[r::ROWS] = 0.0, 0.0, 0.0
    products = np.empty((ROWS, alphas.shape[1]))
    for n in range(lengths[0] - 1, -1, -1):
        here = n * ROWS
        after = ratios[here + ROWS : here + 2 * ROWS]
        _multiply_back(alphas[here : here + ROWS], after, weights.transitions, K, products, pairs)
        for r in range(ROWS):
            if lengths[r] <= n:
                break
            b, at, t, scale = rows[r], here + r, positions[r, n], scales[here + r]
            for k in range(K if n == lengths[r] - 1 else 0):
                products[r, k] = batch.factors[b] * scales[at + ROWS] * weights.end[0, k]
                batch.d_end[chunk, k] += products[r, k] * alphas[at, k]
            for k in range(K):
                d_emissions[b, t, k] = products[r, k] * alphas[at, k]
                ratios[at, k] = products[r, k] * (ratios[at, k] * scale) if alphas[at, k] > 0.0 else 0.0
            for k in range(K if n == 0 else 0):
                batch.d_start[chunk, k] += products[r, k] * alphas[at, k]


@_inlined
def _follow_path(b: int, positions: Ints, chunk: int, batch: Batch) -> None:
    """Write the log-likelihood of a row's path (eq. 1); add to the gradients of the scores that it uses."""
    g = -batch.factors[b] if batch.factors.shape[0] > 0 and np.isfinite(batch.log_z[b]) else 0.0
    tags, emissions, d_transitions = batch.tags[b], batch.emissions[b], batch.d_transitions[chunk]
    score, before = 0.0, -1
    for t in positions:
        tag = tags[t]
        if tag < 0 or tag >= emissions.shape[1]:
            batch.values[b] = np.nan
            return
        score += emissions[t, tag]
        if g != 0.0:
            batch.d_emissions[b, t, tag] += g
        if before >= 0:
            score += batch.transitions[before, tag]
            d_transitions[before, tag] += g
        before = tag
    if before >= 0:
        score += batch.start[tags[positions[0]]] + batch.end[before]
        batch.d_start[chunk, tags[positions[0]]] += g
        batch.d_end[chunk, before] += g
    batch.values[b] = score - batch.log_z[b] if batch.log_z[b] != NEG_INF else score + NEG_INF


@_kernel
def scaled_rows(first: int, step: int, rows: Ints, batch: Batch) -> None:
    """Write the batch's results; log Z stays NaN for rows that are left to :func:`log_rows`. The ``rows``
    (B,) are the longest first."""
    (B, T, K), chunks = batch.emissions.shape, batch.d_start.shape[0]
    start, top = _weigh(batch.start.reshape(1, K), EMISSION_SPREAD)
    transitions, step_top = _weigh(batch.transitions, TRANSITION_SPREAD)
    end, end_top = _weigh(batch.end.reshape(1, K), EMISSION_SPREAD)
    weights = Weights(start, transitions, transitions.T.copy(), end, (top, step_top, end_top))
    if not np.isfinite(top + step_top + end_top):
        return
    shape, pairs = ((T + 1) * ROWS, transitions.shape[0]), np.empty(transitions.shape)
    alphas, ratios, scales = np.empty(shape), np.empty(shape), np.empty(shape[0])
    positions = np.empty((ROWS, T), np.int64)
    for chunk in range(first, chunks, step):
        pairs[:] = 0.0
        for begin in range(chunk * ROWS, B, chunks * ROWS):
            own, lengths = rows[begin : begin + ROWS], np.zeros(ROWS, np.int64)
            group = Group(own, lengths, positions, alphas, ratios, scales)
            _weigh_emissions(group, batch)
            _forward(group, weights, batch)
            if batch.factors.shape[0] > 0:
                _backward(group, weights, chunk, batch, pairs)
            for r in range(own.shape[0] if batch.tags.shape[0] > 0 else 0):
                _follow_path(own[r], positions[r, : lengths[r]], chunk, batch)
        for i in range(K):
            for j in range(K):
                batch.d_transitions[chunk, i, j] += weights.transitions[i, j] * pairs[i, j]


@_inlined
def _log_sum_exp(a: Floats, b: Floats) -> float:
    """log sum_i exp(a_i + b_i)."""
    top, total = NEG_INF, 0.0
    for i in range(a.shape[0]):
        top = a[i] + b[i] if a[i] + b[i] > top else top
    top = 0.0 if top == NEG_INF else top
    for i in range(a.shape[0]):
        total += _exp(a[i] + b[i] - top)
    return top + math.log(total)


@_inlined
def _log_forward(b: int, positions: Ints, batch: Batch, alphas: Floats, sums: Floats) -> float:
    """log Z of a row; write its alphas (T, K), relative to each position's greatest, and sums (eq. 4)."""
    emissions, columns = batch.emissions[b], batch.transitions.T.copy()
    K, length, log_z = emissions.shape[1], positions.shape[0], 0.0
    for n in range(length):
        alpha = alphas[positions[n]]
        top = NEG_INF
        for j in range(K):
            sums[n, j] = _log_sum_exp(alphas[positions[n - 1]], columns[j]) if n > 0 else batch.start[j]
            alpha[j] = sums[n, j] + emissions[positions[n], j]
            top = alpha[j] if alpha[j] > top else top
        top = 0.0 if top == NEG_INF else top
        for j in range(K):
            alpha[j] -= top
        log_z += top
    return log_z + _log_sum_exp(alphas[positions[-1]], batch.end) if length > 0 else 0.0


@_inlined
def _log_backward(b: int, positions: Ints, alphas: Floats, sums: Floats, chunk: int, batch: Batch) -> None:
    """What :func:`_backward` does, for a row in the log semiring."""
    K, last = alphas.shape[1], positions.shape[0] - 1
    marginals = np.zeros((last + 1, K))
    final = _log_sum_exp(alphas[positions[last]], batch.end)
    for k in range(K):
        marginals[last, k] = batch.factors[b] * _exp(alphas[positions[last], k] + batch.end[k] - final)
        batch.d_end[chunk, k] += marginals[last, k]
    for n in range(last, 0, -1):
        for i in range(K):
            alpha, total = alphas[positions[n - 1], i], 0.0
            for j in range(K):
                part = _exp(alpha + batch.transitions[i, j] - sums[n, j])
                pair = marginals[n, j] * (part if sums[n, j] != NEG_INF else 0.0)  # NaN stays
                batch.d_transitions[chunk, i, j] += pair
                total += pair
            marginals[n - 1, i] = total
    for k in range(K):
        batch.d_start[chunk, k] += marginals[0, k]
        for n in range(last + 1):
            batch.d_emissions[b, positions[n], k] = marginals[n, k]


@_kernel
def log_rows(first: int, step: int, rows: Ints, batch: Batch, alphas: Floats) -> None:
    """Write the results of some rows by the log semiring, and their alphas (rows, T, K) as logarithms."""
    chunks = batch.d_start.shape[0]
    sums = np.empty(alphas.shape[1:])
    for chunk in range(first, chunks, step):
        for at in range(chunk, rows.shape[0], chunks):
            b = rows[at]
            alphas[at] = 0.0
            positions = np.flatnonzero(batch.mask[b])
            batch.log_z[b] = _log_forward(b, positions, batch, alphas[at], sums)
            if batch.factors.shape[0] > 0:
                batch.d_emissions[b] = 0.0
                if batch.log_z[b] != NEG_INF and positions.shape[0] > 0:
                    _log_backward(b, positions, alphas[at], sums, chunk, batch)
            if batch.tags.shape[0] > 0:
                _follow_path(b, positions, chunk, batch)
