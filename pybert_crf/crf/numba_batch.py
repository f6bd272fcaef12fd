"""A batch and a thread's memory as the Numba kernels of sums take them: as addresses, and as pointers."""

from __future__ import annotations

from typing import NamedTuple

from pybert_crf.crf.numba_compile import Lanes, Pointer, compiled_lanes
from pybert_crf.crf.numba_gold import Parameters
from pybert_crf.crf.numba_lanes import padded, rows_of
from pybert_crf.crf.numba_memory import pointer
from pybert_crf.crf.numba_rows import FLAG
from pybert_crf.crf.numba_scaled import Group, Work, size_of_work, work_in


class Addresses(NamedTuple):
    """Where everything is; 0 where there is nothing. C-contiguous; of the scores' dtype unless said."""

    emissions: int  # (B, T, K)
    mask: int  # (B, T) bool
    tags: int  # (B, T) int64, or 0
    start: int  # (K,)
    transitions: int  # (K, K)
    end: int  # (K,)
    tables: int  # float64: pybert_crf.crf.numba_tables
    order: int  # (B,) int64: the rows, longest first
    value: int  # (B,)
    log_z: int  # (B,)
    messages: int  # (B, T, K), or 0: each thread has its own
    grad: int  # (B,), or 0: no gradient is wanted
    d_emissions: int  # (B, T, K)
    counts: int  # (chunks, size_of_counts) float64
    work: int  # (threads, size_of_memory) float64


class Memory(NamedTuple):
    """A thread's own."""

    group: Group
    work: Work
    rows: Pointer  # (R,) int64: which rows of the batch are in the group, -1 for none
    log_z: Pointer  # (R,)
    factors: Pointer  # (R,)
    messages: Pointer  # (R, T, K)


@compiled_lanes
def memory_in(like: Lanes, real: float, T: int, K: int, memory: int) -> Memory:
    """A thread's memory, at an address, laid out; of :func:`size_of_memory` numbers."""
    R, P = rows_of(like), padded(like, K)
    rest = memory + 8 * size_of_work(R, P)
    step = 8 * R
    positions = rest + 6 * step
    group = Group(
        pointer(rest, 0), pointer(rest + step, 0), pointer(rest + 2 * step, 0), pointer(positions, 0), T
    )
    return Memory(
        group,
        work_in(like, K, pointer(memory, 0.0)),
        pointer(rest + 3 * step, 0),
        pointer(rest + 4 * step, 0.0),
        pointer(rest + 5 * step, 0.0),
        pointer(positions + step * T, real),
    )


def size_of_memory(rows: int, padded_tags: int, time: int, own_messages: int) -> int:
    """How many float64 numbers a thread's memory takes: ``own_messages`` a row."""
    work: int = size_of_work(rows, padded_tags)
    return (work + rows * (6 + time + own_messages) + 7) // 8 * 8


class Batch(NamedTuple):
    """The addresses as pointers."""

    sizes: tuple[int, int, int]  # B, T, K
    emissions: Pointer
    mask: Pointer
    tags: Pointer
    parameters: Parameters
    value: Pointer
    log_z: Pointer
    messages: Pointer
    grad: Pointer
    d_emissions: Pointer
    has_tags: bool
    keeps_messages: bool


@compiled_lanes
def batch_at(real: float, sizes: tuple[int, int, int], where: Addresses, messages: Pointer) -> Batch:
    """``messages``: a thread's own."""
    return Batch(
        sizes,
        pointer(where.emissions, real),
        pointer(where.mask, FLAG),
        pointer(where.tags, 0),
        Parameters(pointer(where.start, real), pointer(where.transitions, real), pointer(where.end, real)),
        pointer(where.value, real),
        pointer(where.log_z, real),
        messages if where.messages == 0 else pointer(where.messages, real),
        pointer(where.grad, real),
        pointer(where.d_emissions, real),
        where.tags != 0,
        where.messages != 0,
    )
