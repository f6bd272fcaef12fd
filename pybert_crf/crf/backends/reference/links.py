"""Neighbouring positions in the chain of each row, for any mask, in the unpacked layout."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Links(NamedTuple):
    """The chain of each row of a mask (B, T) with T > 0. A position that does not exist is 0, in range."""

    before: Tensor  # (B, T - 1) int64: the last unmasked position before position t + 1
    linked: Tensor  # (B, T - 1) bool: position t + 1 is unmasked, and so is one before it
    first: Tensor  # (B, 1) int64: the first unmasked position
    last: Tensor  # (B, 1) int64: the last one
    nonempty: Tensor  # (B,) bool: there is one


def links(mask: Tensor) -> Links:
    """The links of a mask (B, T) of dtype bool, T > 0. No host synchronisation."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    latest = torch.where(mask, positions, -1).cummax(dim=1).values  # (B, T), -1 where there is none yet
    before, last = latest[:, :-1], latest[:, -1:]
    return Links(
        before.clamp(min=0),
        mask[:, 1:] & (before >= 0),
        mask.to(torch.uint8).argmax(dim=1, keepdim=True),
        last.clamp(min=0),
        last[:, 0] >= 0,
    )


def at(values: Tensor, positions: Tensor) -> Tensor:
    """``values[b, positions[b, n]]`` (B, n, ...) for values (B, T, ...) and positions (B, n)."""
    index = positions.reshape(*positions.shape, *[1] * (values.dim() - 2))
    return values.gather(1, index.expand(*positions.shape, *values.shape[2:]))
