"""How the Numba backend works through a batch: groups of rows, chunks of groups, threads, and their
memory."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pybert_crf.crf.numba_counts import size_of_counts
from pybert_crf.crf.numba_lanes import WIDTHS
from pybert_crf.crf.numba_tables import size_of_tables

_ROWS = 4  # that go together
_CHUNKS = 8
WORTH_A_THREAD = 1 << 23  # operations below which handing work to another thread takes longer than doing it


class Plan(NamedTuple):
    """How a batch of a size and dtype is worked through."""

    rows: tuple[int, ...]  # these two and `real`: see pybert_crf.crf.numba_lanes.lanes
    blocks: tuple[int, ...]
    real: np.float32 | float
    sizes: tuple[int, int, int]
    padded: int
    tables: int  # the float64 numbers that the tables take
    chunk: int  # groups of rows
    chunks: int
    counts: int  # the float64 numbers that a chunk's sums take


@functools.lru_cache(maxsize=1024)
def plan_for(B: int, T: int, K: int, dtype: torch.dtype) -> Plan:
    rows = _ROWS if B >= _ROWS else 1
    kind, width = next((kind, width) for kind, (width, whole) in enumerate(WIDTHS) if not whole or width >= K)
    padded = -(-K // width) * width
    groups = max(1, -(-B // rows))
    chunk = -(-groups // _CHUNKS)
    return Plan(
        (0,) * rows,
        (0,) * (kind + 1),
        np.float32(0) if dtype == torch.float32 else 0.0,
        (B, T, K),
        padded,
        size_of_tables(padded),
        chunk,
        -(-groups // chunk),
        size_of_counts(K, padded),
    )


def threads_for(work: int, plan: Plan) -> int:
    return 1 if work < WORTH_A_THREAD else min(torch.get_num_threads(), plan.chunks)


def scratch_for(*sizes: int) -> tuple[Tensor, list[int]]:
    """Memory, and the addresses in it of parts of so many numbers of 8 bytes, each at the begin of a cache
    line."""
    begins = [0]
    for size in sizes:
        begins.append(begins[-1] + (size + 7) // 8 * 64)
    memory = torch.empty(begins[-1] + 64, dtype=torch.uint8)
    first = (memory.data_ptr() + 63) // 64 * 64
    return memory, [first + begin for begin in begins[:-1]]
