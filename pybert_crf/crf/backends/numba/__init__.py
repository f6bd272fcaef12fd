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
from pybert_crf.crf.backends.numba.batches import CHUNKS, ROWS, run
from pybert_crf.crf.problem import Chain, check_tags


def log_partition(chain: Chain) -> Pair:
    _, log_z, messages, *_ = _sum(None, chain, None)
    return log_z, messages


def log_likelihood(tags: Tensor, chain: Chain) -> Triple:
    value, log_z, messages, *_ = _sum(tags, chain, None)
    return value, log_z, messages


def gradient(grad: Tensor, tags: Tensor | None, chain: Chain, messages: Tensor, log_z: Tensor) -> Gradients:
    return value_and_gradient(grad, tags, chain)[1:]


def value_and_gradient(grad: Tensor, tags: Tensor | None, chain: Chain) -> ValueAndGradients:
    value, _, _, d_emissions, d_start, d_transitions, d_end = _sum(tags, chain, grad)
    return value, d_emissions, d_start, d_transitions, d_end


def _sum(tags: Tensor | None, chain: Chain, grad: Tensor | None) -> list[Tensor]:
    """The value of :func:`value_and_gradient`, log Z, the messages and, if there is a grad, the gradients."""
    batch = _prepare(tags, chain, grad)
    chunks, operations = len(batch.d_start), batch.emissions.size * len(batch.start)
    longest_first = np.argsort(-batch.mask.sum(axis=1), kind="stable")
    run(sums.scaled_rows, chunks, operations, longest_first, batch)
    is_left = np.isnan(batch.log_z)
    if is_left.any():
        alphas = np.empty((is_left.sum(), *batch.emissions.shape[1:]))
        run(sums.log_rows, chunks, operations, np.flatnonzero(is_left), batch, alphas)
    if tags is not None and np.isnan(batch.values).any():  # a tag is out of range, or a score is NaN
        check_tags(tags, chain.mask, len(batch.start))
    counts = (part.sum(axis=0) for part in (batch.d_start, batch.d_transitions, batch.d_end))
    results = [batch.log_z if tags is None else batch.values, batch.log_z, ~is_left, batch.d_emissions]
    results += [] if grad is None else counts
    return [torch.from_numpy(part).to(chain.emissions.dtype) for part in results]


def _prepare(tags: Tensor | None, chain: Chain, grad: Tensor | None) -> sums.Batch:
    emissions, mask, *parameters = map(_array, chain)
    B, T, K = emissions.shape
    paths = np.empty((0, T), np.int64) if tags is None else _array(tags)
    factors = np.empty(0) if grad is None else _array(grad).astype(np.float64) * (1 if tags is None else -1)
    results = np.empty(B), np.full(B, np.nan), np.empty((len(factors), T, K), emissions.dtype)
    counts = [np.zeros((min(CHUNKS, -(-B // ROWS)), *part.shape)) for part in parameters]
    return sums.Batch._make([emissions, mask, *parameters, paths, factors, *results, *counts])


def viterbi(chain: Chain) -> Pair:
    tags, scores = k_best(1, chain, paths.viterbi_rows)
    return tags[0], scores[0]


def k_best(k: int, chain: Chain, kernel: Callable[..., None] = paths.k_best_rows) -> Pair:
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    problem = paths.Scores(*map(_array, chain))
    B, T, K = problem.emissions.shape
    tags, scores = np.empty((k, B, T), np.int64), np.empty((k, B), problem.emissions.dtype)
    run(kernel, B, problem.emissions.size * K * k, problem, tags, scores)
    return torch.from_numpy(tags), torch.from_numpy(scores)


def log_alphas(chain: Chain) -> Tensor:
    batch = _prepare(None, chain, None)
    alphas, rows = np.empty(batch.emissions.shape), np.arange(len(batch.mask))
    run(sums.log_rows, len(batch.d_start), alphas.size * len(batch.start), rows, batch, alphas)
    return torch.from_numpy(alphas).to(chain.emissions.dtype)


def sample(uniforms: Tensor, chain: Chain) -> Tensor:
    chain = chain.widened()
    alphas, tags = log_alphas(chain), np.empty(uniforms.shape, np.int64)
    scores = paths.Scores(*map(_array, chain._replace(emissions=alphas)))
    run(paths.sample_rows, len(alphas), tags.size * alphas.shape[2], _array(uniforms), scores, tags)
    return torch.from_numpy(tags)


def _array(tensor: Tensor) -> NDArray[Any]:
    """A C-contiguous array of the tensor's dtype; without a copy if the tensor is contiguous."""
    return tensor.detach().contiguous().numpy()
