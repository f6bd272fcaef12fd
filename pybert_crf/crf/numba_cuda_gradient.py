"""The gradient on a GPU, for Numba: expected counts, by conditionals from the right (docs/crf.md, eq. 20).

Nothing is added up by atomic operations: every sum has its order, so the same call gives the same bits.
"""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float64

from pybert_crf.crf.numba_compile import NEG_INF
from pybert_crf.crf.numba_cuda_launch import device_function, kernel
from pybert_crf.crf.numba_cuda_sums import column_rest, column_sum, column_top, highest
from pybert_crf.crf.numba_log import FLOOR

Array = Any  # on the device


@kernel
def marginal_rows(
    grad: Array,
    has_tags: bool,
    tags: Array,
    mask: Array,
    transitions: Array,
    end: Array,
    table: Array,
    backward: Array,
    alphas: Array,
    log_z: Array,
    d_emissions: Array,
    d_ends: Array,
    powers: Array,
    ratios: Array,
) -> None:
    """Write d_emissions (B, T, K), each row's gradient of start and end d_ends (B, 2, K), and for
    :func:`count_pairs` of each unmasked position but the row's last powers and ratios (B, T, K).

    A block a row, a thread a tag. Given the next tag j, P(y_t = i | j) = power_i table_ij / s_j; a ratio is
    P(y_{t+1} = j) / s_j. Where s_j is too small the conditional is made from the scores themselves, relative
    to the greatest of the column; the ratio then stands with a minus. ``backward``: the table's transpose.
    ``powers`` hold the row's factor too. Shared: 5 K.
    """
    b, j = cuda.blockIdx.x, cuda.threadIdx.x
    T, K = alphas.shape[1], alphas.shape[2]
    memory = cuda.shared.array(0, float64)
    alpha, power, ratio = memory[:K], memory[K : 2 * K], memory[2 * K : 3 * K]
    tops, joint = memory[3 * K : 4 * K], memory[4 * K : 5 * K]
    factor = row_factor(grad, log_z, b)
    share = -factor if has_tags else factor
    marginal, d_emission, d_end = 0.0, 0.0, 0.0
    begun = False
    for t in range(T - 1, -1, -1):
        if log_z[b] == NEG_INF or not mask[b, t]:
            d_emissions[b, t, j] = 0.0
            continue
        own = alphas[b, t, j]
        alpha[j] = own if begun else own + end[j]
        power[j] = math.exp(own)
        cuda.syncthreads()
        if begun:
            total = column_sum(power, table, j)
            if total >= FLOOR:
                ratio[j] = marginal / total
            elif marginal > 0.0:
                tops[j] = column_top(alpha, transitions, j)
                ratio[j] = -marginal / column_rest(alpha, transitions, j, tops[j])
            else:
                ratio[j] = 0.0
            powers[b, t, j], ratios[b, t, j] = share * power[j], ratio[j]
            cuda.syncthreads()
            joint[j] = _joint(own, power[j], ratio, tops, transitions, backward, j)
        else:
            joint[j] = math.exp(alpha[j] - highest(alpha))
        cuda.syncthreads()
        total = 0.0
        for i in range(K):
            total += joint[i]
        marginal = joint[j] / total
        d_emission = share * marginal
        if has_tags and tags[b, t] == j:
            d_emission += factor
        d_emissions[b, t, j] = d_emission
        d_end = d_end if begun else d_emission
        begun = True
    d_ends[b, 0, j], d_ends[b, 1, j] = d_emission, d_end


@device_function
def row_factor(grad: Array, log_z: Array, b: int) -> float:
    """What a row's probabilities are multiplied by."""
    if log_z[b] == NEG_INF:
        return 0.0
    return math.nan if math.isnan(log_z[b]) else float64(grad[b])


@device_function
def _joint(
    own: float, power: float, ratio: Array, tops: Array, transitions: Array, backward: Array, i: int
) -> float:
    """sum_j P(y_t = i, y_{t+1} = j)."""
    product, direct = 0.0, 0.0
    for j in range(ratio.shape[0]):
        if ratio[j] < 0.0:
            direct -= math.exp(own + transitions[i, j] - tops[j]) * ratio[j]
        else:
            product += backward[j, i] * ratio[j]
    return power * product + direct


@kernel
def count_pairs(
    grad: Array,
    has_tags: bool,
    tags: Array,
    mask: Array,
    transitions: Array,
    table: Array,
    alphas: Array,
    log_z: Array,
    powers: Array,
    ratios: Array,
    counts: Array,
) -> None:
    """Write the transitions' gradient, from each chunk of rows: counts (chunks, K, K).

    Block (i, chunk) takes rows chunk, chunk + chunks, ...; its thread j the pair of tags i, j. ``powers`` and
    ``ratios``: of :func:`marginal_rows`.
    """
    i, chunk, j = cuda.blockIdx.x, cuda.blockIdx.y, cuda.threadIdx.x
    B, T = mask.shape
    product, direct = 0.0, 0.0
    for b in range(chunk, B, counts.shape[0]):
        if log_z[b] == NEG_INF:
            continue
        factor = row_factor(grad, log_z, b)
        share = -factor if has_tags else factor
        begun, following = False, -1
        for t in range(T - 1, -1, -1):
            if not mask[b, t]:
                continue
            if begun:
                ratio = ratios[b, t, j]
                if ratio < 0.0:
                    top = column_top(alphas[b, t], transitions, j)
                    pair = math.exp(alphas[b, t, i] + transitions[i, j] - top) * -ratio
                    direct += share * pair
                else:
                    product += powers[b, t, i] * ratio
                if has_tags and tags[b, t] == i and following == j:
                    direct += factor
            if has_tags:
                following = tags[b, t]
            begun = True
    counts[chunk, i, j] = table[i, j] * product + direct
