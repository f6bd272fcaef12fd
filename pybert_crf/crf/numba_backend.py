"""The chain on the CPU by Numba: rows in fixed chunks, spread over Python threads.

No ``parallel=True`` and no OpenMP: a forked child (a DataLoader's worker) can use it. The chunks depend on
the batch alone and their gradients are added up in their order, so results do not depend on the number of
threads. All sums are in float64.

The kernels of lanes take addresses: to make arrays of tensors, and to take those apart again, would take
longer than a small batch itself. :mod:`pybert_crf.crf.numba_rest` does what they leave.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pybert_crf.crf import numba_batch, numba_counts, numba_rest, numba_sums, numba_viterbi
from pybert_crf.crf.numba_plan import plan_for, scratch_for, threads_for
from pybert_crf.crf.numba_rest import k_best, log_alphas, sample
from pybert_crf.crf.numba_scaled import LEAST_DOUBLE, LEAST_FLOAT
from pybert_crf.crf.problem import Chain, check_chain, check_tags, check_tensor
from pybert_crf.crf.threads import run_in_threads

__all__ = [
    "gradient",
    "k_best",
    "log_alphas",
    "log_likelihood",
    "log_partition",
    "sample",
    "value_and_gradient",
    "viterbi",
]

_Pair = tuple[Tensor, Tensor]
_Triple = tuple[Tensor, Tensor, Tensor]
_Gradients = tuple[Tensor, Tensor, Tensor, Tensor]


def log_partition(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """log Z and what :func:`gradient` needs; see :func:`pybert_crf.crf.native.log_partition`."""
    _, log_z, messages = _forward(None, emissions, mask, start, transitions, end)
    return log_z, messages


def log_likelihood(
    tags: Tensor, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> _Triple:
    """The scores of paths less log Z; see :func:`pybert_crf.crf.native.log_likelihood`."""
    return _forward(tags, emissions, mask, start, transitions, end)


def _forward(
    tags: Tensor | None, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> _Triple:
    chain = _chain(emissions, mask, start, transitions, end)
    tags = _tags(tags, mask)
    value = emissions.new_empty(mask.shape[0])
    log_z = torch.empty_like(value)
    messages = torch.empty_like(chain[0])
    if _sum(chain, tags, value, log_z, messages, None, None):
        left = log_z.isnan()
        numba_rest.forward(left, tags, chain, value, log_z, messages)
    return value, log_z, messages


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
    chain = _chain(emissions, mask, start, transitions, end)
    tags = _tags(tags, mask)
    check_tensor("grad", grad, mask.shape[:1], emissions.dtype, emissions)
    check_tensor("messages", messages, emissions.shape, emissions.dtype, emissions)
    check_tensor("log_z", log_z, mask.shape[:1], emissions.dtype, emissions)
    grad, messages, log_z = grad.contiguous(), messages.contiguous(), log_z.contiguous()
    gradients = _gradients(chain)
    if _sum(chain, tags, None, log_z, messages, grad, gradients):
        left = numba_rest.find_left(chain, messages, log_z)
        numba_rest.gradient(left, grad, tags, chain, messages, log_z, gradients)
    return gradients


def value_and_gradient(
    grad: Tensor,
    tags: Tensor | None,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Both at once, the same bits; see :func:`pybert_crf.crf.native.value_and_gradient`."""
    chain = _chain(emissions, mask, start, transitions, end)
    tags = _tags(tags, mask)
    check_tensor("grad", grad, mask.shape[:1], emissions.dtype, emissions)
    grad = grad.contiguous()
    value, log_z = torch.empty_like(grad), torch.empty_like(grad)
    gradients = _gradients(chain)
    if _sum(chain, tags, value, log_z, None, grad, gradients):
        left, messages = log_z.isnan(), torch.empty_like(chain[0])
        numba_rest.forward(left, tags, chain, value, log_z, messages)
        numba_rest.gradient(left, grad, tags, chain, messages, log_z, gradients)
    return value, *gradients


