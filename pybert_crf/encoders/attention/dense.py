"""Dense attention, which most families have: every position sees every other.

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
    """The context of dense attention: the mask that lets every position see the unpadded ones."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()

    def forward(self, embedded: Tensor, attention_mask: Tensor | None) -> Tensor | None:
        return broadcastable_mask(attention_mask)


class DenseAttention(nn.Module):
    """Scaled dot-product attention of every position to every unpadded one (Vaswani et al., 2017)."""

    def __init__(self, config: EncoderConfig, number: int) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.attention_dropout = config.attention_dropout
        # One product instead of three.
        self.qkv = Linear(config.hidden_size, 3 * config.hidden_size, bias=config.query_bias)
        self.out = Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        B, L, D = x.shape
        qkv = self.qkv(x).view(B, L, 3, self.num_heads, D // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind()  # each (B, H, L, d)
        x = self.attend(query, key, value, mask)
        mixed: Tensor = self.out(x.transpose(1, 2).reshape(B, L, D))
        return mixed

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Return what each query gathers of the values, (B, H, L, d), as all that is given is."""
        return attend(query, key, value, mask, self.attention_dropout if self.training else 0.0)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, probability: float) -> Tensor:
    """Attend from (B, H, L, d) queries to keys and values where ``mask``, (B, 1, 1, L) bool, is true.

    ``probability`` is that of dropout on the weights. torch has no fused kernel with dropout on the CPU, and
    its unfused one takes half as long again as this, for the drawing of random numbers.
    """
    if query.device.type != "cpu" or probability == 0.0:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=probability)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)  # (B, H, L, L)
    if mask is not None:
        # The lowest finite number, not -inf: a sequence that is all padding must not become NaN.
        lowest = torch.finfo(scores.dtype).min
        scores = scores + torch.zeros_like(mask, dtype=scores.dtype).masked_fill_(~mask, lowest)
    return dropout(scores.softmax(-1), probability) @ value


def broadcastable_mask(attention_mask: Tensor | None) -> Tensor | None:
    """Make (B, L) bool or integers into (B, 1, 1, L) bool, or None where nothing is padded (cheaper).

    Whether anything is padded is asked on the CPU only: a GPU would have to be waited for.
    """
    if attention_mask is None:
        return None
    mask = attention_mask.to(torch.bool)
    if mask.device.type == "cpu" and not torch.compiler.is_compiling() and bool(mask.all()):
        return None
    return mask[:, None, None, :]
