"""The best paths of a batch's rows, for Numba (Viterbi, 1967): docs/crf.md, eq. 21 to 23, in float64.

No back-pointers are kept: a step takes one addition and one maximum a pair of tags, and the way back finds,
for the one tag it stands on, the lowest tag before it that attains the maximum, by the same additions.
"""

from __future__ import annotations

from pybert_crf.crf.numba_compile import NEG_INF, Lanes, Pointer, compiled_kernel, compiled_lanes
from pybert_crf.crf.numba_lanes import (
    every,
    first,
    first_equal,
    greatest,
    keep_nan,
    lanes,
    maximum,
    one_row,
    padded,
    rows_of,
    total,
    width_of,
)
from pybert_crf.crf.numba_memory import (
    at,
    load,
    load_shared,
    load_some,
    pointer,
    spread,
    store,
)
from pybert_crf.crf.numba_rows import FLAG, order_rows, read_positions
from pybert_crf.crf.numba_tables import Tables, score_tables, tables_in


@compiled_kernel
def prepare_viterbi(
    rows: tuple[int, ...],
    blocks: tuple[int, ...],
    real: float,
    sizes: tuple[int, int, int],
    addresses: tuple[int, ...],
) -> None:
    """The tables of scores and the order of rows, from the addresses of start, transitions, end, mask, tables
    and order."""
    start, transitions, end, mask, tables, order = addresses
    B, T, K = sizes
    like = lanes(rows, blocks)
    scores = tables_in(like, K, pointer(tables, 0.0))
    score_tables(like, pointer(start, real), pointer(transitions, real), pointer(end, real), K, scores)
    order_rows(pointer(mask, FLAG), B, T, pointer(order, 0))


@compiled_lanes
def _max_step(like: Lanes, vectors: Pointer, K: int, table: Pointer, along: int) -> Lanes:
    """max_i vector_i + table_i of one block of the table: of each row, whose vectors are ``along`` apart."""
    W = width_of(like)
    a, b = every(like, NEG_INF), every(like, NEG_INF)
    for i in range(0, K, 2):  # of an odd number one more, from which nothing leads on
        a = maximum(spread(like, at(vectors, i), along) + load_shared(like, at(table, i * W)), a)
        b = maximum(spread(like, at(vectors, i + 1), along) + load_shared(like, at(table, i * W + W)), b)
    return maximum(a, b)


