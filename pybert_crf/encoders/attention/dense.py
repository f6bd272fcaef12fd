"""Dense attention, used by most families: every position attends to every other, or to those before it.

Shapes: B sequences of L pieces, D = ``hidden_size``, H heads of d units (d = D / H unless configured).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.dropout import dropout
from pybert_crf.encoders.linear import Linear


class PaddingMask(nn.Module):
    """The context of dense attention: a mask that hides the padding, and what follows if causal."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.causal = config.attention.causal

    def forward(self, embedded: Tensor, attention_mask: Tensor | None) -> Tensor | None:
        mask = broadcastable_mask(attention_mask)
        if not self.causal:
            return mask
        length = embedded.shape[1]
        triangle = torch.ones(1, 1, length, length, dtype=torch.bool, device=embedded.device).tril()
        return triangle if mask is None else mask & triangle


class DenseAttention(nn.Module):
    """Scaled dot-product attention of every position to every unpadded one (Vaswani et al., 2017)."""

    def __init__(self, config: EncoderConfig, number: int) -> None:
        super().__init__()
        options = config.attention
        self.num_heads, self.head_size = config.num_heads, config.head_size
        self.attention_dropout = options.dropout
        self.scale = config.head_size**-0.5 if options.scaled else 1.0
        if options.scale_by_layer:
            self.scale /= number + 1
        inner = config.num_heads * config.head_size
        # One product instead of three.
        self.qkv = Linear(config.hidden_size, 3 * inner, bias=options.query_bias)
        self.out = Linear(inner, config.hidden_size, bias=options.output_bias)

    def forward(self, x: Tensor, context: Any) -> Tensor:
        B, L, _ = x.shape
        qkv = self.qkv(x).view(B, L, 3, self.num_heads, self.head_size)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind()  # each (B, H, L, d)
        x = self.attend(query, key, value, context)
        mixed: Tensor = self.out(x.transpose(1, 2).reshape(B, L, self.num_heads * self.head_size))
        return mixed

    def attend(self, query: Tensor, key: Tensor, value: Tensor, context: Any) -> Tensor:
        """Return the attended values, (B, H, L, d); queries, keys and values have the same shape.

        ``context`` is that of the kind of attention: here the mask.
        """
        return attend(
            query, key, value, context, self.attention_dropout if self.training else 0.0, self.scale
        )


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    probability: float,
    scale: float | None = None,
) -> Tensor:
    """Attend from (B, H, L, d) queries to the keys and values where ``mask`` is true.

    ``mask`` is bool, (B, 1, 1 or L, L); one of floating point is added to the scores instead. The scores are
    products times ``scale``, by default 1 / √d. ``probability`` is the dropout probability of the attention
    weights. With dropout torch has no fused kernel for the CPU, and its unfused one takes 1.5 times as long
    as this: it draws more random numbers.
    """
    if query.device.type != "cpu" or probability == 0.0:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=probability, scale=scale
        )
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = (query * scale) @ key.transpose(2, 3)  # (B, H, L, L)
    if mask is not None:
        scores = scores + (mask if mask.is_floating_point() else additive_mask(mask, scores.dtype))
    return dropout(scores.softmax(-1), probability) @ value


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 0 where ``mask`` is true and the lowest finite number elsewhere, in the mask's shape.

    Not -inf, so that a sequence of padding only does not become NaN.
    """
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)


def broadcastable_mask(attention_mask: Tensor | None) -> Tensor | None:
    """Reshape a (B, L) mask of bool or integers to (B, 1, 1, L) bool; None (faster) if nothing is padded.

    The mask is searched for padding on the CPU only: on a GPU that would wait for the device.
    """
    if attention_mask is None:
        return None
    mask = attention_mask.to(torch.bool)
    if mask.device.type == "cpu" and not torch.compiler.is_compiling() and bool(mask.all()):
        return None
    return mask[:, None, None, :]
