"""The chain on the CPU by Numba: the readable backend, for machines where the compiled one is missing.

The ``messages`` are (B,): 1 for rows that the scaled recursion served, 0 for those of the log semiring. The
gradient does the recursion again. Kernels are compiled at their first call, in some seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pybert_crf.crf.backends.base import Gradients, Pair, Triple, ValueAndGradients
from pybert_crf.crf.backends.numba import paths, sums
from pybert_crf.crf.backends.numba.batches import Floats, chunks_of, run
from pybert_crf.crf.problem import Chain, check_tags


def log_partition(chain: Chain) -> Pair:
    _, log_z, messages, *_ = _sum(None, chain, None)
    return log_z, messages


def log_likelihood(tags: Tensor, chain: Chain) -> Triple:
    value, log_z, messages, *_ = _sum(tags, chain, None)
    return value, log_z, messages


def gradient(grad: Tensor, tags: Tensor | None, chain: Chain, messages: Tensor, log_z: Tensor) -> Gradients:
    _, *gradients = value_and_gradient(grad, tags, chain)
    return gradients[0], gradients[1], gradients[2], gradients[3]


def value_and_gradient(grad: Tensor, tags: Tensor | None, chain: Chain) -> ValueAndGradients:
    value, _, _, d_emissions, d_start, d_transitions, d_end = _sum(tags, chain, grad)
    return value, d_emissions, d_start, d_transitions, d_end


def _sum(tags: Tensor | None, chain: Chain, grad: Tensor | None) -> list[Tensor]:
    """The value of :func:`value_and_gradient`, log Z, the messages and, if there is a grad, the gradients."""
    batch, weights = _prepare(tags, chain, grad)
    longest_first = np.argsort(-batch.mask.sum(axis=1), kind="stable")
    gradients = _run(sums.scaled_rows, batch, weights, longest_first)
    if np.isnan(batch.scores).any() and tags is not None:  # a tag is out of range, or a score is NaN
        check_tags(tags, chain.mask, batch.emissions.shape[2])
    left = np.isnan(batch.log_z)
    if left.any():
        rest = sums.Batch._make(part[left] if len(part) > 0 else part for part in batch)
        more = _run(sums.log_rows, rest, weights, np.empty(rest.emissions.shape))
        gradients = [part + other for part, other in zip(gradients, more, strict=True)]
        batch.log_z[left] = rest.log_z
        batch.d_emissions[left[: len(batch.d_emissions)]] = rest.d_emissions
    value = batch.log_z
    if tags is not None:
        legal = batch.log_z != -np.inf
        value = np.where(legal, batch.scores, -np.inf) - np.where(legal, batch.log_z, 0.0)
    results = [value, batch.log_z, ~left, batch.d_emissions, *gradients]
    return [torch.from_numpy(part.astype(batch.emissions.dtype, copy=False)) for part in results]


def _prepare(tags: Tensor | None, chain: Chain, grad: Tensor | None) -> tuple[sums.Batch, sums.Weights]:
    emissions, mask, *parameters = map(_array, chain)
    B, T, K = emissions.shape
    paths = np.empty((0, T), np.int64) if tags is None else _array(tags)
    factors = np.empty(0) if grad is None else _array(grad).astype(np.float64)
    d_emissions = np.empty((len(factors), T, K), emissions.dtype)
    batch = sums.Batch(emissions, mask, paths, factors, np.zeros(B), np.empty(B), d_emissions)
    return batch, sums.weigh(*parameters)


def _run(
    kernel: Callable[..., None], batch: sums.Batch, weights: sums.Weights, more: NDArray[Any]
) -> list[Floats]:
    """Run a kernel; return the gradients of start, transitions and end: the chunks', added in their order."""
    chunks, P, K = max(1, chunks_of(len(batch.factors))[0]), len(weights.forward), len(weights.start)
    counts = sums.Counts(*(np.zeros((chunks, *size)) for size in ((P,), (P, P), (P, P), (P,))))
    run(kernel, len(batch.mask), batch.emissions.size * K, batch, weights, more, counts)
    start, products, direct, end = (part.sum(axis=0) for part in counts)
    return [start[:K], weights.forward[:K, :K] * products[:K, :K] + direct[:K, :K], end[:K]]


def viterbi(chain: Chain) -> Pair:
    tags, scores = k_best(1, chain, paths.viterbi_rows)
    return tags[0], scores[0]


def k_best(k: int, chain: Chain, kernel: Callable[..., None] = paths.k_best_rows) -> Pair:
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    emissions, mask, *parameters = map(_array, chain)
    B, T, K = emissions.shape
    tags, scores = np.empty((k, B, T), np.int64), np.empty((k, B), emissions.dtype)
    run(kernel, B, emissions.size * K * k, emissions, mask, paths.pad(*parameters), tags, scores)
    return torch.from_numpy(tags), torch.from_numpy(scores)


def log_alphas(chain: Chain) -> Tensor:
    return torch.from_numpy(_log_alphas(chain)).to(chain.emissions.dtype)


def _log_alphas(chain: Chain) -> Floats:
    batch, weights = _prepare(None, chain, None)
    alphas = np.empty(batch.emissions.shape)
    _run(sums.log_rows, batch, weights, alphas)
    return alphas


def sample(uniforms: Tensor, chain: Chain) -> Tensor:
    _, mask, *parameters = map(_array, chain)
    tags, alphas = np.empty(uniforms.shape, np.int64), _log_alphas(chain)
    arguments = (_array(uniforms), mask, paths.pad(*parameters), alphas, tags)
    run(paths.sample_rows, len(mask), tags.size * alphas.shape[2], *arguments)
    return torch.from_numpy(tags)


def _array(tensor: Tensor) -> NDArray[Any]:
    """A C-contiguous array of the tensor's dtype; without a copy if the tensor is contiguous."""
    return tensor.detach().contiguous().numpy()
