"""Sequences without padding: the pieces of all rows of a batch one after the other.

All that is computed for each piece separately (linear maps, norms, activations) is then computed for no
padding. Shapes: B rows of L positions, T pieces that are not padding, D = ``hidden_size``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Packing(NamedTuple):
    """The rows of a batch and the places of their pieces."""

    shape: tuple[int, int]  # (B, L)
    lengths: tuple[int, ...]  # of the rows that have pieces; their sum is T
    places: Tensor | None  # (T,) int64, in the B · L positions; None: nothing is padding

    def pack(self, x: Tensor) -> Tensor:
        """Return the pieces, (T, D), of (B, L, D)."""
        rows = x.flatten(0, 1)
        return rows if self.places is None else rows.index_select(0, self.places)

    def unpack(self, x: Tensor) -> Tensor:
        """Return (B, L, D) of the pieces, (T, D), with zeros as padding."""
        B, L = self.shape
        if self.places is not None:
            x = x.new_zeros(B * L, x.shape[1]).index_copy(0, self.places, x)
        return x.view(B, L, x.shape[1])

    def columns(self, device: torch.device) -> Tensor:
        """Return the position of each piece in its row, (T,) int64; padding counts."""
        B, L = self.shape
        if self.places is None:
            return torch.arange(L, device=device).repeat(B)
        return self.places % L

    def rows(self, device: torch.device) -> Tensor:
        """Return the row of each piece, (T,) int64."""
        B, L = self.shape
        if self.places is None:
            return torch.arange(B, device=device).repeat_interleave(L)
        return self.places // L


def packing_of(shape: tuple[int, int], attention_mask: Tensor | None) -> Packing:
    """Return the packing of a batch of ``shape`` (B, L) with a (B, L) mask; reads the mask's values.

    A batch of padding only is packed as if it had none.
    """
    B, L = shape
    if attention_mask is not None:
        mask = attention_mask.to(torch.bool)
        counts = mask.sum(1).tolist()
        if 0 < sum(counts) < B * L:
            lengths = tuple(count for count in counts if count)
            return Packing(shape, lengths, mask.flatten().nonzero()[:, 0])
    return Packing(shape, (L,) * B, None)
