"""Biased attention (T5): each head adds a learned number to the scores, by the bucket of the distance.

Raffel et al. (2020), "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
section 2.1. All layers share the biases, or each has its own (UMT5; Chung et al., 2023, "UniMax").
Shapes: B sequences of L pieces, H heads of d units.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pybert_crf.encoders.attention.dense import DenseAttention, PaddingMask, additive_mask
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.dropout import dropout

# On the CPU biases and mask are added for this many scores at once, in groups of sequences, so that the sum
# stays in the cache.
CHUNK = 1 << 21


class Biases(NamedTuple):
    """The context that all layers share."""

    mask: Tensor | None  # (B, 1, 1, L) or (B, 1, L, L) bool
    buckets: Tensor  # (L, L) int64: the bucket of each query and key
    shared: Tensor | None  # (1, H, L, L): the biases of all layers


class PositionBiases(PaddingMask):
    """The buckets of a batch's distances, and the biases that all layers share."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        options = config.relative_bias
        self.one_way = options.buckets // 2
        self.steps = distance_buckets(self.one_way, options.max_distance, config.max_positions)
        shared = options.shared and config.num_layers > 0
        self.embedding = nn.Embedding(options.buckets, config.num_heads) if shared else None

    def forward(self, embedded: Tensor, attention_mask: Tensor | None) -> Biases:  # type: ignore[override]
        mask = super().forward(embedded, attention_mask)
        positions = torch.arange(embedded.shape[1], device=embedded.device)
        distances = positions - positions[:, None]  # from query to key
        steps = torch.tensor(self.steps, device=embedded.device)
        buckets = steps[distances.abs()] + self.one_way * (distances > 0)
        shared = None if self.embedding is None else _by_head(self.embedding, buckets)
        return Biases(mask, buckets, shared)


class BiasedAttention(DenseAttention):
    """Attention of every position to every unpadded one, with a bias for their distance."""

    def __init__(self, config: EncoderConfig, number: int) -> None:
        super().__init__(config, number)
        options = config.relative_bias
        self.biases = None if options.shared else nn.Embedding(options.buckets, config.num_heads)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, context: Biases) -> Tensor:
        bias = context.shared if self.biases is None else _by_head(self.biases, context.buckets)
        assert bias is not None
        bias = bias.to(query.dtype)
        mask = None if context.mask is None else additive_mask(context.mask, query.dtype)
        probability = self.attention_dropout if self.training else 0.0
        on_cpu = query.device.type == "cpu"
        if on_cpu and (probability > 0.0 or bias.requires_grad):  # torch has no fused kernel for these
            scores = ((query * self.scale if self.scale != 1.0 else query) @ key.transpose(2, 3)).add_(bias)
            if mask is not None:
                scores = scores.add_(mask)
            return dropout(scores.softmax(-1), probability) @ value
        if mask is None or not on_cpu or torch.compiler.is_compiling():
            return self._fused(query, key, value, bias if mask is None else bias + mask, probability)
        step = max(1, CHUNK // max(1, bias.numel()))
        parts = (torch.split(part, step) for part in (query, key, value, mask))
        fused = [self._fused(q, k, v, bias + hidden, 0.0) for q, k, v, hidden in zip(*parts, strict=True)]
        return torch.cat(fused)

    def _fused(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, probability: float) -> Tensor:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, dropout_p=probability, scale=self.scale
        )


def distance_buckets(buckets: int, max_distance: int, longest: int) -> tuple[int, ...]:
    """Return the bucket of each distance 0 … ``longest`` in one direction, of ``buckets`` in this direction.

    The first half have one distance each, the others logarithmically more, up to ``max_distance``. Computed
    in float32, as in ``transformers``, so that distances at a border agree.
    """
    single = buckets // 2
    distance = torch.arange(longest + 1, device="cpu")
    share = torch.log(distance.clamp(min=single).float() / single) / math.log(max_distance / single)
    wide = single + (share * (buckets - single)).to(torch.int64)
    return tuple(torch.where(distance < single, distance, wide.clamp(max=buckets - 1)).tolist())


def _by_head(embedding: nn.Embedding, buckets: Tensor) -> Tensor:
    """Return the biases of the buckets, (1, H, L, L)."""
    biases: Tensor = embedding(buckets)  # (L, L, H)
    return biases.permute(2, 0, 1).contiguous()[None]
