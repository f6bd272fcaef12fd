"""What the chunks of a batch add up for the parameters' gradient, for Numba."""

from __future__ import annotations

from typing import NamedTuple

from pybert_crf.crf.numba_compile import Lanes, Pointer, compiled_kernel, compiled_lanes, shared
from pybert_crf.crf.numba_lanes import fma, lanes, one_row, padded, width_of
from pybert_crf.crf.numba_memory import at, load, load_some, pointer, store_some
from pybert_crf.crf.numba_tables import tables_in


class Counts(NamedTuple):
    """What a chunk of rows adds up: expected uses of the scores, times the rows' factors."""

    products: Pointer  # (P, P) in blocks; times the weights, those of the transitions
    direct: Pointer  # (K, K): more of them, as they are
    start: Pointer  # (P,)
    end: Pointer  # (P,)


@shared
def size_of_counts(num_tags: int, padded_tags: int) -> int:
    """How many float64 numbers a chunk's sums take."""
    return padded_tags * (padded_tags + 2) + (num_tags * num_tags + 7) // 8 * 8


@compiled_lanes
def counts_in(like: Lanes, K: int, memory: Pointer) -> Counts:
    """A chunk's memory, laid out."""
    P = padded(like, K)
    direct = at(memory, P * (P + 2))
    return Counts(memory, direct, at(memory, P * P), at(memory, P * P + P))


@compiled_lanes
def chunk_counts(like: Lanes, K: int, address: int, chunk: int) -> Counts:
    """Those of a chunk."""
    size = size_of_counts(K, padded(like, K))
    counts: Counts = counts_in(like, K, pointer(address + 8 * chunk * size, 0.0))
    return counts


@compiled_lanes
def clear_counts(like: Lanes, K: int, counts: Counts) -> None:
    """Zeros for a begin."""
    clear(counts.products, size_of_counts(K, padded(like, K)))


@compiled_lanes
def clear(numbers: Pointer, size: int) -> None:
    for i in range(size):
        numbers[i] = 0.0


@compiled_kernel
def reduce_counts(
    rows: tuple[int, ...],
    blocks: tuple[int, ...],
    real: float,
    K: int,
    chunks: int,
    addresses: tuple[int, ...],
) -> None:
    """Add up the chunks' sums, in order; from the addresses of tables and counts, and of the gradients of
    start, transitions and end."""
    tables_at, counts_at, start_at, transitions_at, end_at = addresses
    like = lanes(rows, blocks)
    one = one_row(like)
    P, W = padded(like, K), width_of(like)
    size = size_of_counts(K, P)
    counts = counts_in(like, K, pointer(counts_at, 0.0))
    weights = tables_in(like, K, pointer(tables_at, 0.0)).forward
    d_start, d_transitions, d_end = (
        pointer(start_at, real),
        pointer(transitions_at, real),
        pointer(end_at, real),
    )
    for block in range(0, P, W):
        starts, ends = one, one
        for chunk in range(chunks):
            starts = starts + load(one, at(counts.start, chunk * size + block), 0)
            ends = ends + load(one, at(counts.end, chunk * size + block), 0)
        store_some(at(d_start, block), K - block, starts)
        store_some(at(d_end, block), K - block, ends)
        for i in range(K):
            here = block * P + i * W
            products, direct = one, one
            for chunk in range(chunks):
                products = products + load(one, at(counts.products, chunk * size + here), 0)
                direct = direct + load_some(
                    one, at(counts.direct, chunk * size + i * K + block), K - block, 0.0
                )
            sums = fma(products, load(one, at(weights, here), 0), direct)
            store_some(at(d_transitions, i * K + block), K - block, sums)
