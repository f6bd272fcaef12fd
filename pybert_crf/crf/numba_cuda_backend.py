"""The chain on CUDA tensors by Numba, for machines where there is a GPU and no compiled CUDA.

Functions, arguments and results are those of :mod:`pybert_crf.crf.numba_backend`; all sums are in float64.
They queue kernels on torch's current stream of the tensors' device, and nothing waits for it. Results are the
same bits every run. To be captured in a CUDA graph the kernels must be compiled and loaded: call once before,
with tensors of the same dtypes and layouts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pybert_crf.crf import numba_cuda_gradient, numba_cuda_paths, numba_cuda_sums
from pybert_crf.crf.log_space import finite_max
from pybert_crf.crf.numba_cuda_launch import IS_SIMULATED, MOST_TAGS, launch

_CHUNKS = 16  # of rows, whose counts of pairs are summed apart
_PATHS_A_BLOCK = 64

_Pair = tuple[Tensor, Tensor]
_Triple = tuple[Tensor, Tensor, Tensor]
_Gradients = tuple[Tensor, Tensor, Tensor, Tensor]


def log_partition(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """log Z (B,) and what :func:`gradient` needs: the log-alphas (B, T, K) in float64, each relative to its
    position's maximum. For the arguments and errors see :func:`pybert_crf.crf.native.log_partition`.

    Raises:
        ValueError: also, there are more than 1,024 tags.
    """
    _, log_z, alphas = _forward(None, emissions, mask, start, transitions, end)
    return log_z, alphas


def log_likelihood(
    tags: Tensor, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> _Triple:
    """The scores of paths less log Z; see :func:`pybert_crf.crf.native.log_likelihood`.

    An unmasked tag that is none makes its row's likelihood NaN and is a device-side assertion, as elsewhere
    in torch: the next call that waits for the device raises RuntimeError.
    """
    return _forward(tags, emissions, mask, start, transitions, end)


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
) -> _Gradients:
    """The gradient of the sum of grad times log Z or times the likelihoods; see
    :func:`pybert_crf.crf.native.gradient`."""
    _check_chain(emissions, mask, start, transitions, end)
    B, T, K = emissions.shape
    _check("grad", grad, (B,), grad.dtype, emissions)
    _check("messages", messages, (B, T, K), torch.float64, emissions)
    _check("log_z", log_z, (B,), emissions.dtype, emissions)
    weights = _weigh(transitions)
    path = _path(tags, emissions)
    d_emissions = emissions.new_empty(B, T, K)
    d_ends = messages.new_empty(B, 2, K)
    powers, ratios = messages.new_empty(B, T, K), messages.new_empty(B, T, K)
    arguments = (transitions, end, weights.table, weights.table.T.contiguous(), messages, log_z)
    results = (d_emissions, d_ends, powers, ratios)
    launch(numba_cuda_gradient.marginal_rows, (B,), K, 5 * K, grad, *path, mask, *arguments, *results)

    counts = messages.new_empty(min(B, _CHUNKS), K, K)
    pairs = (transitions, weights.table, messages, log_z, powers, ratios, counts)
    launch(numba_cuda_gradient.count_pairs, (K, counts.shape[0]), K, 0, grad, *path, mask, *pairs)
    d_start, d_end = d_ends.sum(dim=0).to(emissions.dtype)
    return d_emissions, d_start, counts.sum(dim=0).to(emissions.dtype), d_end


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
    value, log_z, messages = _forward(tags, *chain)
    return value, *gradient(grad, tags, *chain, messages, log_z)


def viterbi(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """The best paths and their scores; see :func:`pybert_crf.crf.native.viterbi`."""
    _check_chain(emissions, mask, start, transitions, end)
    B, T, K = emissions.shape
    tags = mask.new_empty((B, T), dtype=torch.int64)
    scores = emissions.new_empty(B)
    came_from = mask.new_empty((B, T, K), dtype=torch.int16)
    arguments = (emissions, mask, start, transitions.double(), end, came_from, tags, scores)
    launch(numba_cuda_paths.viterbi_rows, (B,), K, 2 * K, *arguments)
    return tags, scores


def k_best(k: int, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """The k best paths and their scores; see :func:`pybert_crf.crf.native.k_best`."""
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    _check_chain(emissions, mask, start, transitions, end)
    B, T, K = emissions.shape
    tags = mask.new_empty((k, B, T), dtype=torch.int64)
    scores = emissions.new_empty(k, B)
    lists = emissions.new_empty((B, 2, K, k), dtype=torch.float64)
    came_from = mask.new_zeros((B, T, K, k), dtype=torch.int32)  # a place in a list that is not full is read
    final, places = emissions.new_empty((B, k), dtype=torch.float64), tags.new_empty(B, k)
    arguments = (emissions, mask, start, transitions.double(), end, lists, came_from, final, places)
    launch(numba_cuda_paths.k_best_rows, (B,), K, 0, *arguments, tags, scores)
    return tags, scores


def log_alphas(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> Tensor:
    """The log-scores of prefixes; see :func:`pybert_crf.crf.native.log_alphas`."""
    return log_partition(emissions, mask, start, transitions, end)[1].to(emissions.dtype)


def sample(
    uniforms: Tensor, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> Tensor:
    """Exact samples of the paths; see :func:`pybert_crf.crf.native.sample`."""
    log_z, alphas = log_partition(emissions, mask, start, transitions, end)
    n, B = uniforms.shape[0], mask.shape[0]
    _check("uniforms", uniforms, (n, *mask.shape), torch.float64, emissions)
    tags = mask.new_empty(uniforms.shape, dtype=torch.int64)
    threads = max(1, min(n * B, _PATHS_A_BLOCK))
    arguments = (uniforms, mask, transitions, end, alphas, log_z, tags)
    launch(numba_cuda_paths.sample_rows, (-(-n * B // threads),), threads, 0, *arguments)
    return tags


def _forward(
    tags: Tensor | None, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> _Triple:
    _check_chain(emissions, mask, start, transitions, end)
    B, T, K = emissions.shape
    value, log_z = emissions.new_empty(B), emissions.new_empty(B)
    alphas = emissions.new_empty((B, T, K), dtype=torch.float64)
    are_tags = mask.new_ones(1)
    path = _path(tags, emissions)
    arguments = (emissions, mask, start, transitions, end, *_weigh(transitions), *path, are_tags)
    launch(numba_cuda_sums.forward_rows, (B,), K, 4 * K, *arguments, value, log_z, alphas)
    if tags is not None:
        torch._assert_async(are_tags, f"a tag is out of range: expected 0 <= tag < {K} where the mask is on")
    return value, log_z, alphas


class _Weights(NamedTuple):
    table: Tensor  # (K, K) exp(transitions - tops) in float64
    tops: Tensor  # (K,) the highest of each column; 0 where all is -inf


def _weigh(transitions: Tensor) -> _Weights:
    scores = transitions.detach().double()
    tops = finite_max(scores, dim=0)
    return _Weights((scores - tops).exp(), tops[0])


def _path(tags: Tensor | None, emissions: Tensor) -> tuple[bool, Tensor]:
    """Whether there are tags, and what the kernels take for them."""
    if tags is None:
        return False, emissions.new_empty((1, 1), dtype=torch.int64)
    _check("tags", tags, emissions.shape[:2], torch.int64, emissions)
    return True, tags


def _check_chain(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> None:
    """The kernels read raw memory, so whatever does not fit stops here."""
    dtype, shape = emissions.dtype, emissions.shape
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"emissions must be float32 or float64, got {dtype}")
    if len(shape) != 3 or shape[2] == 0:
        raise ValueError(f"emissions must be (batch, time, tags) with tags > 0, got {tuple(shape)}")
    if not (emissions.is_cuda or IS_SIMULATED):
        raise ValueError(f"emissions must be on a CUDA device, got {emissions.device}")
    batch, time, tags = shape
    if tags > MOST_TAGS:
        raise ValueError(
            f"on a GPU the numba backend has a thread for each tag, {MOST_TAGS} at most, got {tags} tags: "
            "use CRF(..., backend='reference')"
        )
    _check("mask", mask, (batch, time), torch.bool, emissions)
    _check("start", start, (tags,), dtype, emissions)
    _check("transitions", transitions, (tags, tags), dtype, emissions)
    _check("end", end, (tags,), dtype, emissions)


def _check(name: str, tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype, emissions: Tensor) -> None:
    if tensor.shape != shape or tensor.dtype != dtype or tensor.device != emissions.device:
        raise ValueError(
            f"{name} must be {tuple(shape)} of {dtype} on {emissions.device}, as the emissions are, "
            f"got {tuple(tensor.shape)} of {tensor.dtype} on {tensor.device}"
        )
