"""The kinds of attention, by the names that `EncoderConfig.attention` has for them.

A kind is two modules. One is made once for an encoder and tells, of each batch, what all layers share (the
mask; relative positions and their embeddings, where a kind has them). The other is each layer's own.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from pybert_crf.encoders.attention.block_sparse import BlockSparseAttention
from pybert_crf.encoders.attention.dense import DenseAttention, PaddingMask
from pybert_crf.encoders.attention.disentangled import DisentangledAttention, RelativePositions


class AttentionKind(NamedTuple):
    """The two modules of a kind of attention, made from an ``EncoderConfig`` (and the layer's number)."""

    context: type[nn.Module]  # (embeddings (B, L, D), attention_mask (B, L) or None) -> context
    layer: type[nn.Module]  # (x (B, L, D), context) -> (B, L, D)


ATTENTIONS = {
    "dense": AttentionKind(PaddingMask, DenseAttention),
    "disentangled": AttentionKind(RelativePositions, DisentangledAttention),
    "block_sparse": AttentionKind(PaddingMask, BlockSparseAttention),
}
