"""The chain on the CPU by Numba: rows in fixed chunks, spread over Python threads.

No ``parallel=True`` and no OpenMP: a forked child (a DataLoader's worker) can use it. The chunks depend on
the batch alone and their gradients are added up in their order, so results do not depend on the number of
threads. All sums are in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pybert_crf.crf import numba_paths, numba_sums
from pybert_crf.crf.checks import check_tags
from pybert_crf.crf.numba_scaled import LEAST_DOUBLE, LEAST_FLOAT
from pybert_crf.crf.numba_weights import weigh
from pybert_crf.crf.threads import run_in_threads

_CHUNKS = 16
_WORTH_A_THREAD = 1 << 19  # operations below which handing work to another thread takes longer than doing it

_Pair = tuple[Tensor, Tensor]
_Triple = tuple[Tensor, Tensor, Tensor]
_NO_TAGS = np.zeros((0, 0), dtype=np.int64)


def log_partition(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """log Z and what :func:`gradient` needs; see :func:`pybert_crf.crf.native.log_partition`."""
    _, log_z, alphas = _forward(_NO_TAGS, emissions, mask, start, transitions, end)
    return log_z, alphas


def log_likelihood(
    tags: Tensor, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> _Triple:
    """The scores of paths less log Z; see :func:`pybert_crf.crf.native.log_likelihood`."""
    given = _array(tags)
    if numba_sums.find_wrong_tag(given, _array(mask), emissions.shape[2]) >= 0:
        check_tags(tags, mask, emissions.shape[2])  # says which
    return _forward(given, emissions, mask, start, transitions, end)


def gradient(
    grad: Tensor,
    tags: Tensor | None,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    messages: Tensor,
    log_z: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradient of the sum of grad times log Z or times the likelihoods; see
    :func:`pybert_crf.crf.native.gradient`."""
    weights = weigh(_array(start), _array(transitions), _array(end))
    alphas = _array(messages)
    B, _, K = alphas.shape
    P = weights.forward.shape[0]
    chunks = -(-B // _rows_in_a_chunk(B))
    d_emissions = np.empty_like(alphas)
    d_start, d_end = np.zeros((chunks, K)), np.zeros((chunks, K))
    d_products, d_direct = np.zeros((chunks, P, P)), np.zeros((chunks, K, K))
    _run(
        numba_sums.gradient_rows,
        4 * alphas.size * K,
        B,
        _array(grad.to(torch.float64)),
        _NO_TAGS if tags is None else _array(tags),
        _array(mask),
        weights,
        alphas,
        _array(log_z),
        d_emissions,
        d_start,
        d_products,
        d_direct,
        d_end,
    )
    d_transitions = weights.forward[:K, :K] * d_products.sum(axis=0)[:K, :K] + d_direct.sum(axis=0)
    return (
        torch.from_numpy(d_emissions),
        _like(d_start.sum(axis=0), emissions),
        _like(d_transitions, emissions),
        _like(d_end.sum(axis=0), emissions),
    )


def value_and_gradient(
    grad: Tensor,
    tags: Tensor | None,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Both at once; see :func:`pybert_crf.crf.native.value_and_gradient`."""
    chain = (emissions, mask, start, transitions, end)
    if tags is None:
        log_z, messages = log_partition(*chain)
        value = log_z
    else:
        value, log_z, messages = log_likelihood(tags, *chain)
    return value, *gradient(grad, tags, *chain, messages, log_z)


def viterbi(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """The best paths and their scores; see :func:`pybert_crf.crf.native.viterbi`."""
    scores = _array(emissions)
    parameters = tuple(_array(part.to(torch.float64)) for part in (start, transitions, end))
    table = numba_paths.padded(parameters[1])
    tags = np.empty(mask.shape, dtype=np.int64)
    best = np.empty(mask.shape[0], dtype=scores.dtype)
    arguments = (scores, _array(mask), parameters[0], table, parameters[2], tags, best)
    _run(numba_paths.viterbi_rows, scores.size * scores.shape[2], len(scores), *arguments)
    return torch.from_numpy(tags), torch.from_numpy(best)


def k_best(k: int, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """The k best paths and their scores; see :func:`pybert_crf.crf.native.k_best`."""
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    scores = _array(emissions)
    parameters = tuple(_array(part.to(torch.float64)) for part in (start, transitions, end))
    tags = np.empty((k, *mask.shape), dtype=np.int64)
    best = np.empty((k, mask.shape[0]), dtype=scores.dtype)
    work = scores.size * scores.shape[2] * k
    _run(numba_paths.k_best_rows, work, len(scores), scores, _array(mask), *parameters, tags, best)
    return torch.from_numpy(tags), torch.from_numpy(best)


def log_alphas(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> Tensor:
    """The log-scores of prefixes; see :func:`pybert_crf.crf.native.log_alphas`."""
    scores = _array(emissions)
    weights = weigh(_array(start), _array(transitions), _array(end))
    alphas = np.empty_like(scores)
    work = scores.size * (scores.shape[2] + 16)
    _run(numba_sums.log_alpha_rows, work, len(scores), scores, _array(mask), weights, alphas)
    return torch.from_numpy(alphas)


def sample(
    uniforms: Tensor, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> Tensor:
    """Exact samples of the paths; see :func:`pybert_crf.crf.native.sample`."""
    scores, shares = _array(emissions), _array(uniforms)
    weights = weigh(_array(start), _array(transitions), _array(end))
    tags = np.empty(shares.shape, dtype=np.int64)
    work = scores.size * (scores.shape[2] + 16) + 16 * shares.size * scores.shape[2]
    _run(numba_paths.sample_rows, work, len(scores), shares, scores, _array(mask), weights, tags)
    return torch.from_numpy(tags)


def _forward(
    tags: NDArray[Any], emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> _Triple:
    scores = _array(emissions)
    weights = weigh(_array(start), _array(transitions), _array(end))
    least = LEAST_FLOAT if scores.dtype == np.float32 else LEAST_DOUBLE
    value, log_z = np.empty(len(scores), scores.dtype), np.empty(len(scores), scores.dtype)
    alphas = np.empty_like(scores)
    arguments = (scores, _array(mask), weights, least, tags, value, log_z, alphas)
    _run(numba_sums.forward_rows, 2 * scores.size * scores.shape[2], len(scores), *arguments)
    return torch.from_numpy(value), torch.from_numpy(log_z), torch.from_numpy(alphas)


def _run(kernel: Callable[..., None], work: int, batch: int, *arguments: Any) -> None:
    """Call ``kernel((first, step, size), *arguments)`` so that each chunk of rows is done once."""
    size = _rows_in_a_chunk(batch)
    threads = 1 if work < _WORTH_A_THREAD else min(torch.get_num_threads(), -(-batch // size))
    run_in_threads(lambda number: kernel((number, threads, size), *arguments), threads)


def _rows_in_a_chunk(batch: int) -> int:
    return max(1, -(-batch // _CHUNKS))


def _array(tensor: Tensor) -> NDArray[Any]:
    """A C-contiguous array of the tensor's own dtype."""
    return tensor.detach().contiguous().numpy()


def _like(array: NDArray[np.float64], emissions: Tensor) -> Tensor:
    return torch.from_numpy(array).to(emissions.dtype)
