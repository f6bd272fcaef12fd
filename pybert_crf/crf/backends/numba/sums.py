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
from typing import NamedTuple

import numpy as np

from pybert_crf.crf.backends.numba.batches import ROWS, Chunks, Flags, Floats, Ints, Reals, inlined, kernel

TRANSITION_SPREAD = 300 * math.log(2.0)
EMISSION_SPREAD = 200 * math.log(2.0)
LEAST_ALPHA = 2.0**-400
BLOCK = 8  # the rows of a table that one loop reads
NEG_INF = -math.inf
LOG2_E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 6.93147180369123816490e-01, 1.90821492927058770002e-10
SHIFT = 1.5 * 2.0**52  # added to a number, rounds it to an integer
TAYLOR = tuple(1.0 / math.factorial(n) for n in range(12, -1, -1))

# Sums may be added up in any order, so that loops are vectorised; infinities and NaN stay what they are.
_kernel = kernel(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
_inlined = inlined(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
# In the order as written. (Without any, the options would be the caller's.)
_as_written = inlined(error_model="numpy", fastmath={"contract"})


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
    """What is given, and then what is to be written. A part that is not wanted has length 0."""

    emissions: Reals  # (B, T, K)
    mask: Flags  # (B, T)
    tags: Ints  # (B, T): paths
    factors: Floats  # (B,) of the rows in the gradient of log Z; with tags, of the log-likelihoods
    scores: Floats  # (B,) of the paths; NaN if a tag is out of range
    log_z: Floats  # (B,)
    d_emissions: Reals  # (B, T, K)


class Counts(NamedTuple):
    """The parameters' gradients, the transitions' being ``weights.forward * products + direct``."""

    start: Floats  # (chunks, P); of one chunk (P,), and likewise below
    products: Floats  # (chunks, P, P)
    direct: Floats  # (chunks, P, P)
    end: Floats  # (chunks, P)


class Group(NamedTuple):
    """R rows of a batch that go together, step by step, the longest first."""

    rows: Ints  # (R,)
    lengths: Ints  # (R,) the number of unmasked positions
    positions: Ints  # (R, T) these
    alphas: Floats  # ((T + BLOCK) * R, P): of position n and row r at n * R + r
    sums: Floats  # likewise: what the emissions were multiplied by


def weigh(start: Reals, transitions: Reals, end: Reals) -> Weights:
    """The weights of the parameters (K,), (K, K), (K,)."""
    scores = [part.astype(np.float64) for part in (start, transitions, end)]
    spreads = (EMISSION_SPREAD, TRANSITION_SPREAD, EMISSION_SPREAD)
    weights, tops, scalable = zip(*map(_exponentiate, scores, spreads), strict=True)
    first, forward, last = (np.pad(part, (0, -len(start) % BLOCK)) for part in weights)
    return Weights._make(
        [*scores, first, forward, np.ascontiguousarray(forward.T), last, tops, all(scalable)]
    )


def _exponentiate(scores: Floats, spread: float) -> tuple[Floats, float, bool]:
    """Exponentials relative to the greatest score; that score; and whether (14) holds."""
    top = float(scores.max())
    if not math.isfinite(top):
        return np.zeros_like(scores), 0.0, top == NEG_INF
    relative = scores - top
    return np.exp(relative), top, bool(((relative >= -spread) | (relative == NEG_INF)).all())


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
def _weigh_emissions(emissions: Reals, positions: Ints, R: int, weights: Floats) -> float:
    """Write exp of the emissions, relative to their position's greatest, to every R-th row of the weights;
    return the sum of the greatest, NaN unless (14) holds."""
    K, P = emissions.shape[1], weights.shape[1]
    tops = 0.0
    far = 0
    for n in range(positions.shape[0]):
        row, to = emissions[positions[n]], weights[n * R]
        highest = row[0]
        for k in range(1, K):
            highest = row[k] if row[k] > highest else highest
        top = np.float64(highest)
        for k in range(K):
            score = np.float64(row[k]) - top
            far += not (score >= -EMISSION_SPREAD or score == NEG_INF)
            to[k] = _exp(score)
        for k in range(K, P):
            to[k] = 0.0
        tops += top
    return tops if far == 0 else np.nan


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
def _forward(group: Group, weights: Weights, logs: Floats, finals: Floats) -> None:
    """Turn the emissions' weights into alphas. Of each row, write the weight of all paths: ``finals`` (R,),
    relative to the last alpha, and ``logs`` (R,), its logarithm, NaN unless (15) holds."""
    R, P = logs.shape[0], group.alphas.shape[1]
    scales = np.ones(R)
    logs[:] = 0.0
    count = R  # the rows that have a position n
    for n in range(group.lengths[0]):
        here = n * R
        while group.lengths[count - 1] <= n:
            count -= 1
        group.sums[here : here + count] = 0.0
        if n > 0:
            before = group.alphas[here - R : here - R + count]
            _add_products(before, weights.forward, group.sums[here : here + count])
        for r in range(count):
            for j in range(P if n == 0 else 0):
                group.sums[r, j] = weights.start_weights[j]
            alpha, reached, scale = group.alphas[here + r], group.sums[here + r], scales[r]
            total = 0.0
            small = 0
            for j in range(P):
                value = (alpha[j] * scale) * reached[j]
                small += (value > 0.0) and (value < LEAST_ALPHA)
                total += value
                alpha[j] = value
            scales[r] = 1.0 / total
            logs[r] += math.log(total) if small == 0 else np.nan
            if n == group.lengths[r] - 1:
                final = 0.0
                for j in range(P):
                    final += alpha[j] * weights.end_weights[j]
                finals[r] = final
                logs[r] += math.log(final * scales[r]) if final > 0.0 else np.nan


@_inlined
def _backward(group: Group, weights: Weights, factors: Floats, d_emissions: Reals, counts: Counts) -> None:
    """Write the probabilities of tags, add them and those of pairs to the counts: times the ``factors`` (R,),
    which are relative to the finals.

    The sums become the ratios of eq. 20, marginal / sum: an entry of an alpha, times a transition, times an
    entry of the next ratio is the probability of a pair. Beyond a row's end the ratios must be 0.
    """
    R, P = group.lengths.shape[0], group.alphas.shape[1]
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
            is_last = n == group.lengths[r] - 1
            for i in range(P if is_last else 0):
                marginal[i] = factors[r] * weights.end_weights[i]
            for i in range(P):
                value = marginal[i] * alpha[i]
                reached[i] = value / reached[i] if reached[i] > 0.0 else 0.0
                marginal[i] = value
            to = d_emissions[group.rows[r], group.positions[r, n]]
            for k in range(to.shape[0]):
                to[k] = marginal[k]
            for k in range(P if is_last else 0):
                counts.end[k] += marginal[k]
            for k in range(P if n == 0 else 0):
                counts.start[k] += marginal[k]
    pairs = -(-(group.lengths[0] - 1) * R // BLOCK) * BLOCK
    _add_products(group.alphas[:pairs].T, group.sums[R : R + pairs], counts.products)


@_inlined
def _follow_path(batch: Batch, b: int, positions: Ints, weights: Weights, g: float, counts: Counts) -> float:
    """The score of a path (eq. 1), NaN if a tag is out of range. Add g for each time that it uses a score."""
    score = 0.0
    before = -1
    for n in range(positions.shape[0]):
        t = positions[n]
        tag = batch.tags[b, t]
        if tag < 0 or tag >= batch.emissions.shape[2]:
            return np.nan
        score += batch.emissions[b, t, tag]
        score += weights.start[tag] if n == 0 else weights.transitions[before, tag]
        if g != 0.0:
            batch.d_emissions[b, t, tag] += g
            if n == 0:
                counts.start[tag] += g
            else:
                counts.direct[before, tag] += g
        before = tag
    if before >= 0 and g != 0.0:
        counts.end[before] += g
    return score + weights.end[before] if before >= 0 else score


@_inlined
def _sum_group(batch: Batch, group: Group, weights: Weights, counts: Counts) -> None:
    """What :func:`scaled_rows` does, for a group of rows."""
    R, T = group.positions.shape
    logs, finals, emitted = np.full(R, np.nan), np.zeros(R), np.empty(R)
    for r in range(R):
        b = group.rows[r]
        positions = np.flatnonzero(batch.mask[b])
        group.lengths[r] = positions.shape[0]
        for n in range(positions.shape[0]):
            group.positions[r, n] = positions[n]
        emitted[r] = _weigh_emissions(batch.emissions[b], positions, R, group.alphas[r:])
    if weights.is_scalable:
        _forward(group, weights, logs, finals)
    has_tags, has_gradient = batch.tags.shape[0] > 0, batch.factors.shape[0] > 0
    for r in range(R):
        b, length = group.rows[r], group.lengths[r]
        tops = weights.tops[0] + (length - 1) * weights.tops[1] + weights.tops[2]
        batch.log_z[b] = emitted[r] + logs[r] + tops if length > 0 else 0.0
        if has_gradient:
            if length < T:
                batch.d_emissions[b] = 0.0
            finals[r] = (-batch.factors[b] if has_tags else batch.factors[b]) / finals[r]
            if length > 0 and np.isnan(batch.log_z[b]):  # so that it adds nothing
                finals[r] = 0.0
                for n in range(length):
                    group.alphas[n * R + r] = 0.0
            for n in range(length, group.lengths[0] + BLOCK):
                group.sums[n * R + r] = 0.0
    if has_gradient:
        _backward(group, weights, finals, batch.d_emissions, counts)
    for r in range(R if has_tags else 0):
        b = group.rows[r]
        g = batch.factors[b] if has_gradient and not np.isnan(batch.log_z[b]) else 0.0
        positions = group.positions[r, : group.lengths[r]]
        batch.scores[b] = _follow_path(batch, b, positions, weights, g, counts)


@_kernel
def scaled_rows(chunks: Chunks, batch: Batch, weights: Weights, order: Ints, all_counts: Counts) -> None:
    """Write the batch's results, and add to the counts; log_z is NaN for rows left to :func:`log_rows`.
    ``order`` (B,) are the rows, the longest first."""
    first, step, size = chunks
    B, T, _ = batch.emissions.shape
    size_of_alphas = ((T + BLOCK) * min(B, ROWS), weights.forward.shape[0])
    lengths, positions = np.empty(ROWS, np.int64), np.empty((ROWS, T), np.int64)
    alphas, sums = np.zeros(size_of_alphas), np.zeros(size_of_alphas)
    start, products, direct, end = all_counts
    for chunk in range(first, -(-B // size), step):
        own = chunk if batch.factors.shape[0] > 0 else 0
        counts = Counts(start[own], products[own], direct[own], end[own])
        for begin in range(chunk * size, min(B, (chunk + 1) * size), ROWS):
            rows = order[begin : begin + ROWS]
            R = rows.shape[0]
            _sum_group(batch, Group(rows, lengths[:R], positions[:R], alphas, sums), weights, counts)


@_inlined
def _log_step(alpha: Floats, transitions: Floats, tops: Floats, totals: Floats) -> None:
    """tops_j = max_i alpha_i + transitions_ij, totals_j = sum_i exp(alpha_i + transitions_ij - tops_j)."""
    K, N = transitions.shape
    tops[:] = NEG_INF
    totals[:] = 0.0
    for i in range(K):
        for j in range(N):
            score = alpha[i] + transitions[i, j]
            tops[j] = score if score > tops[j] else tops[j]
    for j in range(N):
        tops[j] = 0.0 if tops[j] == NEG_INF else tops[j]
    for i in range(K):
        for j in range(N):
            totals[j] += _exp(alpha[i] + transitions[i, j] - tops[j])


@_inlined
def _log_forward(emissions: Reals, positions: Ints, weights: Weights, alphas: Floats) -> float:
    """log Z of a row; write its alphas (T, K) as logarithms, relative to each position's greatest (eq. 4)."""
    K, length = emissions.shape[1], positions.shape[0]
    tops, totals = np.empty(K), np.empty(K)
    log_z = 0.0
    for n in range(length):
        alpha = alphas[positions[n]]
        if n > 0:
            _log_step(alphas[positions[n - 1]], weights.transitions, tops, totals)
        top = NEG_INF
        for j in range(K):
            alpha[j] = tops[j] + math.log(totals[j]) if n > 0 else weights.start[j]
            alpha[j] += emissions[positions[n], j]
            top = alpha[j] if alpha[j] > top else top
        top = 0.0 if top == NEG_INF else top
        for j in range(K):
            alpha[j] -= top
        log_z += top
    if length > 0:
        _log_step(alphas[positions[length - 1]], weights.end.reshape((K, 1)), tops[:1], totals[:1])
        log_z += tops[0] + math.log(totals[0])
    return log_z


@_inlined
def _log_backward(
    g: float, positions: Ints, weights: Weights, alphas: Floats, d_emissions: Reals, counts: Counts
) -> None:
    """:func:`_backward` for a row in the log semiring, times g."""
    K, length = d_emissions.shape[1], positions.shape[0]
    tops, totals, marginal, ratios = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    for n in range(length - 1, -1, -1):
        alpha = alphas[positions[n]]
        if n == length - 1:
            _log_step(alpha, weights.end.reshape((K, 1)), tops[:1], totals[:1])
            for k in range(K):
                marginal[k] = g * (_exp(alpha[k] + weights.end[k] - tops[0]) / totals[0])
                counts.end[k] += marginal[k]
        else:
            _log_step(alpha, weights.transitions, tops, totals)
            for j in range(K):
                ratios[j] = marginal[j] / totals[j] if totals[j] != 0.0 else 0.0
            for i in range(K):
                total = 0.0
                for j in range(K):
                    pair = ratios[j] * _exp(alpha[i] + weights.transitions[i, j] - tops[j])
                    counts.direct[i, j] += pair
                    total += pair
                marginal[i] = total
        for k in range(K):
            d_emissions[positions[n], k] = marginal[k]
            counts.start[k] += marginal[k] if n == 0 else 0.0


@_kernel
def log_rows(chunks: Chunks, batch: Batch, weights: Weights, alphas: Floats, all_counts: Counts) -> None:
    """Write a batch's results by the log semiring, and the alphas (B, T, K) as logarithms."""
    first, step, size = chunks
    B = batch.emissions.shape[0]
    start, products, direct, end = all_counts
    for chunk in range(first, -(-B // size), step):
        for b in range(chunk * size, min(B, (chunk + 1) * size)):
            alphas[b] = 0.0
            positions = np.flatnonzero(batch.mask[b])
            log_z = _log_forward(batch.emissions[b], positions, weights, alphas[b])
            batch.log_z[b] = log_z
            if batch.factors.shape[0] > 0:
                batch.d_emissions[b] = 0.0
                counts = Counts(start[chunk], products[chunk], direct[chunk], end[chunk])
                if log_z != NEG_INF:
                    g = np.nan if np.isnan(log_z) else batch.factors[b]
                    share = -g if batch.tags.shape[0] > 0 else g
                    _log_backward(share, positions, weights, alphas[b], batch.d_emissions[b], counts)
                    if batch.tags.shape[0] > 0:
                        _follow_path(batch, b, positions, weights, g, counts)
