"""Attention with rotary positions (Su et al., 2021, "RoFormer"), of every n-th layer to the whole sequence.

A query at position i and a key at position j are turned by the angles i·ω and j·ω, so that their product
depends on i - j only; ω are d / 2 frequencies, powers of theta. Most layers see a window only, as in
ModernBERT (Warner et al., 2024), and their frequencies are others.

Padding is left out (`packing`) on the CPU, where windows are computed in blocks (`windows`), and on a GPU in
half precision (`varlen`). Elsewhere, and in compiled or exported graphs, masks hide the padding and what is
out of sight.
Shapes: B rows of L positions, T pieces that are not padding, D = ``hidden_size``, H heads of d = D / H.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pybert_crf.encoders.attention.dense import attend, broadcastable_mask
from pybert_crf.encoders.attention.heads import Angles, Heads, Room, angles_of, turn, turned_heads
from pybert_crf.encoders.attention.packing import Packing, packing_of
from pybert_crf.encoders.attention.varlen import Rows, attend_varlen, computing_dtype, kernel_for, rows_of
from pybert_crf.encoders.attention.windows import Windows, attend_windows, windows_of
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.linear import Linear


class Sight(NamedTuple):
    """The context of a kind of layers: how queries and keys are turned, and what they see."""

    angles: Angles
    mask: Tensor | None = None  # of `attend`, if padding is not left out
    windows: Windows | None = None  # on the CPU, if it is; None: each piece sees its whole row
    rows: Rows | None = None  # on a GPU, if it is


class Rotary(NamedTuple):
    """The context that all layers share."""

    packing: Packing | None  # None: hidden states are (B, L, D); else (T, D)
    whole: Sight  # of layers that see the whole sequence
    near: Sight  # of those that see a window


class RotaryPositions(nn.Module):
    """The angles of a batch's positions, and what each kind of layers sees."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.head_size = config.head_size
        self.theta, self.local_theta = config.rotary.theta, config.rotary.local_theta
        self.reach = config.rotary.window // 2
        self.attention_dropout = config.attention.dropout

    def forward(self, embedded: Tensor, attention_mask: Tensor | None) -> Rotary:
        if torch.compiler.is_compiling():
            return self.masked(embedded, attention_mask)
        (B, L, _), device = embedded.shape, embedded.device
        probability = self.attention_dropout if self.training else 0.0
        kernel = kernel_for(device, computing_dtype(embedded), self.head_size, probability)
        if kernel is None and device.type != "cpu":
            return self.masked(embedded, attention_mask)
        packing = packing_of((B, L), attention_mask)
        whole, local = self._angles(packing.columns(device), embedded.dtype)
        if kernel is None:
            windows = windows_of(packing, self.reach, embedded) if self.reach + 1 < L else None
            return Rotary(packing, Sight(whole), Sight(local, windows=windows))
        rows = rows_of(packing, kernel, device)
        if rows is None:
            return self.masked(embedded, attention_mask)
        return Rotary(packing, Sight(whole, rows=rows), Sight(local, rows=rows.within(self.reach)))

    def masked(self, embedded: Tensor, attention_mask: Tensor | None) -> Rotary:
        """Return the context of layers that compute padding, too, and hide it by masks."""
        mask = broadcastable_mask(attention_mask)
        columns = torch.arange(embedded.shape[1], device=embedded.device)
        near = ((columns[:, None] - columns).abs() <= self.reach)[None, None]  # (1, 1, L, L)
        whole, local = self._angles(columns, embedded.dtype)
        seen = near if mask is None else near & mask
        return Rotary(None, Sight(whole, mask), Sight(local, seen))

    def _angles(self, columns: Tensor, dtype: torch.dtype) -> tuple[Angles, Angles]:
        whole = angles_of(columns, self.head_size, self.theta, dtype)
        return whole, angles_of(columns, self.head_size, self.local_theta, dtype)


class RotaryAttention(nn.Module):
    """Attention of each piece to all pieces of its row, or to those in a window around it."""

    def __init__(self, config: EncoderConfig, number: int) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.attention_dropout = config.attention.dropout
        self.is_local = number % config.rotary.global_every != 0
        self.qkv = Linear(config.hidden_size, 3 * config.hidden_size, bias=config.attention.query_bias)
        self.out = Linear(config.hidden_size, config.hidden_size, bias=config.attention.output_bias)

    def forward(self, x: Tensor, context: Rotary) -> Tensor:
        sight = context.near if self.is_local else context.whole
        probability = self.attention_dropout if self.training else 0.0
        if context.packing is None:
            qkv = self._project(x)  # (B, L, 3, H, d)
            turned = turn(qkv[:, :, :2].transpose(1, 2), *sight.angles)  # (B, 2, L, H, d)
            query, key = turned.transpose(2, 3).unbind(1)  # each (B, H, L, d)
            value = qkv[:, :, 2].transpose(1, 2)
            attended = attend(query, key, value, sight.mask, probability).transpose(1, 2).flatten(2)
        elif sight.rows is not None:
            attended = attend_varlen(self._project(x), sight.angles, sight.rows)
        elif sight.windows is not None:
            heads = turned_heads(self._project(x), sight.angles, sight.windows.room)
            attended = attend_windows(heads, sight.windows, probability)[: x.shape[0]]
        else:
            heads = turned_heads(self._project(x), sight.angles, Room())
            attended = attend_rows(heads, context.packing.lengths, probability)
        mixed: Tensor = self.out(attended)
        return mixed

    def _project(self, x: Tensor) -> Tensor:
        """Return queries, keys and values, (…, 3, H, d), of (…, D)."""
        projected: Tensor = self.qkv(x)
        return projected.view(*x.shape[:-1], 3, self.num_heads, x.shape[-1] // self.num_heads)


def attend_rows(heads: Heads, lengths: tuple[int, ...], probability: float) -> Tensor:
    """Return the attended values, (T, D): each row attends to itself."""
    H, T, d = heads.query.shape
    if len(set(lengths)) <= 1:
        shape = (H, len(lengths), T // max(1, len(lengths)), d)
        query, key, value = (x.view(shape).transpose(0, 1) for x in heads)
        return attend(query, key, value, None, probability).transpose(1, 2).reshape(T, H * d)
    # `split`, whose gradient is one concatenation, not a sum over rows of tensors full of zeros.
    queries, keys, values = (torch.split(x[None], list(lengths), 2) for x in heads)
    attended = [attend(*part, None, probability) for part in zip(queries, keys, values, strict=True)]
    return torch.cat([row[0].transpose(0, 1).flatten(1) for row in attended])
