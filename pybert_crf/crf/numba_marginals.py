"""The gradient of log Z of a few rows in scaled probabilities, for Numba: marginals, from right to left.

docs/crf.md, eq. 20: P(y_t = i, y_{t+1} = j) = alpha_i W_ij P(y_{t+1} = j) / sum_i alpha_i W_ij. What divides
depends on the alphas alone and is done before the recursion. Each position is divided by its own sum, so that
its probabilities sum to 1 however long the row is.
"""

from __future__ import annotations

from pybert_crf.crf.numba_compile import Lanes, Pointer, compiled_lanes
from pybert_crf.crf.numba_counts import Counts
from pybert_crf.crf.numba_lanes import (
    every,
    fma,
    four_rows,
    inverse,
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
    spread,
    store,
    store_first,
    store_some,
)
from pybert_crf.crf.numba_scaled import Group, Work, propagate, steps_of
from pybert_crf.crf.numba_tables import Tables


@compiled_lanes
def _add(like: Lanes, sums: Pointer, part: Pointer, factor: float, P: int) -> None:
    one = one_row(like)
    for block in range(0, P, width_of(like)):
        here = at(sums, block)
        store(here, 0, fma(load(one, at(part, block), 0), every(one, factor), load(one, here, 0)))


@compiled_lanes
def _count_pairs(
    like: Lanes, sources: Pointer, targets: Pointer, steps: int, P: int, products: Pointer
) -> None:
    """products_ij += the sum over the steps of sources_i targets_j."""
    four, W = four_rows(like), width_of(like)
    for block in range(0, P, W):
        for i in range(0, P, 8):
            row = at(products, block * P + i * W)
            a, b = load(four, row, W), load(four, at(row, 4 * W), W)
            for step in range(steps):
                source, target = at(sources, step * P + i), load_shared(four, at(targets, step * P + block))
                a = fma(spread(four, source, 1), target, a)
                b = fma(spread(four, at(source, 4), 1), target, b)
            store(row, W, a)
            store(at(row, 4 * W), W, b)


@compiled_lanes
def gradient_group(
    like: Lanes,
    K: int,
    group: Group,
    tables: Tables,
    factors: Pointer,
    work: Work,
    messages: Pointer,
    d_emissions: Pointer,
    counts: Counts,
) -> None:
    """Write the group's d_emissions, by position; add to the counts: ``factors`` (R,) times the
    probabilities.

    Rows of length 0 are left as they are.
    """
    one, four = one_row(like), four_rows(like)
    R, P, W = rows_of(like), padded(like, K), width_of(like)
    RP, S = R * P, steps_of(like, K)
    longest = 0
    for r in range(R):
        longest = max(longest, group.lengths[r])
    for begin in range(0, longest, S):
        steps = min(S, longest - begin)
        # The alphas, which stay in `emitted`; zeros beyond the beginning of a row.
        for step in range(steps):
            for r in range(R):
                alpha, place = at(work.emitted, step * RP + r * P), group.lengths[r] - 1 - begin - step
                if place >= 0:
                    message = at(messages, group.messages[r] + group.positions[r * group.time + place] * K)
                    for block in range(0, P, W):
                        store(at(alpha, block), 0, load_some(one, at(message, block), K - block, 0.0))
                else:
                    for block in range(0, P, W):
                        store(at(alpha, block), 0, one)
        for step in range(0, steps * R, 4):
            for block in range(0, P, W):
                reached = propagate(four, at(work.emitted, step * P), P, at(tables.forward, block * P), P)
                store(at(work.ratios, step * P + block), P, inverse(reached))
        # The recursion.
        for step in range(steps):
            vector, ratio = at(work.vectors, step * RP), at(work.ratios, step * RP)
            here, sums = at(vector, RP), every(like, 0.0)
            for block in range(0, P, W):
                after = every(like, 0.0) if begin + step == 0 else load(like, at(vector, block), P)
                store(at(ratio, block), P, after * load(like, at(ratio, block), P))
            for block in range(0, P, W):
                if begin + step == 0:
                    reached = load_shared(like, at(tables.end, block))
                else:
                    reached = propagate(like, ratio, P, at(tables.backward, block * P), P)
                marginal = reached * load(like, at(work.emitted, step * RP + block), P)
                store(at(here, block), P, marginal)
                sums = sums + marginal
            scale = inverse(total(sums))
            if begin + step == 0:
                for block in range(0, P, W):
                    store(at(here, block), P, load(like, at(here, block), P) * scale)
                scale = every(like, 1.0)
            store_first(at(work.scales, step * R), scale)
        # What comes of it.
        for step in range(steps):
            for r in range(R):
                place, factor = group.lengths[r] - 1 - begin - step, factors[r] * work.scales[step * R + r]
                if place < 0:
                    continue
                vector, ratio = at(work.vectors, (step + 1) * RP + r * P), at(work.ratios, step * RP + r * P)
                to = at(d_emissions, group.emissions[r] + group.positions[r * group.time + place] * K)
                for block in range(0, P, W):
                    scaled = load(one, at(vector, block), 0) * every(one, factor)
                    store_some(at(to, block), K - block, scaled)
                    here = at(ratio, block)
                    store(here, 0, load(one, here, 0) * every(one, factor))
                if begin + step == 0:
                    _add(like, counts.end, vector, factor, P)
                if place == 0:
                    _add(like, counts.start, vector, factor, P)
        _count_pairs(like, work.emitted, work.ratios, steps * R, P, counts.products)
        for block in range(0, P, W):
            store(at(work.vectors, block), P, load(like, at(work.vectors, steps * RP + block), P))
