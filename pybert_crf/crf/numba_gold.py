"""The given path of a row, for Numba: its score, and what it counts in the gradient."""

from __future__ import annotations

from typing import NamedTuple

from pybert_crf.crf.numba_compile import Pointer, compiled_lanes
from pybert_crf.crf.numba_counts import Counts


class Parameters(NamedTuple):
    """The scores themselves."""

    start: Pointer  # (K,)
    transitions: Pointer  # (K, K)
    end: Pointer  # (K,)


@compiled_lanes
def score_path(
    emissions: Pointer, positions: Pointer, length: int, tags: Pointer, K: int, parameters: Parameters
) -> float:
    """The score of a path (docs/crf.md, eq. 1)."""
    score = 0.0
    before = -1
    for n in range(length):
        t = positions[n]
        tag = tags[t]
        score += emissions[t * K + tag]
        score += parameters.transitions[before * K + tag] if n > 0 else parameters.start[tag]
        before = tag
    return score + parameters.end[before] if length > 0 else score


@compiled_lanes
def has_wrong_tag(positions: Pointer, length: int, tags: Pointer, K: int) -> bool:
    for n in range(length):  # noqa: SIM110 (Numba has no any())
        if tags[positions[n]] < 0 or tags[positions[n]] >= K:
            return True
    return False


@compiled_lanes
def count_path(
    g: float, positions: Pointer, length: int, tags: Pointer, K: int, d_emissions: Pointer, counts: Counts
) -> None:
    """Add g for each time that the path uses a score."""
    before = -1
    for n in range(length):
        t = positions[n]
        tag = tags[t]
        d_emissions[t * K + tag] += g
        if n > 0:
            counts.direct[before * K + tag] += g
        else:
            counts.start[tag] += g
        before = tag
    if length > 0:
        counts.end[before] += g
