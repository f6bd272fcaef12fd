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
    """The permutation that packs the unmasked positions of each row to the left, and its inverse."""

    source: Tensor  # (B, T) int64: the original position of each packed one; past the length, the masked ones
    target: Tensor  # (B, T) int64: the packed position of each unmasked one; in range where masked
    lengths: Tensor  # (B,) int64: how many positions of each row are unmasked
    inside: Tensor  # (B, T) bool: packed position < length

    def pack(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """Pack ``values`` (B, T, ...) to the left, with ``fill`` past each row's length.

        Values at masked positions (NaN, -100) are dropped, and get no gradient.
        """
        return at(values, self.source).masked_fill(~_like(self.inside, values), fill)

    def unpack(self, packed: Tensor, mask: Tensor, fill: float = 0.0) -> Tensor:
        """The inverse of :meth:`pack`, with ``fill`` where ``mask`` (B, T) is off."""
        return at(packed, self.target).masked_fill(~_like(mask, packed), fill)

    def moves(self, transitions: Tensor, pairwise: Tensor | None) -> list[Tensor]:
        """The transition scores on entering each packed position, in float64; those of position 0 are unused.

        Args:
            transitions: (K, K).
            pairwise: (B, T - 1, K, K), added to them on entering position t + 1; or None.

        Returns:
            T times (K, K), or (B, K, K) with pairwise scores.
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
    """The unmasked tags of (B, T), one list per row. Waits for the device."""
    paths, on = tags.cpu().numpy(), mask.cpu().numpy()  # NumPy's indexing takes a quarter of torch's time
    flat = paths[on].tolist()
    stops = on.sum(axis=1).cumsum().tolist()
    return [flat[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def _like(positions: Tensor, values: Tensor) -> Tensor:
    """``positions`` (B, T), broadcastable to ``values`` (B, T, ...)."""
    return positions.reshape(*positions.shape, *[1] * (values.dim() - 2))
