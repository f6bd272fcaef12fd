"""The chain of a row: its unmasked positions, in order.

Any mask is legal (gaps, left padding, nothing at all). Plain tensor code handles that by packing each row to
the left first: packed position ``p`` of a row is its ``p``-th unmasked position.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pybert_crf.crf.backends.reference.links import at
from pybert_crf.crf.log_space import widened


class Packing(NamedTuple):
    """Where each position goes when rows are packed to the left, and where it came from."""

    source: Tensor  # (B, T) int64: the original position of each packed one; past the length, the masked ones
    target: Tensor  # (B, T) int64: the packed position of each unmasked one; anything in range where masked
    lengths: Tensor  # (B,) int64: how many positions of each row are unmasked
    inside: Tensor  # (B, T) bool: packed position < length

    def pack(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """Pack ``values`` (B, T, ...) to the left, with ``fill`` past each row's length.

        What stood at masked positions (NaN, -100) is gone, from the values and from their gradients.
        """
        return at(values, self.source).masked_fill(~_like(self.inside, values), fill)

    def unpack(self, packed: Tensor, mask: Tensor, fill: float = 0.0) -> Tensor:
        """The inverse of :meth:`pack`, with ``fill`` where ``mask`` (B, T) is off."""
        return at(packed, self.target).masked_fill(~_like(mask, packed), fill)

    def moves(self, transitions: Tensor, pairwise: Tensor | None) -> list[Tensor]:
        """The scores of going from tag to tag on entering each packed position, wide; of no use at the first.

        Args:
            transitions: (K, K).
            pairwise: (B, T - 1, K, K), added to them on entering position t + 1; or None.

        Returns:
            T times (K, K), or (B, K, K) where there are pairwise scores.
        """
        (wide,) = widened(transitions)
        if pairwise is None:
            return [wide] * self.source.shape[1]
        entering = torch.nn.functional.pad(pairwise, (0, 0, 0, 0, 1, 0))  # nothing enters position 0
        return list((wide + widened(self.pack(entering))[0]).unbind(dim=1))


def packing(mask: Tensor) -> Packing:
    """The packing of a mask (B, T) of dtype bool. No host synchronisation."""
    source = torch.argsort(mask.to(torch.uint8), dim=1, descending=True, stable=True)
    ranks = mask.cumsum(dim=1)
    lengths = mask.sum(dim=1)
    inside = torch.arange(mask.shape[1], device=mask.device) < lengths[:, None]
    return Packing(source, (ranks - 1).clamp(min=0), lengths, inside)


def to_lists(tags: Tensor, mask: Tensor) -> list[list[int]]:
    """The unmasked ones of tags (B, T), a list a row. Waits for the device."""
    kept, on = tags.cpu().numpy(), mask.cpu().numpy()  # whose indexing takes a quarter of torch's time
    flat = kept[on].tolist()
    stops = on.sum(axis=1).cumsum().tolist()
    return [flat[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def _like(positions: Tensor, values: Tensor) -> Tensor:
    """Something about positions (B, T), with an axis of 1 for each further one of ``values`` (B, T, ...)."""
    return positions.reshape(*positions.shape, *[1] * (values.dim() - 2))
