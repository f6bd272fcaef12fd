"""The problem as every backend takes it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pybert_crf.crf.log_space import NEG_INF, widened


class Chain(NamedTuple):
    """What every backend takes: batch-first, of one floating dtype, the mask bool."""

    emissions: Tensor  # (B, T, K)
    mask: Tensor  # (B, T)
    start: Tensor  # (K,)
    transitions: Tensor  # (K, K)
    end: Tensor  # (K,)

    def narrowed(self, allowed: Tensor) -> Chain:
        """The chain in which each position may only be what ``allowed`` (B, T, K) bool says."""
        return self._replace(emissions=torch.where(allowed, self.emissions, NEG_INF))


class Problem(NamedTuple):
    """A chain, who is to work on it, and what only the reference backend can take."""

    chain: Chain
    backend: str
    pairwise: Tensor | None = None  # (B, T - 1, K, K): added to the transitions on entering position t + 1

    def widened(self) -> Problem:
        """The problem in float64, where the device has it."""
        emissions, mask, start, transitions, end = self.chain
        emissions, start, transitions, end = widened(emissions, start, transitions, end)
        return self._replace(chain=Chain(emissions, mask, start, transitions, end))
