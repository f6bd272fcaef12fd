"""Block-sparse attention for long sequences (BigBird): each block of positions attends to a few blocks.

Zaheer et al. (2020), "Big Bird: Transformers for Longer Sequences". The first and the last block attend to
all blocks and are attended to by all; every other block attends to itself, its two neighbours and
``num_random_blocks`` random blocks. The random blocks depend on the layer's number and the length only, as in
``transformers``: in training they are drawn from NumPy's generator, in inference each of them is block 0.
Sequences shorter than all these blocks together use dense attention.
Shapes: B sequences of L pieces, H heads of d units, N blocks of S pieces, R random blocks.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pybert_crf.encoders.attention.dense import DenseAttention
from pybert_crf.encoders.config import EncoderConfig


class BlockSparseAttention(DenseAttention):
    """Attention between blocks of positions, without dropout of the weights; dense for short sequences."""

    def __init__(self, config: EncoderConfig, number: int) -> None:
        super().__init__(config, number)
        self.number = number
        self.block_size = config.block_sparse.block_size
        self.num_random = config.block_sparse.num_random_blocks
        self.max_positions = config.max_positions
        self.longest_dense = (5 + 2 * self.num_random) * self.block_size

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        L = query.shape[2]
        if isinstance(L, torch.SymInt) and not self.training:
            # Exported for any length: one graph serves short and long sequences, with a pattern for both.
            pattern = self._pattern(query)
            if mask is not None:
                pattern = pattern + _additive(mask, query.dtype)
            return F.scaled_dot_product_attention(query, key, value, attn_mask=pattern)
        if self.longest_dense >= L:
            return super().attend(query, key, value, mask)
        blocks = -(-L // self.block_size)
        missing = blocks * self.block_size - L
        if mask is None:
            mask = torch.ones(1, 1, 1, L, dtype=torch.bool, device=query.device)
        visible = F.pad(_additive(mask, query.dtype), (0, missing), value=-math.inf)  # (B, 1, 1, N S)
        query, key, value = (F.pad(x, (0, 0, 0, missing)) for x in (query, key, value))
        S = self.block_size
        ends = torch.cat([query[:, :, :S], query[:, :, -S:]], 2)
        ends = F.scaled_dot_product_attention(ends, key, value, attn_mask=visible)  # (B, H, 2S, d)
        middle = self._attend_inner(query, key, value, visible[:, 0, 0])
        return torch.cat([ends[:, :, :S], middle, ends[:, :, S:]], 2)[:, :, :L]

    def _attend_inner(self, query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
        """Attend from the inner blocks, (B, H, (N - 2) S, d), with the bias ``visible``, (B, N S)."""
        S = self.block_size
        B, H, length, d = query.shape
        middle = length // S - 2
        query = query[:, :, S:-S].reshape(B, H * middle, S, d)
        key, value = (x.view(B, H, -1, S, d) for x in (key, value))
        visible = visible.view(-1, 1, length // S, S)
        first, last = (visible[:, :, i, None].expand(-1, -1, middle, -1) for i in (0, -1))
        # A neighbour that is the first or last block is already attended to as such.
        left = F.pad(visible[:, :, 1:-2], (0, 0, 1, 0), value=-math.inf)
        right = F.pad(visible[:, :, 2:-1], (0, 0, 0, 1), value=-math.inf)
        seen = [first, left, visible[:, :, 1:-1], right, last]
        chosen = None
        if self.training and self.num_random:
            chosen = random_blocks(self.number, H, length, S, self.num_random, self.max_positions).to(
                key.device
            )
            seen = [part.expand(-1, H, -1, -1) for part in seen]
            seen.append(visible[:, 0, chosen].flatten(3))  # (B, H, N - 2, R S)
        else:
            seen[0] = first + math.log1p(self.num_random)  # block 0 counts once more for each random block
        bias = torch.cat(seen, 3)
        bias = bias.expand(B, H, -1, -1).reshape(B, H * middle, 1, -1)
        keys, values = (_neighbours(x, chosen).view(B, H * middle, -1, d) for x in (key, value))
        attended = F.scaled_dot_product_attention(query, keys, values, attn_mask=bias)
        return attended.view(B, H, middle * S, d)

    def _pattern(self, like: Tensor) -> Tensor:
        """Return the bias, (L, L), that makes dense attention equal to block-sparse inference."""
        L = like.shape[2]
        block = torch.arange(L, device=like.device) // self.block_size
        row, column = block[:, None], block
        end = block[-1]
        short = torch.arange(1, L + 1, device=like.device)[-1] <= self.longest_dense
        everywhere = (row == 0) | (row == end) | short
        seen = everywhere | (column == 0) | (column == end) | ((row - column).abs() <= 1)
        again = like.new_full((), math.log1p(self.num_random)) * ((column == 0) & ~everywhere)
        return again.masked_fill(~seen, -math.inf)


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 0 where ``mask`` is true, else the lowest finite number (-inf would turn padding into NaN)."""
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)