@compiled_lanes
def _first_equal(one: Lanes, vector: Pointer, scores: Pointer, along: int, P: int, best: float) -> int:
    """The lowest tag i with vector_i + scores_i == best; 0 if there is none, which NaN makes. The blocks of
    ``scores`` are ``along`` apart."""
    W = width_of(one)
    for block in range(0, P, W):
        sums = load(one, at(vector, block), 0) + load(one, at(scores, block // W * along), 0)
        lane = first_equal(sums, every(one, best))
        if lane < W:
            return int(block + lane)
    return 0


@compiled_lanes
def _forward(
    like: Lanes,
    emissions: Pointer,
    offsets: Pointer,
    positions: Pointer,
    lengths: Pointer,
    T: int,
    K: int,
    tables: Tables,
    vectors: Pointer,
    maxima: Pointer,
    broken: Pointer,
) -> None:
    """The scores (T, R, P) of the best prefixes, and the same without the last emission. ``broken`` (R,): NaN
    where one of a row's emissions is."""
    one = one_row(like)
    R, P, W = rows_of(like), padded(like, K), width_of(like)
    longest = 0
    for r in range(R):
        longest = max(longest, lengths[r])
        nan = one
        for n in range(lengths[r]):
            emission, to = at(emissions, offsets[r] + positions[r * T + n] * K), at(vectors, (n * R + r) * P)
            for block in range(0, P, W):
                emitted = load_some(one, at(emission, block), K - block, 0.0)
                nan = keep_nan(nan, emitted)
                store(at(to, block), 0, emitted)
        broken[r] = first(total(nan))
    for n in range(longest):
        here = n * R * P
        for block in range(0, P, W):
            if n == 0:
                reached = load_shared(like, at(tables.start, block))
            else:
                reached = _max_step(like, at(vectors, here - R * P), K, at(tables.forward, block * P), P)
            store(at(maxima, here + block), P, reached)
            vector = at(vectors, here + block)
            store(vector, P, load(like, vector, P) + reached)


@compiled_kernel
def viterbi_chunks(
    rows: tuple[int, ...],
    blocks: tuple[int, ...],
    real: float,
    chunks: tuple[int, int, int, int],
    sizes: tuple[int, int, int],
    addresses: tuple[int, ...],
) -> None:
    """Write the best tags (B, T) int64, -1 where masked, and their scores (B,), for the groups of chunks
    ``(first, step, size in groups, chunks)``; from the addresses of emissions, mask, tables, order, tags,
    scores and a thread's memory of :func:`size_of_memory` numbers."""
    emissions_at, mask_at, tables_at, order_at, tags_at, scores_at, memory = addresses
    like = lanes(rows, blocks)
    one = one_row(like)
    first_chunk, step, size, number = chunks
    B, T, K = sizes
    R, P, W = rows_of(like), padded(like, K), width_of(like)
    emissions, mask, order = pointer(emissions_at, real), pointer(mask_at, FLAG), pointer(order_at, 0)
    tags, scores = pointer(tags_at, 0), pointer(scores_at, real)
    tables = tables_in(like, K, pointer(tables_at, 0.0))
    vectors, broken = pointer(memory, 0.0), pointer(memory + 16 * T * R * P, 0.0)
    maxima = at(vectors, T * R * P)
    offsets = pointer(memory + 16 * T * R * P + 8 * R, 0)
    lengths, now, positions = at(offsets, R), at(offsets, 2 * R), at(offsets, 3 * R)
    for begin in range(0, T * R * P, W):
        store(
            at(vectors, begin), 0, one
        )  # rows that have ended go on with what stands there: let it be finite
    for chunk in range(first_chunk, number, step):
        for begin in range(chunk * size * R, min(B, (chunk + 1) * size * R), R):
            longest = 0
            for r in range(R):
                lengths[r] = offsets[r] = 0
                if begin + r < B:
                    b = order[begin + r]
                    offsets[r] = b * T * K
                    lengths[r] = read_positions(at(mask, b * T), T, at(positions, r * T))
                    longest = max(longest, lengths[r])
            _forward(like, emissions, offsets, positions, lengths, T, K, tables, vectors, maxima, broken)
            for r in range(min(R, B - begin)):
                b, n = order[begin + r], lengths[r] - 1
                for t in range(T):
                    tags[b * T + t] = -1
                scores[b] = 0.0
                if n < 0:
                    continue
                vector = at(vectors, (n * R + r) * P)
                best = every(one, NEG_INF)
                for block in range(0, P, W):
                    best = maximum(
                        load(one, at(vector, block), 0) + load(one, at(tables.end, block), 0), best
                    )
                score = first(greatest(best))
                now[r] = _first_equal(one, vector, tables.end, W, P, score)
                tags[b * T + positions[r * T + n]] = now[r]
                scores[b] = score + broken[r] + tables.tops[2] + (tables.tops[3] if n > 0 else 0.0)
            for n in range(longest - 2, -1, -1):
                for r in range(R):
                    if n + 1 < lengths[r]:
                        tag = now[r]
                        scores_back = at(tables.backward, tag * W)
                        best_score = maxima[((n + 1) * R + r) * P + tag]
                        tag = _first_equal(
                            one, at(vectors, (n * R + r) * P), scores_back, P * W, P, best_score
                        )
                        now[r] = tag
                        tags[order[begin + r] * T + positions[r * T + n]] = tag


def size_of_memory(rows: int, padded_tags: int, time: int) -> int:
    """How many float64 numbers a thread's memory takes."""
    return (2 * time * rows * padded_tags + rows * (4 + time) + 7) // 8 * 8
