"""Queries, keys and values of packed pieces by head, turned by their positions, as attention reads them.

Memory bounds this step, so that it makes one pass: a few pieces at a time, which stay in the cache, are
turned and written to their place. Keys and values get room before and behind them for windows (`windows`).
Shapes: T pieces, H heads of d units.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

PART = 256  # pieces at a time


class Angles(NamedTuple):
    """Cosines and sines of the angles of all pieces, (T or L, 1, d / 2) in float32 or float64."""

    cos: Tensor
    sin: Tensor


class Room(NamedTuple):
    """Zeros around T pieces: before and behind keys and values, and behind queries."""

    around: int = 0
    behind: int = 0  # more of them, to fill the last block


class Heads(NamedTuple):
    """What attention reads: queries, keys and values of T pieces, with zeros around them."""

    query: Tensor  # (H, T + behind, d)
    key: Tensor  # (H, around + T + behind + around, d)
    value: Tensor  # the same


def angles_of(positions: Tensor, head_size: int, theta: float, dtype: torch.dtype) -> Angles:
    """Return the angles of the ``positions`` (any number) times theta^(-2j / d), j = 0 … d / 2 - 1.

    They are computed in float32, as in ``transformers``; float64 is their dtype if ``dtype`` is.
    """
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    exponents = torch.arange(0, head_size, 2, device=positions.device, dtype=torch.float32) / head_size
    frequencies = 1.0 / theta**exponents
    angles = positions[:, None, None].float() * frequencies
    return Angles(angles.cos().to(wide), angles.sin().to(wide))


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (x_j, x_{j + d/2}) of (…, H, d) by angles (…, 1, d / 2); in the dtype of ``x``."""
    first, second = x.to(cos.dtype).chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


def turned_heads(qkv: Tensor, angles: Angles, room: Room) -> Heads:
    """Return the heads of ``qkv``, (T, 3, H, d)."""
    return Heads(*_TurnedHeads.apply(qkv, *angles, room))  # type: ignore[no-untyped-call]


def _parts(pieces: int) -> Iterator[slice]:
    """Return slices of at most `PART` pieces."""
    return (slice(first, min(first + PART, pieces)) for first in range(0, pieces, PART))


def _empty_heads(like: Tensor, pieces: int, room: Room) -> Heads:
    """Return heads for `_fill` of the dtype of ``like``, (…, H, d), with zeros where no piece will be."""
    H, d = like.shape[-2:]
    made = []
    for before, behind in ((0, room.behind), *((room.around, room.around + room.behind),) * 2):
        tensor = like.new_empty(H, before + pieces + behind, d)
        tensor[:, :before].zero_()
        tensor[:, before + pieces :].zero_()
        made.append(tensor)
    return Heads(*made)


def _fill(heads: Heads, rows: slice, qkv: Tensor, angles: Angles, room: Room) -> None:
    """Write the pieces ``rows``, of which ``qkv`` is (pieces, 3, H, d), into ``heads``; no gradient."""
    cos, sin = angles.cos[rows], angles.sin[rows]
    _turn_into(_pieces(heads.query, rows, 0), qkv[:, 0], cos, sin)
    _turn_into(_pieces(heads.key, rows, room.around), qkv[:, 1], cos, sin)
    _pieces(heads.value, rows, room.around).copy_(qkv[:, 2])


class _TurnedHeads(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor, room: Room) -> tuple[Tensor, ...]:
        ctx.save_for_backward(cos, sin)
        ctx.room = room
        heads = _empty_heads(qkv, qkv.shape[0], room)
        for rows in _parts(qkv.shape[0]):
            _fill(heads, rows, qkv[rows], Angles(cos, sin), room)
        return tuple(heads)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        around = ctx.room.around
        H, _, d = query.shape
        grad = query.new_empty(cos.shape[0], 3, H, d)
        for rows in _parts(cos.shape[0]):
            back = cos[rows], -sin[rows]
            _turn_into(grad[rows, 0], _pieces(query, rows, 0), *back)
            _turn_into(grad[rows, 1], _pieces(key, rows, around), *back)
            grad[rows, 2].copy_(_pieces(value, rows, around))
        return grad, None, None, None


def _pieces(x: Tensor, rows: slice, before: int) -> Tensor:
    """View the pieces ``rows`` of (H, before + T + …, d) as (pieces, H, d)."""
    return x[:, before + rows.start : before + rows.stop].transpose(0, 1)


def _turn_into(turned: Tensor, x: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Write ``x``, (pieces, H, d), turned into ``turned``, of the same shape."""
    if x.dtype != cos.dtype:
        turned.copy_(turn(x, cos, sin))
        return
    (first, second), (to_first, to_second) = x.chunk(2, -1), turned.chunk(2, -1)
    torch.mul(first, cos, out=to_first).addcmul_(second, sin, value=-1.0)
    torch.mul(second, cos, out=to_second).addcmul_(first, sin)
