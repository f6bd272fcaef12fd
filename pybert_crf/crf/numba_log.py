"""One row of the chain in the log semiring, for Numba: exact for forbidden transitions and any scores.

A step of the forward algorithm is still a product of exponentials, ``sums_j = sum_i exp(alpha_i) W_ij`` with
``W_ij = exp(transitions_ij - top)``: K exps a step, not K². All factors are at most 1, and what a term loses
when a factor or the term itself underflows is less than 1e-307. So where ``sums_j >= FLOOR = 1e-200`` all
losses together are below K * 1e-107 of it, and the product is exact; a column with a smaller sum (its only
ways in are very unlikely, or forbidden) is summed again from the scores themselves. The choice is made per
column and step (docs/crf.md, eq. 18 and 19).
"""

from __future__ import annotations

import math

import numpy as np

from pybert_crf.crf.numba_compile import NEG_INF, Flags, Floats, Reals, compiled
from pybert_crf.crf.numba_weights import Weights, highest

FLOOR = 1e-200


@compiled
def _column_logsumexp(alpha: Floats, transitions: Floats, j: int) -> float:
    """log sum_i exp(alpha_i + transitions_ij), from the scores themselves."""
    K = transitions.shape[0]
    top: float = NEG_INF
    for i in range(K):
        score = alpha[i] + transitions[i, j]
        top = score if score > top else top
    if top == NEG_INF:
        return top
    total = 0.0
    for i in range(K):
        total += np.exp(alpha[i] + transitions[i, j] - top)
    return top + math.log(total)


@compiled
def _step_sums(alpha: Floats, weights: Weights, powers: Floats, sums: Floats) -> None:
    """powers_i = exp(alpha_i); sums_j = sum_i powers_i W_ij."""
    K = weights.start.shape[0]
    sums[:] = 0.0
    for i in range(K):
        power = np.exp(alpha[i])
        powers[i] = power
        if power != 0.0:
            for j in range(K):
                sums[j] += power * weights.forward[i, j]


@compiled
def forward_log(emissions: Reals, on: Flags, weights: Weights, alphas: Reals) -> float:
    """log Z of a row (T, K); its log-alphas (T, K) written, each relative to its position's maximum."""
    T, K = emissions.shape
    alpha, incoming, powers, sums = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    begun = False
    offset = 0.0
    nan = False
    for t in range(T):
        if not on[t]:
            alphas[t, :] = 0.0
            continue
        if begun:
            nan |= weights.is_broken
            _step_sums(alpha, weights, powers, sums)
            for j in range(K):
                if sums[j] >= FLOOR:
                    incoming[j] = np.log(sums[j]) + weights.top
                else:
                    incoming[j] = _column_logsumexp(alpha, weights.transitions, j)
        else:
            incoming[:] = weights.start
        begun = True
        for j in range(K):
            alpha[j] = incoming[j] + emissions[t, j]
            nan |= np.isnan(alpha[j])
        shift = highest(alpha)
        for j in range(K):
            alpha[j] -= shift
            alphas[t, j] = alpha[j]
        offset += shift
    if not begun:
        return 0.0
    for j in range(K):
        alpha[j] += weights.end[j]
        nan |= np.isnan(alpha[j])
    if nan:
        return np.nan
    shift = highest(alpha)
    total = 0.0
    for j in range(K):
        total += np.exp(alpha[j] - shift)
    return offset + shift + math.log(total) if total > 0.0 else NEG_INF


@compiled
def gradient_log(
    g: float,
    alphas: Reals,
    on: Flags,
    weights: Weights,
    d_emissions: Reals,
    d_start: Floats,
    d_products: Floats,
    d_direct: Floats,
    d_end: Floats,
) -> None:
    """Write d_emissions (T, K), add to the parameters' gradients: g times the probabilities.

    Those of the transitions are ``weights.forward * d_products + d_direct`` (docs/crf.md, eq. 20).
    """
    T, K = alphas.shape
    alpha, powers, sums, joint = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    marginal, ratios = np.empty(K), np.empty(K)
    count = 0
    for t in range(T - 1, -1, -1):
        if not on[t]:
            d_emissions[t, :] = 0.0
            continue
        for i in range(K):
            alpha[i] = alphas[t, i]
        if count == 0:
            alpha += weights.end
            shift = highest(alpha)
            for i in range(K):
                joint[i] = np.exp(alpha[i] - shift)
        else:
            _step_sums(alpha, weights, powers, sums)
            joint[:] = 0.0
            for j in range(K):
                ratios[j] = marginal[j] / sums[j] if sums[j] >= FLOOR else 0.0
                for i in range(K):
                    joint[i] += weights.backward[j, i] * ratios[j]
            for i in range(K):
                joint[i] *= powers[i]
                for j in range(K):
                    d_products[i, j] += g * (powers[i] * ratios[j])
            for j in range(K):
                if marginal[j] > 0.0 and not sums[j] >= FLOOR:
                    normaliser = _column_logsumexp(alpha, weights.transitions, j)
                    for i in range(K):
                        pair = marginal[j] * np.exp(alpha[i] + weights.transitions[i, j] - normaliser)
                        joint[i] += pair
                        d_direct[i, j] += g * pair
        total = joint.sum()
        for i in range(K):
            marginal[i] = joint[i] / total
            d_emissions[t, i] = g * marginal[i]
            if count == 0:
                d_end[i] += g * marginal[i]
        count += 1
    if count > 0:
        for i in range(K):
            d_start[i] += g * marginal[i]
        if np.isnan(g) and count > 1:
            d_direct[:] = np.nan
