"""The chain on the CPU by Numba: rows in fixed chunks, spread over Python threads.

No ``parallel=True`` and no OpenMP: a forked child (a DataLoader's worker) can use it. The chunks depend on
the batch alone and their gradients are added up in their order, so results do not depend on the number of
threads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pybert_crf.crf import numba_kernels, numba_viterbi
from pybert_crf.crf.threads import run_chunks

_CHUNKS = 16
_WORTH_A_THREAD = 1 << 18  # operations below which handing work to another thread takes longer than doing it


def log_partition(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> tuple[Tensor, Tensor]:
    """The forward algorithm; see :func:`pybert_crf.crf.reference.log_partition`."""
    scores, on = _double(emissions), mask.contiguous().numpy()
    weights, top, broken = _weights(transitions)
    parameters = (_double(start), _double(transitions), _double(end))
    log_z = np.empty(len(scores))
    alphas = np.empty_like(scores)

    def work(chunk: int, rows: tuple[int, int]) -> None:
        numba_kernels.forward(rows, scores, on, *parameters, weights, top, broken, log_z, alphas)

    _run(work, scores.shape)
    return _like(log_z, emissions), _like(alphas, emissions)


def log_partition_backward(
    grad: Tensor,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    alphas: Tensor,
    log_z: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradient of log Z; see :func:`pybert_crf.crf.reference.log_partition_backward`."""
    relative, on = _double(alphas), mask.contiguous().numpy()
    weights, _, _ = _weights(transitions)
    inputs = (_double(grad), relative, on, _double(transitions), _double(end), weights, _double(log_z))
    d_emissions = np.empty_like(relative)
    B, _, K = relative.shape
    chunks = len(_chunks(B))
    d_start, d_end = np.zeros((chunks, K)), np.zeros((chunks, K))
    d_products, d_direct = np.zeros((chunks, K, K)), np.zeros((chunks, K, K))

    def work(chunk: int, rows: tuple[int, int]) -> None:
        parts = (d_start[chunk], d_products[chunk], d_direct[chunk], d_end[chunk])
        numba_kernels.backward(rows, *inputs, d_emissions, *parts)

    _run(work, relative.shape)
    d_transitions = weights * d_products.sum(axis=0) + d_direct.sum(axis=0)
    return (
        _like(d_emissions, emissions),
        _like(d_start.sum(axis=0), emissions),
        _like(d_transitions, emissions),
        _like(d_end.sum(axis=0), emissions),
    )


def viterbi(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> tuple[Tensor, Tensor]:
    """The best paths; see :func:`pybert_crf.crf.reference.viterbi`."""
    scores, on = _double(emissions), mask.contiguous().numpy()
    parameters = (_double(start), _double(transitions), _double(end))
    broken = bool(np.isnan(parameters[1]).any())
    tags = np.empty(on.shape, dtype=np.int64)
    best = np.empty(len(scores))

    def work(chunk: int, rows: tuple[int, int]) -> None:
        numba_viterbi.viterbi(rows, scores, on, *parameters, broken, tags, best)

    _run(work, scores.shape)
    return torch.from_numpy(tags), _like(best, emissions)


def _run(work: Callable[[int, tuple[int, int]], None], shape: tuple[int, ...]) -> None:
    """Call ``work(chunk, rows)`` for each chunk of a batch of ``shape`` (B, T, K), on torch's threads."""
    B, T, K = shape
    chunks = _chunks(B)
    threads = 1 if B * T * K * K < _WORTH_A_THREAD else torch.get_num_threads()
    run_chunks(lambda chunk: work(chunk, chunks[chunk]), len(chunks), threads)


def _chunks(batch: int) -> list[tuple[int, int]]:
    """The rows from, to of each chunk."""
    size = -(-batch // _CHUNKS)
    return [(first, min(first + size, batch)) for first in range(0, batch, size or 1)]


def _weights(transitions: Tensor) -> tuple[NDArray[np.float64], float, bool]:
    """exp(transitions - top) (K, K), top: the highest of them, and whether there is NaN among them."""
    values = _double(transitions)
    top = float(values.max())
    if top == -np.inf:
        top = 0.0
    return np.exp(values - top), top, bool(np.isnan(top))


def _double(tensor: Tensor) -> NDArray[np.float64]:
    """A C-contiguous float64 array: one dtype and memory layout, so that each kernel is compiled once."""
    return tensor.detach().to(torch.float64).contiguous().numpy()


def _like(array: NDArray[np.float64], emissions: Tensor) -> Tensor:
    return torch.from_numpy(array).to(emissions.dtype)
