"""Attention to near pieces only, in blocks of queries that skip the keys out of sight.

The pieces of all rows lie one after the other (`packing`). A block of S queries sees the keys from h pieces
before it to h pieces behind it, S + 2h of them, which are overlapping views of one tensor; a mask hides what
is further away and what belongs to another row. The same idea, for decoders: Beltagy et al. (2020),
"Longformer". Shapes: T pieces in N blocks of S, H heads of d units.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pybert_crf.encoders.attention.dense import additive_mask, attend
from pybert_crf.encoders.attention.heads import Heads, Room
from pybert_crf.encoders.attention.packing import Packing

# Queries of a block: as many as the reach, within these bounds. Fewer compute fewer scores that are then
# masked, more are faster per score.
MIN_BLOCK, MAX_BLOCK = 16, 64


class Windows(NamedTuple):
    """The blocks of a batch, for all layers."""

    block: int  # S
    room: Room  # h zeros around the pieces, and those that fill the last block
    mask: Tensor  # (N, 1, S, S + 2h), added to the scores


def windows_of(packing: Packing, reach: int, like: Tensor) -> Windows:
    """Return the blocks of the pieces of a batch; the mask has the device and dtype of ``like``."""
    block = min(max(1 << max(reach - 1, 0).bit_length(), MIN_BLOCK), MAX_BLOCK)
    L = packing.shape[1]
    # One number for each piece: pieces of different rows are further apart than any window reaches.
    apart = packing.columns(like.device) + packing.rows(like.device) * (L + reach)
    blocks = max(1, -(-apart.shape[0] // block))
    behind = blocks * block - apart.shape[0]
    queries = F.pad(apart, (0, behind), value=-1 - reach)
    keys = F.pad(apart, (reach, reach + behind), value=-2 - 2 * reach)
    distance = queries.view(blocks, block, 1) - keys.unfold(0, block + 2 * reach, block)[:, None]
    return Windows(block, Room(reach, behind), additive_mask(distance.abs()[:, None] <= reach, like.dtype))


def attend_windows(heads: Heads, windows: Windows, probability: float) -> Tensor:
    """Return the attended values, (N · S, D), of heads with the room of the windows.

    ``probability`` is the dropout probability of the attention weights.
    """
    H, _, d = heads.query.shape
    block, width = windows.block, windows.mask.shape[3]
    queries = heads.query.view(H, -1, block, d).transpose(0, 1)
    keys, values = (_overlapping(x, block, width).transpose(0, 1) for x in (heads.key, heads.value))
    attended = attend(queries, keys, values, windows.mask.to(queries.dtype), probability)  # (N, H, S, d)
    return attended.transpose(1, 2).reshape(-1, H * d)


def _overlapping(x: Tensor, block: int, width: int) -> Tensor:
    """View (H, P, d) as (H, N, width, d), N blocks that begin ``block`` pieces apart."""
    view: Tensor = _Overlapping.apply(x, block, width)  # type: ignore[no-untyped-call]
    return view


class _Overlapping(torch.autograd.Function):
    """The same, with a gradient that adds slices, where `unfold`'s visits each element."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, block: int, width: int) -> Tensor:
        ctx.block = block
        return x.unfold(1, width, block).transpose(2, 3)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        block = ctx.block
        H, N, width, d = grad.shape
        steps = -(-width // block)
        total = grad.new_zeros(H, N + steps - 1, block, d)
        for step in range(steps):
            part = grad[:, :, step * block : (step + 1) * block]
            total[:, step : step + N, : part.shape[2]] += part
        return total.flatten(1, 2)[:, : (N - 1) * block + width], None, None
