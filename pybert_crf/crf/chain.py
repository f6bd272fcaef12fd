"""The problem as every backend takes it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Chain(NamedTuple):
    """What every backend takes: batch-first, of one floating dtype, the mask bool."""

    emissions: Tensor  # (B, T, K)
    mask: Tensor  # (B, T)
    start: Tensor  # (K,)
    transitions: Tensor  # (K, K)
    end: Tensor  # (K,)
