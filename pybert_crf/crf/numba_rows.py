"""The rows of a batch as the Numba kernels of lanes take them: their unmasked positions, and longest first,
so that those that go together are of about the same length."""

from __future__ import annotations

import numpy as np

from pybert_crf.crf.numba_compile import Pointer, compiled_lanes

FLAG = np.uint8(0)  # of a mask: the type that a pointer to it has


@compiled_lanes
def order_rows(mask: Pointer, B: int, T: int, order: Pointer) -> None:
    """The rows of a mask (B, T), the longest first, of equals the first. ``order``: (2 B,), of which the
    second half is memory to work in."""
    begins = np.zeros(T + 2, dtype=np.int64)  # of the rows of T - n positions, in the order
    for b in range(B):
        length = 0
        for t in range(b * T, b * T + T):
            length += mask[t]
        order[B + b] = T - length
        begins[T - length + 1] += 1
    for n in range(T):
        begins[n + 1] += begins[n]
    for b in range(B):
        place = order[B + b]
        order[begins[place]] = b
        begins[place] += 1


@compiled_lanes
def read_positions(mask: Pointer, T: int, positions: Pointer) -> int:
    """Write the unmasked positions of a row, in order; returns their number."""
    length = 0
    for t in range(T):
        positions[length] = t
        length += mask[t]
    return length
