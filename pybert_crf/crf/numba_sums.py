"""Sums over paths of a batch's rows, for Numba: log Z, likelihoods, and their gradient.

The rows go in groups, longest first; a chunk is a few groups in a row. :func:`sum_chunks` works through
chunks ``first, first + step, ...`` without the GIL. Rows in which the scaled recursion cannot be trusted are
counted and left to :mod:`pybert_crf.crf.numba_safe`.

A row whose alphas are weights has the greatest of each position in [1, 2), one whose alphas are logarithms at
0: that is how the gradient tells them apart.
"""

from __future__ import annotations

import numpy as np

from pybert_crf.crf.numba_batch import Addresses, Batch, Memory, batch_at, memory_in
from pybert_crf.crf.numba_compile import Lanes, Pointer, compiled_kernel, compiled_lanes
from pybert_crf.crf.numba_counts import Counts, chunk_counts, clear, clear_counts
from pybert_crf.crf.numba_gold import count_path, has_wrong_tag, score_path
from pybert_crf.crf.numba_lanes import lanes, rows_of
from pybert_crf.crf.numba_marginals import gradient_group
from pybert_crf.crf.numba_memory import at, pointer
from pybert_crf.crf.numba_rows import FLAG, order_rows, read_positions
from pybert_crf.crf.numba_scaled import forward_group
from pybert_crf.crf.numba_tables import Tables, tables_in, transpose, weigh_tables


@compiled_kernel
def prepare(
    rows: tuple[int, ...],
    blocks: tuple[int, ...],
    real: float,
    sizes: tuple[int, int, int],
    addresses: tuple[int, ...],
) -> None:
    """The tables of parameters and the order of rows, from the addresses of start, transitions, end, mask,
    tables and order."""
    start, transitions, end, mask, tables, order = addresses
    B, T, K = sizes
    like = lanes(rows, blocks)
    weights = tables_in(like, K, pointer(tables, 0.0))
    weigh_tables(like, pointer(start, real), pointer(transitions, real), pointer(end, real), K, weights)
    transpose(like, K, weights)
    order_rows(pointer(mask, FLAG), B, T, pointer(order, 0))


@compiled_lanes
def _gather(like: Lanes, batch: Batch, memory: Memory, rows: Pointer, count: int) -> None:
    """Put rows into the group."""
    _, T, K = batch.sizes
    group = memory.group
    for r in range(rows_of(like)):
        b = rows[r] if r < count else -1
        memory.rows[r] = b
        group.emissions[r] = b * T * K
        group.messages[r] = (b if batch.keeps_messages else r) * T * K
        group.lengths[r] = 0
        if b >= 0:
            group.lengths[r] = read_positions(at(batch.mask, b * T), T, at(group.positions, r * T))


@compiled_lanes
def _sum_group(like: Lanes, real: float, batch: Batch, memory: Memory, tables: Tables, floor: float) -> int:
    """Write value, log_z and messages of the group. Rows left over are counted and get length 0; -1 where a
    tag is none."""
    _, T, K = batch.sizes
    group = memory.group
    is_scalable = tables.tops[3] == 1.0
    if is_scalable:
        forward_group(
            like, real, batch.emissions, K, group, tables, floor, memory.work, batch.messages, memory.log_z
        )
    left = 0
    for r in range(rows_of(like)):
        b, length = memory.rows[r], group.lengths[r]
        if b < 0:
            continue
        if not is_scalable:
            memory.log_z[r] = np.nan if length > 0 else 0.0
        log_z = memory.log_z[r]
        batch.log_z[b] = batch.value[b] = log_z
        if batch.keeps_messages and length < T:
            for t in range(b * T, b * T + T):
                if not batch.mask[t]:
                    clear(at(batch.messages, t * K), K)
        if batch.has_tags:
            tags, positions = at(batch.tags, b * T), at(group.positions, r * T)
            if has_wrong_tag(positions, length, tags, K):
                return -1
            emissions = at(batch.emissions, b * T * K)
            batch.value[b] = score_path(emissions, positions, length, tags, K, batch.parameters) - log_z
        if np.isnan(log_z):
            left += 1
            group.lengths[r] = 0
    return left


@compiled_lanes
def _differentiate_group(
    like: Lanes, batch: Batch, memory: Memory, tables: Tables, counts: Counts, is_known: bool
) -> int:
    """Write d_emissions of the group, add to the counts. Unless it ``is_known`` which rows are left over,
    they are found and counted."""
    _, T, K = batch.sizes
    group = memory.group
    left = 0
    for r in range(rows_of(like)):
        b = memory.rows[r]
        if b < 0:
            continue
        if group.lengths[r] > 0 and not is_known:
            message = at(batch.messages, b * T * K + group.positions[r * T] * K)
            if np.isnan(batch.log_z[b]) or not _is_scaled(message, K):
                left += 1
                group.lengths[r] = 0
        if group.lengths[r] < T:
            clear(at(batch.d_emissions, b * T * K), T * K)
        memory.factors[r] = -batch.grad[b] if batch.has_tags else batch.grad[b]
    gradient_group(
        like, K, group, tables, memory.factors, memory.work, batch.messages, batch.d_emissions, counts
    )
    for r in range(rows_of(like)):
        b = memory.rows[r]
        if b >= 0 and batch.has_tags:
            count_path(
                float(batch.grad[b]),
                at(group.positions, r * T),
                group.lengths[r],
                at(batch.tags, b * T),
                K,
                at(batch.d_emissions, b * T * K),
                counts,
            )
    return left


@compiled_lanes
def _is_scaled(message: Pointer, K: int) -> bool:
    for j in range(K):  # noqa: SIM110 (Numba has no any())
        if message[j] > 0.5:
            return True
    return False


@compiled_kernel
def sum_chunks(
    rows: tuple[int, ...],
    blocks: tuple[int, ...],
    real: float,
    chunks: tuple[int, int, int, int],
    sizes: tuple[int, int, int],
    floor: float,
    phases: tuple[bool, bool],
    addresses: tuple[int, ...],
) -> int:
    """Work through chunks ``(first, step, size in groups, chunks)``.

    The first of ``phases`` writes value, log_z and messages, the second d_emissions and counts. ``addresses``
    are :class:`Addresses`, as a plain tuple. Returns how many rows are left over, whose log_z is NaN after
    the first phase; or -1 where an unmasked tag is none.
    """
    where = Addresses(*addresses)
    like = lanes(rows, blocks)
    first, step, size, number = chunks
    B, T, K = sizes
    R = rows_of(like)
    memory = memory_in(like, real, T, K, where.work)
    batch = batch_at(real, sizes, where, memory.messages)
    tables = tables_in(like, K, pointer(where.tables, 0.0))
    order = pointer(where.order, 0)
    left = 0
    for chunk in range(first, number, step):
        counts = chunk_counts(like, K, where.counts, chunk)
        if phases[1]:
            clear_counts(like, K, counts)
        for begin in range(chunk * size * R, min(B, (chunk + 1) * size * R), R):
            _gather(like, batch, memory, at(order, begin), min(R, B - begin))
            if phases[0]:
                more = _sum_group(like, real, batch, memory, tables, floor)
                if more < 0:
                    return -1
                left += more
            if phases[1]:
                left += _differentiate_group(like, batch, memory, tables, counts, phases[0])
    return left