def _sum(
    chain: tuple[Tensor, ...],
    tags: Tensor | None,
    value: Tensor | None,
    log_z: Tensor,
    messages: Tensor | None,
    grad: Tensor | None,
    gradients: _Gradients | None,
) -> bool:
    """What :func:`pybert_crf.crf.numba_sums.sum_chunks` writes, of which None is not wanted. Returns whether
    rows are left over.

    Raises:
        ValueError: an unmasked tag is none; names the first.
    """
    emissions, mask, start, transitions, end = chain
    B, T, K = emissions.shape
    plan = plan_for(B, T, K, emissions.dtype)
    work = 4 * B * T * K * (K + 8)
    threads = threads_for(work if gradients is None else 3 * work, plan)
    memory_size = numba_batch.size_of_memory(
        len(plan.rows), plan.padded, T, 0 if messages is not None else T * K
    )
    counts_size = plan.chunks * plan.counts if gradients is not None else 0
    scratch, (tables, order, counts, memory) = scratch_for(
        plan.tables, 2 * B, counts_size, threads * memory_size
    )
    parameters = (start.data_ptr(), transitions.data_ptr(), end.data_ptr())
    kind = (plan.rows, plan.blocks, plan.real)
    numba_sums.prepare(*kind, plan.sizes, (*parameters, mask.data_ptr(), tables, order))
    addresses = (
        emissions.data_ptr(),
        mask.data_ptr(),
        _address(tags),
        *parameters,
        tables,
        order,
        _address(value),
        log_z.data_ptr(),
        _address(messages),
        _address(grad),
        0 if gradients is None else gradients[0].data_ptr(),
        counts,
    )
    floor = LEAST_FLOAT if emissions.dtype == torch.float32 else LEAST_DOUBLE
    phases = (value is not None, gradients is not None)

    def run(number: int) -> int:
        chunks = (number, threads, plan.chunk, plan.chunks)
        own = memory + 8 * number * memory_size
        left: int = numba_sums.sum_chunks(*kind, chunks, plan.sizes, floor, phases, (*addresses, own))
        return left

    left = run_in_threads(run, threads)
    if tags is not None and min(left) < 0:
        check_tags(tags, mask, K)  # says which
    if gradients is not None:
        ends = tuple(part.data_ptr() for part in gradients[1:])
        numba_counts.reduce_counts(*kind, K, plan.chunks, (tables, counts, *ends))
    del scratch  # not sooner
    return any(left)


def viterbi(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """The best paths and their scores; see :func:`pybert_crf.crf.native.viterbi`."""
    emissions, mask, start, transitions, end = _chain(emissions, mask, start, transitions, end)
    B, T, K = emissions.shape
    plan = plan_for(B, T, K, emissions.dtype)
    tags = torch.empty((B, T), dtype=torch.int64)
    scores = emissions.new_empty(B)
    threads = threads_for(4 * B * T * K * (K + 8), plan)
    memory_size = numba_viterbi.size_of_memory(len(plan.rows), plan.padded, T)
    scratch, (tables, order, memory) = scratch_for(plan.tables, 2 * B, threads * memory_size)
    kind = (plan.rows, plan.blocks, plan.real)
    parameters = (start.data_ptr(), transitions.data_ptr(), end.data_ptr())
    numba_viterbi.prepare_viterbi(*kind, plan.sizes, (*parameters, mask.data_ptr(), tables, order))
    addresses = (emissions.data_ptr(), mask.data_ptr(), tables, order, tags.data_ptr(), scores.data_ptr())

    def run(number: int) -> int:
        chunks = (number, threads, plan.chunk, plan.chunks)
        own = memory + 8 * number * memory_size
        numba_viterbi.viterbi_chunks(*kind, chunks, plan.sizes, (*addresses, own))
        return 0

    run_in_threads(run, threads)
    del scratch  # not sooner
    return tags, scores


def _chain(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The same, C-contiguous."""
    check_chain(Chain(emissions, mask, start, transitions, end))
    if not emissions.is_cpu:
        raise ValueError(f"emissions must be on the CPU, got {emissions.device}")
    return (
        emissions.contiguous(),
        mask.contiguous(),
        start.contiguous(),
        transitions.contiguous(),
        end.contiguous(),
    )


def _tags(tags: Tensor | None, mask: Tensor) -> Tensor | None:
    if tags is None:
        return None
    check_tensor("tags", tags, mask.shape, torch.int64, mask)
    return tags.contiguous()


def _gradients(chain: tuple[Tensor, ...]) -> _Gradients:
    emissions, _, start, transitions, end = chain
    return (
        torch.empty_like(emissions),
        torch.empty_like(start),
        torch.empty_like(transitions),
        torch.empty_like(end),
    )


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
