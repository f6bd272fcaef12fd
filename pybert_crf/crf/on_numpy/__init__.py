"""The CRF on NumPy arrays, by the compiled kernels. torch is not needed and not imported.

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
  one row: results then have no axis for rows. float16 is computed in float32.
- ``transitions``: (K, K), the score of going from the row's tag to the column's.
- ``start``, ``end``: (K,), scores of the first tag and the last; None for zeros.
- ``mask``: (B, T) or (T,), nonzero is on; None for all on. The chain of a row is the sequence of its unmasked
  positions, in order: gaps, left padding and rows with nothing unmasked are legal, and values at masked
  positions are never read.
- ``threads``: the greatest number of threads; None for one per processor that this process may use. Results
  do not depend on it, bit for bit.

A score of -inf forbids, in any of them: ``np.where(allowed, emissions, -np.inf)`` restricts the tags of each
position. Results are computed and returned in the widest dtype among the scores. NaN in a row makes its
results NaN.

Raises ImportError if the extension has not been built, and ValueError if a shape or dtype does not fit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pybert_crf.crf.on_numpy.arrays import Array, ArrayChain

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
    chain = ArrayChain.of(emissions, transitions, start, end, mask, threads)
    return chain.as_given(chain.forward(None))


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
        ValueError: an unmasked tag is out of range; names it and its position.
    """
    chain = ArrayChain.of(emissions, transitions, start, end, mask, threads)
    return chain.as_given(chain.forward(chain.paths(tags)))


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
    """The log-likelihood of ``tags``, or log Z without tags, and the gradient of its sum over rows.

    Args:
        tags: (B, T), as for :func:`log_likelihood`.
        weights: (B,) the weight of each row in that sum; None for ones.

    Returns:
        The value (B,), and the gradient of ``(weights * value).sum()``. That of log Z is the expected counts
        of tags and of pairs of tags, that of the log-likelihood the path's own counts minus those. A row with
        no legal path adds 0.
    """
    chain = ArrayChain.of(emissions, transitions, start, end, mask, threads)
    paths = None if tags is None else chain.paths(tags)
    value, d_emissions, *d_parameters = chain.value_and_gradient(paths, weights)
    return chain.as_given(value), Gradient(chain.as_given(d_emissions), *d_parameters)


def marginals(
    emissions: ArrayLike,
    transitions: ArrayLike,
    *,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> Array:
    """The posterior probabilities (B, T, K) of the tags; 0 where masked or if no path is legal."""
    chain = ArrayChain.of(emissions, transitions, start, end, mask, threads)
    return chain.as_given(chain.value_and_gradient(None)[1])


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

    Of equal paths the one with the lowest tags comes first, compared from the last position backwards.

    Returns:
        tags (B, T) int64, -1 where masked, and scores (B,); for k > 1 (k, B, T) and (k, B), with k cut to
        the K**T paths that there are. A row with nothing unmasked has one path, which scores 0. Beyond the
        number of legal paths scores are -inf, and tags are -1 for k > 1 and unspecified (but in range) for
        k = 1. NaN or +inf in a row makes its scores NaN.
    """
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    chain = ArrayChain.of(emissions, transitions, start, end, mask, threads)
    tags, scores = chain.best() if k == 1 else chain.k_best(k)
    return chain.as_given(tags, axis=-2), chain.as_given(scores, axis=-1)


def decode(
    emissions: ArrayLike,
    transitions: ArrayLike,
    *,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
) -> list[list[int]] | list[int]:
    """The best tags of each row as lists, one tag per unmasked position; for emissions (T, K) one list.

    Raises:
        ValueError: a row has no legal path, or NaN or +inf in its scores; names the row.
    """
    chain = ArrayChain.of(emissions, transitions, start, end, mask, threads)
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
        rng: the source of randomness: a generator, a seed for one, or None for a new one.

    Returns:
        tags (n, B, T) int64; -1 where masked, and in a row with no legal path.
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    chain = ArrayChain.of(emissions, transitions, start, end, mask, threads)
    uniforms = np.random.default_rng(rng).random((n, *chain.mask.shape))
    return chain.as_given(chain.sample(uniforms), axis=1)
