"""What the Numba backend does on arrays, not on lanes: rows that need the log semiring, the k best paths,
samples.

Rows go in fixed chunks, spread over Python threads; the chunks depend on the batch alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pybert_crf.crf import numba_paths, numba_safe
from pybert_crf.crf.numba_weights import weigh
from pybert_crf.crf.threads import run_in_threads

_CHUNKS = 16
WORTH_A_THREAD = 1 << 19  # operations below which handing work to another thread takes longer than doing it

_Pair = tuple[Tensor, Tensor]
_NO_TAGS = np.zeros((0, 0), dtype=np.int64)


def forward(
    left: Tensor,
    tags: Tensor | None,
    chain: tuple[Tensor, ...],
    value: Tensor,
    log_z: Tensor,
    messages: Tensor,
) -> None:
    """Write value, log_z and messages of the rows ``left`` (B,) bool."""
    emissions, mask, start, transitions, end = map(_array, chain)
    _run(
        numba_safe.forward_rows,
        2 * emissions.size * emissions.shape[2],
        len(emissions),
        _array(left),
        emissions,
        mask,
        weigh(start, transitions, end),
        _NO_TAGS if tags is None else _array(tags),
        value.numpy(),
        log_z.numpy(),
        messages.numpy(),
    )


def find_left(chain: tuple[Tensor, ...], messages: Tensor, log_z: Tensor) -> Tensor:
    """Which rows (B,) are to be done here."""
    left = torch.empty(log_z.shape, dtype=torch.bool)
    numba_safe.find_left(_array(chain[1]), _array(messages), _array(log_z), left.numpy())
    return left


def gradient(
    left: Tensor,
    grad: Tensor,
    tags: Tensor | None,
    chain: tuple[Tensor, ...],
    messages: Tensor,
    log_z: Tensor,
    gradients: tuple[Tensor, ...],
) -> None:
    """Write d_emissions of the rows ``left`` (B,), and add their share to d_start, d_transitions and
    d_end."""
    _, mask, start, transitions, end = map(_array, chain)
    weights = weigh(start, transitions, end)
    alphas = _array(messages)
    B, _, K = alphas.shape
    P = weights.forward.shape[0]
    chunks = -(-B // _rows_in_a_chunk(B))
    d_start, d_end = np.zeros((chunks, K)), np.zeros((chunks, K))
    d_products, d_direct = np.zeros((chunks, P, P)), np.zeros((chunks, K, K))
    _run(
        numba_safe.gradient_rows,
        4 * alphas.size * K,
        B,
        _array(left),
        _array(grad),
        _NO_TAGS if tags is None else _array(tags),
        mask,
        weights,
        alphas,
        _array(log_z),
        gradients[0].numpy(),
        d_start,
        d_products,
        d_direct,
        d_end,
    )
    d_transitions = weights.forward[:K, :K] * d_products.sum(axis=0)[:K, :K] + d_direct.sum(axis=0)
    for sums, part in zip(
        gradients[1:], (d_start.sum(axis=0), d_transitions, d_end.sum(axis=0)), strict=True
    ):
        sums += torch.from_numpy(part)


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
    _run(numba_safe.log_alpha_rows, work, len(scores), scores, _array(mask), weights, alphas)
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


def _run(kernel: Callable[..., None], work: int, batch: int, *arguments: Any) -> None:
    """Call ``kernel((first, step, size), *arguments)`` so that each chunk of rows is done once."""
    size = _rows_in_a_chunk(batch)
    threads = 1 if work < WORTH_A_THREAD else min(torch.get_num_threads(), -(-batch // size))
    run_in_threads(lambda number: kernel((number, threads, size), *arguments), threads)


def _rows_in_a_chunk(batch: int) -> int:
    return max(1, -(-batch // _CHUNKS))


def _array(tensor: Tensor) -> NDArray[Any]:
    """A C-contiguous array of the tensor's own dtype."""
    return tensor.detach().contiguous().numpy()