def _neighbours(x: Tensor, chosen: Tensor | None) -> Tensor:
    """Return the blocks that each inner block of (B, H, N, S, d) attends to, concatenated in dimension 3."""
    inner = x[:, :, 1:-1]
    first, last = (x[:, :, i, None].expand_as(inner) for i in (0, -1))
    parts = [first, x[:, :, :-2], inner, x[:, :, 2:], last]
    if chosen is not None:
        heads = torch.arange(x.shape[1], device=x.device)[:, None, None]
        parts.append(x[:, heads, chosen].flatten(3, 4))  # (B, H, N - 2, R S, d)
    return torch.cat(parts, 3)


@torch.library.custom_op("pybert_crf::random_blocks", mutates_args=())
def random_blocks(
    layer: int, heads: int, length: int, block_size: int, num_random: int, max_positions: int
) -> Tensor:
    """Return the random blocks of each inner block in training, (H, N - 2, R) int64, on the CPU.

    They are those of ``transformers``: NumPy's generator seeded with the layer's number. ``length`` is N S.
    """
    return torch.from_numpy(_draw(layer, heads, length, block_size, num_random, max_positions).copy())


@random_blocks.register_fake
def _(layer: int, heads: int, length: int, block_size: int, num_random: int, max_positions: int) -> Tensor:
    return torch.empty((heads, length // block_size - 2, num_random), dtype=torch.int64)


@lru_cache(maxsize=64)
def _draw(
    layer: int, heads: int, length: int, block_size: int, num_random: int, max_positions: int
) -> np.ndarray:
    """Draw as the authors' code does: from a plan for three lengths, by a simpler rule for all others."""
    generator = np.random.RandomState(layer)
    blocks = length // block_size
    chosen = np.zeros((heads, blocks - 2, num_random), dtype=np.int64)
    if length in (1024, 3072, 4096):
        total = max_positions // block_size
        for head in range(heads):
            rows = [generator.permutation(seen)[:num_random] for seen in _planned(total, block_size)]
            chosen[head] = rows[: blocks - 2]
        return chosen
    columns = 2 * num_random + 5  # the random blocks are among these first ones
    for row in range(1, blocks - 1):
        barred = {0, row - 1, row, row + 1, columns - 1}
        barred |= {columns - 2} if row == 1 else set()
        barred |= {1} if row == columns - 2 else set()
        for head in range(heads):
            drawn = [block for block in generator.permutation(columns) if block not in barred]
            chosen[head, row - 1] = drawn[:num_random]
    return chosen


def _planned(total: int, block_size: int) -> list[np.ndarray]:
    """Return the candidates for the random blocks of each inner block, of the first 1024 pieces or of all."""
    middle = np.arange(1, total - 1)
    last = 1024 // block_size - 1 if 2 * block_size < 1024 else total - 1
    plan = []
    for row in range(1, total - 1):
        if row in (1, 2):
            plan.append(middle[row + 1 : last])
        elif row in (total - 3, total - 2) or row - 2 > last:
            plan.append(middle[:last])
        elif row + 1 == last:
            plan.append(middle[: row - 2])
        else:
            plan.append(np.concatenate([middle[: row - 2], middle[row + 1 : last]]))
    return plan
