"""Dense attention, used by most families: every position attends to every other.

Shapes: B sequences of L pieces, D = ``hidden_size``, H heads of d = D / H.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.dropout import dropout
from pybert_crf.encoders.linear import Linear


class PaddingMask(nn.Module):
    """The context of dense attention: a mask that hides the padding from every position."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()

    def forward(self, embedded: Tensor, attention_mask: Tensor | None) -> Tensor | None:
        return broadcastable_mask(attention_mask)


class DenseAttention(nn.Module):
    """Scaled dot-product attention of every position to every unpadded one (Vaswani et al., 2017)."""

    def __init__(self, config: EncoderConfig, number: int) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.attention_dropout = config.attention.dropout
        # One product instead of three.
        self.qkv = Linear(config.hidden_size, 3 * config.hidden_size, bias=config.attention.query_bias)
        self.out = Linear(config.hidden_size, config.hidden_size, bias=config.attention.output_bias)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        B, L, D = x.shape
        qkv = self.qkv(x).view(B, L, 3, self.num_heads, D // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind()  # each (B, H, L, d)
        x = self.attend(query, key, value, mask)
        mixed: Tensor = self.out(x.transpose(1, 2).reshape(B, L, D))
        return mixed

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Return the attended values, (B, H, L, d); queries, keys and values have the same shape."""
        return attend(query, key, value, mask, self.attention_dropout if self.training else 0.0)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, probability: float) -> Tensor:
    """Attend from (B, H, L, d) queries to the keys and values where ``mask`` is true.

    ``mask`` is bool, (B, 1, 1 or L, L); one of floating point is added to the scores instead.
    ``probability`` is the dropout probability of the attention weights. With dropout torch has no fused
    kernel for the CPU, and its unfused one takes 1.5 times as long as this: it draws more random numbers.
    """
    if query.device.type != "cpu" or probability == 0.0:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=probability)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)  # (B, H, L, L)
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
