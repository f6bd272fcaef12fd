"""One row of the chain in scaled probabilities, for Numba: no logarithm and no exponential in the recursion
but those of the emissions.

The alphas are weights, each relative to the greatest of its position (docs/crf.md, eq. 9, in one sweep). A
row is left to :mod:`pybert_crf.crf.numba_log` unless it is seen that nothing has underflowed: the scores of
a kind are close enough (:mod:`pybert_crf.crf.numba_weights`), those of each position's emissions too, and no
alpha but an exact 0 is below ``least``, so that all survive in the dtype in which they are kept.
"""

from __future__ import annotations

import math

import numpy as np

from pybert_crf.crf.numba_compile import NEG_INF, Flags, Floats, Reals, compiled
from pybert_crf.crf.numba_weights import EMISSION_SPREAD, Weights

LEAST_FLOAT = 2.0**-100  # of alphas kept in float32
LEAST_DOUBLE = 2.0**-400
_HUGE = 1e200  # where a product of scales becomes a logarithm


@compiled
def propagate(vector: Floats, table: Floats, sums: Floats) -> None:
    """sums_j = sum_i vector_i table_ij, four rows at a time; all of a length that is a multiple of 4."""
    P = sums.shape[0]
    sums[:] = 0.0
    for i in range(0, P, 4):
        a, b, c, d = vector[i], vector[i + 1], vector[i + 2], vector[i + 3]
        for j in range(P):
            sums[j] += (a * table[i, j] + b * table[i + 1, j]) + (c * table[i + 2, j] + d * table[i + 3, j])


@compiled
def forward_scaled(
    emissions: Reals, on: Flags, weights: Weights, least: float, alphas: Reals, alpha: Floats, sums: Floats
) -> float:
    """log Z of a row (T, K), its alphas (T, K) written; NaN where this cannot be trusted.

    ``alpha`` and ``sums`` (P,) are memory to work in, alpha's padding 0.
    """
    T, K = emissions.shape
    log_scale = 0.0
    scale = 1.0
    lowest = 0.0
    low = np.inf
    begun = False
    for t in range(T):
        if not on[t]:
            alphas[t, :] = 0.0
            continue
        top = emissions[t, 0]
        for j in range(1, K):
            top = emissions[t, j] if emissions[t, j] > top else top
        if begun:
            propagate(alpha, weights.forward, sums)
            log_scale += top + weights.top
        else:
            sums[:] = weights.start_weights
            log_scale += top + weights.start_top
            begun = True
        peak = 0.0
        for j in range(K):
            relative = np.float64(emissions[t, j]) - top
            lowest = min(lowest, relative if relative > NEG_INF else lowest)
            alpha[j] = sums[j] * np.exp(relative)
            peak = max(peak, alpha[j])
        for j in range(K):
            alpha[j] /= peak
            low = min(low, alpha[j] if alpha[j] > 0.0 else low)
            alphas[t, j] = alpha[j]
        scale *= peak
        if scale < 1.0 / _HUGE or scale > _HUGE:
            log_scale += math.log(scale)
            scale = 1.0
    if not begun:
        return 0.0
    total = 0.0
    for j in range(K):
        total += alpha[j] * weights.end_weights[j]
    if total > 0.0 and low >= least and lowest >= -EMISSION_SPREAD:
        return log_scale + math.log(scale) + math.log(total) + weights.end_top
    return np.nan


@compiled
def gradient_scaled(
    g: float,
    alphas: Reals,
    on: Flags,
    weights: Weights,
    d_emissions: Reals,
    d_start: Floats,
    d_products: Floats,
    d_end: Floats,
    memory: Floats,
) -> None:
    """Write d_emissions (T, K), add to the parameters' gradients: g times the probabilities.

    Those of the transitions are ``weights.forward * d_products`` (P, P). From the right (docs/crf.md, eq.
    20): P(y_t = i, y_{t+1} = j) = alpha_i W_ij P(y_{t+1} = j) / sum_i alpha_i W_ij. ``memory``: (11, P).
    """
    T, K = alphas.shape
    marginal, sums, reached = memory[0], memory[1], memory[2]
    kept, ratios = memory[3:7], memory[7:11]
    memory[:] = 0.0
    waiting = 0  # positions whose pairs are not yet counted
    begun = False
    for t in range(T - 1, -1, -1):
        if not on[t]:
            d_emissions[t, :] = 0.0
            continue
        alpha, ratio = kept[waiting], ratios[waiting]
        for i in range(K):
            alpha[i] = alphas[t, i]
        if begun:
            propagate(alpha, weights.forward, sums)
            for j in range(K):
                ratio[j] = marginal[j] / sums[j] if sums[j] > 0.0 else 0.0
            propagate(ratio, weights.backward, reached)
        else:
            reached[:] = weights.end_weights
        total = 0.0
        for i in range(K):
            marginal[i] = alpha[i] * reached[i]
            total += marginal[i]
        for i in range(K):
            marginal[i] /= total
            d_emissions[t, i] = g * marginal[i]
        if begun:
            for j in range(K):
                ratio[j] *= g
            waiting += 1
            if waiting == 4:
                _count_pairs(kept, ratios, d_products)
                waiting = 0
        else:
            begun = True
            for i in range(K):
                d_end[i] += g * marginal[i]
    if begun:
        for i in range(K):
            d_start[i] += g * marginal[i]
        kept[waiting:] = 0.0
        _count_pairs(kept, ratios, d_products)


@compiled
def _count_pairs(kept: Floats, ratios: Floats, d_products: Floats) -> None:
    """d_products_ij += the sum over four positions of kept_i ratios_j."""
    P = d_products.shape[0]
    for i in range(P):
        a, b, c, d = kept[0, i], kept[1, i], kept[2, i], kept[3, i]
        for j in range(P):
            d_products[i, j] += (a * ratios[0, j] + b * ratios[1, j]) + (c * ratios[2, j] + d * ratios[3, j])
