"""The forward-backward loops for Numba: each works through a range of rows, without the GIL, in double
precision.

A step of the forward algorithm is a product of exponentials, ``sums_j = sum_i exp(alpha_i) W_ij`` with
``W_ij = exp(transitions_ij - top)``: K exps a step, not K². All factors are at most 1, and what a term loses
when a factor or the term itself underflows is less than 1e-307. So where ``sums_j >= FLOOR = 1e-200`` all
losses together are below K * 1e-107 of it, and the product is exact; a column with a smaller sum (its only
ways in are very unlikely, or forbidden) is summed again from the scores themselves. The choice is made per
column and step: forbidden transitions and wide scores are as exact as any others.

Common arguments, all C-contiguous and float64 but for the mask: emissions, alphas (B, T, K), mask (B, T)
bool, start, end (K,), transitions, weights (K, K). ``broken``: the transitions hold NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

FLOOR = 1e-200
NEG_INF = -np.inf

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = tuple[int, int]


def compiled(function: Callable[..., Any]) -> Any:
    """Compile at the first call; keep the machine code on disk where there is a place for it."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither the package's nor the user's cache folder can be written
        return numba.njit(nogil=True)(function)


@compiled
def _column_logsumexp(alpha: Floats, transitions: Floats, j: int) -> float:
    """log sum_i exp(alpha_i + transitions_ij), from the scores themselves."""
    top: float = NEG_INF
    for i in range(alpha.shape[0]):
        top = max(top, alpha[i] + transitions[i, j])
    if top == NEG_INF:
        return top
    total = 0.0
    for i in range(alpha.shape[0]):
        total += np.exp(alpha[i] + transitions[i, j] - top)
    return top + math.log(total)


@compiled
def _step_sums(alpha: Floats, weights: Floats, powers: Floats, sums: Floats) -> None:
    """powers_i = exp(alpha_i); sums_j = sum_i powers_i W_ij."""
    K = alpha.shape[0]
    sums[:] = 0.0
    for i in range(K):
        power = np.exp(alpha[i])
        powers[i] = power
        if power != 0.0:
            for j in range(K):
                sums[j] += power * weights[i, j]


@compiled
def forward(
    rows: Rows,
    emissions: Floats,
    mask: Flags,
    start: Floats,
    transitions: Floats,
    end: Floats,
    weights: Floats,
    top: float,
    broken: bool,
    log_z: Floats,
    alphas: Floats,
) -> None:
    """Write log_z (B,) and the alphas, each relative to its position's maximum, of ``rows`` = (from, to)."""
    T, K = emissions.shape[1:]
    alpha, incoming, powers, sums = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    for b in range(rows[0], rows[1]):
        count = 0
        offset = 0.0
        nan = False
        for t in range(T):
            if not mask[b, t]:
                alphas[b, t, :] = 0.0
                continue
            if count == 0:
                incoming[:] = start
            else:
                nan |= broken
                _step_sums(alpha, weights, powers, sums)
                for j in range(K):
                    if sums[j] >= FLOOR:
                        incoming[j] = np.log(sums[j]) + top
                    else:
                        incoming[j] = _column_logsumexp(alpha, transitions, j)
            count += 1
            shift = NEG_INF
            for j in range(K):
                alpha[j] = incoming[j] + emissions[b, t, j]
                nan |= np.isnan(alpha[j])
                shift = max(shift, alpha[j])
            if shift == NEG_INF:
                shift = 0.0
            for j in range(K):
                alpha[j] -= shift
                alphas[b, t, j] = alpha[j]
            offset += shift
        if count == 0:
            log_z[b] = 0.0
            continue
        total = 0.0
        highest = NEG_INF
        for j in range(K):
            alpha[j] += end[j]
            nan |= np.isnan(alpha[j])
            highest = max(highest, alpha[j])
        if highest > NEG_INF:
            for j in range(K):
                total += np.exp(alpha[j] - highest)
            highest += np.log(total)
        log_z[b] = offset + highest
        if nan:
            log_z[b] = np.nan


@compiled
def backward(
    rows: Rows,
    grad: Floats,
    alphas: Floats,
    mask: Flags,
    transitions: Floats,
    end: Floats,
    weights: Floats,
    log_z: Floats,
    d_emissions: Floats,
    d_start: Floats,
    d_products: Floats,
    d_direct: Floats,
    d_end: Floats,
) -> None:
    """Write d_emissions of ``rows`` = (from, to); add to d_start, d_end (K,) and to the two parts (K, K) of
    d_transitions = weights * d_products + d_direct. See ``reference.log_partition_backward`` for the
    equations."""
    T, K = alphas.shape[1:]
    alpha, powers, sums, joint = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    marginal, ratios = np.empty(K), np.empty(K)
    to_from = weights.T.copy()
    for b in range(rows[0], rows[1]):
        g = grad[b]
        if log_z[b] == NEG_INF:
            d_emissions[b] = 0.0
            continue
        if np.isnan(log_z[b]):
            g = np.nan
        count = 0
        for t in range(T - 1, -1, -1):
            if not mask[b, t]:
                d_emissions[b, t, :] = 0.0
                continue
            for i in range(K):
                alpha[i] = alphas[b, t, i]
            if count == 0:
                highest = NEG_INF
                for i in range(K):
                    alpha[i] += end[i]
                    highest = max(highest, alpha[i])
                for i in range(K):
                    joint[i] = np.exp(alpha[i] - highest)
            else:
                _step_sums(alpha, weights, powers, sums)
                joint[:] = 0.0
                for j in range(K):
                    ratios[j] = 0.0
                    if sums[j] >= FLOOR:
                        ratios[j] = marginal[j] / sums[j]
                        for i in range(K):
                            joint[i] += to_from[j, i] * ratios[j]
                for i in range(K):
                    joint[i] *= powers[i]
                    if powers[i] != 0.0:
                        for j in range(K):
                            d_products[i, j] += g * powers[i] * ratios[j]
                for j in range(K):
                    if marginal[j] > 0.0 and not sums[j] >= FLOOR:
                        normaliser = _column_logsumexp(alpha, transitions, j)
                        for i in range(K):
                            pair = marginal[j] * np.exp(alpha[i] + transitions[i, j] - normaliser)
                            joint[i] += pair
                            d_direct[i, j] += g * pair
            total = 0.0
            for i in range(K):
                total += joint[i]
            for i in range(K):
                marginal[i] = joint[i] / total
                d_emissions[b, t, i] = g * marginal[i]
                if count == 0:
                    d_end[i] += g * marginal[i]
            count += 1
        if count > 0:
            for i in range(K):
                d_start[i] += g * marginal[i]
            if np.isnan(g) and count > 1:
                d_direct[:] = np.nan
