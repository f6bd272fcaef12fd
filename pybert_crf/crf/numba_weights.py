"""The parameters as the Numba kernels take them: scores, and their exponentials in padded tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pybert_crf.crf.numba_compile import NEG_INF, Floats, Reals, compiled

# How far apart the finite scores of a kind may be for the scaled recursion: then no product of a prefix's
# weight (at least 2^-400), a transition's and an emission's underflows (docs/crf.md, eq. 14).
TRANSITION_SPREAD = 300 * np.log(2.0)
EMISSION_SPREAD = 200 * np.log(2.0)


class Weights(NamedTuple):
    """K tags, padded to P, a multiple of 4; padding weighs 0."""

    start: Floats  # (K,) scores
    transitions: Floats  # (K, K)
    end: Floats  # (K,)
    forward: Floats  # (P, P) exp(transitions - top), from row to column
    backward: Floats  # (P, P) the transpose
    start_weights: Floats  # (P,) exp(start - start_top)
    end_weights: Floats  # (P,)
    top: float  # the highest transition
    start_top: float
    end_top: float
    is_scalable: bool  # whether the scaled recursion may be tried
    is_broken: bool  # whether there is NaN among the transitions


@compiled
def highest(scores: Floats) -> float:
    """The highest of any number of scores, NaN left out; 0 if there is none above -inf."""
    top: float = NEG_INF
    for score in scores.flat:
        top = score if score > top else top
    return 0.0 if top == NEG_INF else top


@compiled
def _spread(scores: Floats) -> float:
    """How far the lowest finite score is below the highest; inf if any is NaN."""
    top: float = highest(scores)
    low: float = top
    for score in scores.flat:
        if np.isnan(score):
            return np.inf
        if score > NEG_INF:
            low = min(low, score)
    return top - low


@compiled
def weigh(start: Reals, transitions: Reals, end: Reals) -> Weights:
    """The weights of parameters (K,), (K, K), (K,)."""
    K = start.shape[0]
    P = (K + 3) // 4 * 4
    first, moves, last = start.astype(np.float64), transitions.astype(np.float64), end.astype(np.float64)
    top, start_top, end_top = highest(moves), highest(first), highest(last)
    forward, backward = np.zeros((P, P)), np.zeros((P, P))
    start_weights, end_weights = np.zeros(P), np.zeros(P)
    for i in range(K):
        start_weights[i] = np.exp(first[i] - start_top)
        end_weights[i] = np.exp(last[i] - end_top)
        for j in range(K):
            forward[i, j] = np.exp(moves[i, j] - top)
            backward[j, i] = forward[i, j]
    is_scalable = (
        _spread(moves) <= TRANSITION_SPREAD
        and _spread(first) <= EMISSION_SPREAD
        and _spread(last) <= EMISSION_SPREAD
    )
    return Weights(
        first,
        moves,
        last,
        forward,
        backward,
        start_weights,
        end_weights,
        top,
        start_top,
        end_top,
        is_scalable,
        bool(np.isnan(moves).any()),
    )
