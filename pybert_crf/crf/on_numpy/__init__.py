"""The CRF on NumPy arrays, by the compiled kernels: torch is not needed, and not imported.

::

    import numpy as np
    from pybert_crf.crf import on_numpy as crf

    emissions = np.random.default_rng(0).normal(size=(2, 5, 3))   # 2 rows, 5 positions, 3 tags
    transitions = np.array([[0.0, 0.0, -np.inf],                  # tag 2 may not follow tag 0
                            [0.0, 0.0, 0.5],
                            [0.0, 0.0, 0.5]])
    tags, scores = crf.viterbi(emissions, transitions)
    crf.marginals(emissions, transitions).sum(axis=2)             # 1 everywhere
    crf.sample(emissions, transitions, n=10, rng=0)               # 10 paths of each row

The parameters of a trained :class:`pybert_crf.CRF` are its ``transitions.detach().numpy()`` and so on; a
saved tagger holds them in its ``model.safetensors``.

All functions take

- ``emissions``: (B, T, K) float32 or float64, B rows, T positions and K tags, of any strides; or (T, K) for
  one row, and then results have no axis for rows. float16 is computed in float32.
- ``transitions``: (K, K), the score of going from the row's tag to the column's.
- ``start``, ``end``: (K,), scores of the first tag and the last; None for zeros.
- ``mask``: (B, T) or (T,), nonzero is on; None for all on. The chain of a row is the sequence of its unmasked
  positions, in order: gaps, left padding and rows with nothing unmasked are legal, and what stands at masked
  positions is never read.
- ``threads``: how many to use at most; None for all the processors that this process may use. Results do not
  depend on it, bit for bit.

A score of -inf forbids, in any of them: ``np.where(allowed, emissions, -np.inf)`` for what each position may
be. All is computed in the widest dtype among the scores, and returned in it. NaN in a row makes its results
NaN.

Raises ImportError where the extension has not been built, and ValueError where a shape or dtype does not fit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pybert_crf.crf.on_numpy.arrays import Array, Chain

__all__ = [
    "Gradient",
    "decode",
    "log_likelihood",
    "log_partition",
    "marginals",
    "sample",
    "value_and_gradient",
    "viterbi",
]


class Gradient(NamedTuple):
    """The derivatives with respect to each of the scores, in their shapes."""

    emissions: Array  # (B, T, K) or (T, K); 0 where masked
    start: Array  # (K,)
    transitions: Array  # (K, K)
    end: Array  # (K,)


def log_partition(
    emissions: ArrayLike,
    transitions: ArrayLike,
    *,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> Array:
    """log Z (B,): the log of the sum over all paths of exp(score).

    0 for a row with nothing unmasked, -inf for one with no legal path.
    """
    chain = Chain.of(emissions, transitions, start, end, mask, threads)
    return chain.leave(chain.forward(None))


def log_likelihood(
    emissions: ArrayLike,
    tags: ArrayLike,
    transitions: ArrayLike,
    *,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> Array:
    """The log-probability (B,) of the paths ``tags``: their score minus log Z.

    Args:
        tags: (B, T) integers, 0..K-1 where unmasked; anything where masked.

    Returns:
        (B,); 0 for a row with nothing unmasked, -inf for one with no legal path.

    Raises:
        ValueError: a tag is out of range where unmasked; names it and its place.
    """
    chain = Chain.of(emissions, transitions, start, end, mask, threads)
    return chain.leave(chain.forward(chain.paths(tags)))


def value_and_gradient(
    emissions: ArrayLike,
    transitions: ArrayLike,
    tags: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Array, Gradient]:
    """The log-likelihood of ``tags``, or log Z where none are given, and the gradient of its sum over rows.

    Args:
        tags: (B, T), as for :func:`log_likelihood`.
        weights: (B,) the weight of each row in that sum; None for ones.

    Returns:
        The value (B,), and the gradient of ``(weights * value).sum()``: of log Z the expected counts of tags
        and of pairs of tags, of the log-likelihood what the path's own counts are beyond those. A row with no
        legal path adds 0.
    """
    chain = Chain.of(emissions, transitions, start, end, mask, threads)
    paths = None if tags is None else chain.paths(tags)
    value, d_emissions, *d_parameters = chain.value_and_gradient(paths, weights)
    return chain.leave(value), Gradient(chain.leave(d_emissions), *d_parameters)


def marginals(
    emissions: ArrayLike,
    transitions: ArrayLike,
    *,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> Array:
    """The posterior probabilities (B, T, K) of the tags; 0 where masked or where no path is legal."""
    chain = Chain.of(emissions, transitions, start, end, mask, threads)
    return chain.leave(chain.value_and_gradient(None)[1])


def viterbi(
    emissions: ArrayLike,
    transitions: ArrayLike,
    k: int = 1,
    *,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """The best path of each row and its score, or the k best, the best first.

    Among equal paths that with the lowest tags comes first, compared from the last position backwards.

    Returns:
        tags (B, T) int64, -1 where masked, and scores (B,); for k > 1 (k, B, T) and (k, B). A row with
        nothing unmasked has one path, which scores 0. Beyond the number of legal paths scores are -inf, and
        tags are -1 for k > 1 and mean nothing for k = 1. NaN in a row makes its score NaN for k = 1.
    """
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    chain = Chain.of(emissions, transitions, start, end, mask, threads)
    tags, scores = chain.best() if k == 1 else chain.k_best(k)
    return chain.leave(tags, axis=-2), chain.leave(scores, axis=-1)


def decode(
    emissions: ArrayLike,
    transitions: ArrayLike,
    *,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> list[list[int]] | list[int]:
    """The best tags of each row as lists, one tag an unmasked position; for emissions (T, K) one list.

    Raises:
        ValueError: a row has no legal path, or NaN in its scores; names the row.
    """
    chain = Chain.of(emissions, transitions, start, end, mask, threads)
    tags, scores = chain.best()
    chain.check_best(scores)
    paths: list[list[int]] = [row[on].tolist() for row, on in zip(tags, chain.mask, strict=True)]
    return paths[0] if chain.is_one_row else paths


def sample(
    emissions: ArrayLike,
    transitions: ArrayLike,
    n: int = 1,
    *,
    rng: np.random.Generator | int | None = None,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> Array:
    """n independent paths of each row, drawn with exactly their probabilities.

    Args:
        rng: where the randomness comes from: a generator, a seed for one, or None for a fresh one.

    Returns:
        tags (n, B, T) int64; -1 where masked, and in a row with no legal path.
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    chain = Chain.of(emissions, transitions, start, end, mask, threads)
    uniforms = np.random.default_rng(rng).random((n, *chain.mask.shape))
    return chain.leave(chain.sample(uniforms), axis=1)
