"""The Viterbi loop for Numba; arguments as in ``numba_kernels``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pybert_crf.crf.numba_kernels import NEG_INF, Flags, Floats, Rows, compiled

Tags = NDArray[np.int64]


@compiled
def viterbi(
    rows: Rows,
    emissions: Floats,
    mask: Flags,
    start: Floats,
    transitions: Floats,
    end: Floats,
    broken: bool,
    tags: Tags,
    scores: Floats,
) -> None:
    """Write the best tags (B, T) int64, -1 where masked, and their scores (B,) of ``rows`` = (from, to)."""
    T, K = emissions.shape[1:]
    best, incoming = np.empty(K), np.empty(K)
    came_from = np.empty((T, K), dtype=np.int32)
    for b in range(rows[0], rows[1]):
        count = 0
        offset = 0.0
        nan = False
        for t in range(T):
            if not mask[b, t]:
                continue
            if count == 0:
                incoming[:] = start
            else:
                nan |= broken
                previous = came_from[t]
                previous[:] = 0
                incoming[:] = NEG_INF
                for i in range(K):
                    for j in range(K):
                        score = best[i] + transitions[i, j]
                        better = score > incoming[j]  # strictly: the lowest tag wins
                        incoming[j] = score if better else incoming[j]
                        previous[j] = i if better else previous[j]
            count += 1
            shift = NEG_INF
            for j in range(K):
                best[j] = incoming[j] + emissions[b, t, j]
                nan |= np.isnan(best[j])
                shift = max(shift, best[j])
            if shift == NEG_INF:
                shift = 0.0
            for j in range(K):
                best[j] -= shift
            offset += shift
        tag = 0
        for j in range(K):
            best[j] += end[j]
            nan |= count > 0 and np.isnan(best[j])
            if best[j] > best[tag]:
                tag = j
        scores[b] = 0.0 if count == 0 else np.nan if nan else offset + best[tag]
        for t in range(T - 1, -1, -1):
            if not mask[b, t]:
                tags[b, t] = -1
                continue
            tags[b, t] = tag
            count -= 1
            if count > 0:
                tag = came_from[t, tag]
