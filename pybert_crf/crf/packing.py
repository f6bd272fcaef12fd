"""The chain of a row: its unmasked positions, in order.

Any mask is legal (gaps, left padding, nothing at all). Plain tensor code handles that by packing each row to
the left first: packed position ``p`` of a row is its ``p``-th unmasked position.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Packing(NamedTuple):
    """Where each position goes when rows are packed to the left, and where it came from."""

    source: Tensor  # (B, T) int64: the original position of each packed one; past the length, the masked ones
    target: Tensor  # (B, T) int64: the packed position of each unmasked one; anything in range where masked
    lengths: Tensor  # (B,) int64: how many positions of each row are unmasked
    inside: Tensor  # (B, T) bool: packed position < length

    def pack(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """Pack ``values`` (B, T) or (B, T, K) to the left, with ``fill`` past each row's length.

        What stood at masked positions (NaN, -100) is gone, from the values and from their gradients.
        """
        return _take(values, self.source).masked_fill(~_like(self.inside, values), fill)

    def unpack(self, packed: Tensor, mask: Tensor, fill: float = 0.0) -> Tensor:
        """The inverse of :meth:`pack`, with ``fill`` where ``mask`` (B, T) is off."""
        return _take(packed, self.target).masked_fill(~_like(mask, packed), fill)


def packing(mask: Tensor) -> Packing:
    """The packing of a mask (B, T) of dtype bool. No host synchronisation."""
    source = torch.argsort(mask.to(torch.uint8), dim=1, descending=True, stable=True)
    ranks = mask.cumsum(dim=1)
    lengths = mask.sum(dim=1)
    inside = torch.arange(mask.shape[1], device=mask.device) < lengths[:, None]
    return Packing(source, (ranks - 1).clamp(min=0), lengths, inside)


def _take(values: Tensor, positions: Tensor) -> Tensor:
    """``values[b, positions[b, t]]`` for values (B, T) or (B, T, K)."""
    if values.dim() == 3:
        positions = positions[:, :, None].expand(-1, -1, values.shape[2])
    return values.gather(1, positions)


def _like(flags: Tensor, values: Tensor) -> Tensor:
    """Flags (B, T) with a last axis added where ``values`` have one."""
    return flags[:, :, None] if values.dim() == 3 else flags
