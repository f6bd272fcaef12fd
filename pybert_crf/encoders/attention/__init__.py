"""The kinds of attention, by their names in `EncoderConfig.attention`.

A kind consists of two modules. The first exists once in an encoder and computes from each batch the context
that all layers share: the mask and, in some kinds, embeddings of relative positions. The second is the
attention of one layer.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from pybert_crf.encoders.attention.biased import BiasedAttention, PositionBiases
from pybert_crf.encoders.attention.block_sparse import BlockSparseAttention
from pybert_crf.encoders.attention.dense import DenseAttention, PaddingMask
from pybert_crf.encoders.attention.disentangled import DisentangledAttention, RelativePositions
from pybert_crf.encoders.attention.rotary import RotaryAttention, RotaryPositions


class AttentionKind(NamedTuple):
    """The two modules of a kind, both built from an ``EncoderConfig``; a layer also takes its number."""

    context: type[nn.Module]  # (embeddings (B, L, D), attention_mask (B, L) or None) -> context
    layer: type[nn.Module]  # (x (B, L, D), context) -> (B, L, D); both (T, D) if the context has a packing


ATTENTIONS = {
    "dense": AttentionKind(PaddingMask, DenseAttention),
    "biased": AttentionKind(PositionBiases, BiasedAttention),
    "disentangled": AttentionKind(RelativePositions, DisentangledAttention),
    "block_sparse": AttentionKind(PaddingMask, BlockSparseAttention),
    "rotary": AttentionKind(RotaryPositions, RotaryAttention),
}
