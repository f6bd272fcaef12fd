"""Disentangled attention (DeBERTa): separate scores for the contents of two pieces and for their distance.

He et al. (2021), "DeBERTa: Decoding-enhanced BERT with Disentangled Attention", equations 2 to 4; log buckets
of He et al. (2023), "DeBERTaV3". The score of query i and key j, with δ the bucket of the distance i - j, is

    (q_i·k_j + q_i·k_δ + k_j·q_δ) / sqrt(d · (1 + n)),

where n is the number of position terms (the last two) that the configuration has.

Shapes: B sequences of L pieces, D = ``hidden_size``, H heads of d = D / H.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pybert_crf.encoders.attention.dense import broadcastable_mask
from pybert_crf.encoders.attention.distances import position_scores
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.dropout import Dropout, dropout
from pybert_crf.encoders.linear import Linear, linear
from pybert_crf.encoders.low_rank import weight_of
from pybert_crf.encoders.norms import norm

# On the CPU this many scores are computed at once, in groups of heads, so that they stay in the cache.
CHUNK = 1 << 21


class Relations(NamedTuple):
    """The context that all layers share: the mask and the embeddings of the distances between pieces."""

    mask: Tensor | None  # (B, 1, 1, L) bool
    embeddings: Tensor | None  # (R, D), of the distances that occur in a batch of this length
    rows: Tensor | None  # (2L + 1,) int64: the row of `embeddings` for each distance L, L - 1 … -L


class RelativePositions(nn.Module):
    """The embeddings of distances, and the selection of those that a batch needs."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        options = config.disentangled
        self.span = options.max_distance if options.max_distance > 0 else config.max_positions
        self.steps: tuple[int, ...] = ()
        if options.position_buckets > 0:
            self.steps = log_buckets(options.position_buckets, self.span, config.max_positions)
            self.span = options.position_buckets
        # If no bucket exceeds its distance, short sequences need few of the embeddings.
        self.near = all(step <= distance for distance, step in enumerate(self.steps))
        self.embedding = (
            nn.Embedding(2 * self.span, config.hidden_size) if options.relative_positions else None
        )
        self.norm = (
            norm(config, config.hidden_size)
            if options.relative_positions and options.relative_norm
            else nn.Identity()
        )

    def forward(self, embedded: Tensor, attention_mask: Tensor | None) -> Relations:
        mask = broadcastable_mask(attention_mask)
        if self.embedding is None:
            return Relations(mask, None, None)
        length = embedded.shape[1]
        buckets = torch.arange(length, -length - 1, -1, device=embedded.device)
        if self.steps:
            steps = torch.tensor(self.steps, device=embedded.device)
            buckets = buckets.sign() * steps[buckets.abs()]
        reach = min(length, self.span) if self.near else self.span
        rows = (buckets + reach).clamp(0, 2 * reach - 1)
        needed = self.embedding.weight[self.span - reach : self.span + reach]
        return Relations(mask, self.norm(needed), rows)


class DisentangledAttention(nn.Module):
    """Attention of every position to every unpadded one, scored by contents and by distance."""

    def __init__(self, config: EncoderConfig, number: int) -> None:
        super().__init__()
        width, heads, options = config.hidden_size, config.num_heads, config.disentangled
        self.num_heads, self.head_size = heads, config.head_size
        self.qkv_by_head = config.attention.qkv_by_head
        self.scale = (config.head_size * (1 + len(options.position_terms))) ** -0.5
        self.attention_dropout = config.attention.dropout
        self.qkv = Linear(width, 3 * width, bias=config.attention.key_bias)
        self.q_bias = None if config.attention.key_bias else nn.Parameter(torch.zeros(width))
        self.v_bias = None if config.attention.key_bias else nn.Parameter(torch.zeros(width))
        self.out = Linear(width, width)
        terms = options.position_terms if options.relative_positions else ()
        self.by_query, self.by_key = "c2p" in terms, "p2c" in terms
        self.shared = options.share_projections
        self.position_key, self.position_query = None, None
        if self.by_query and not self.shared:
            self.position_key = Linear(width, width, bias=config.attention.key_bias)
        if self.by_key and not self.shared:
            self.position_query = Linear(width, width)
        self.position_dropout = Dropout(config.hidden_dropout)
        self.mix_scores = nn.Linear(heads, heads, bias=False) if options.talking_heads else None
        self.mix_weights = nn.Linear(heads, heads, bias=False) if options.talking_heads else None

    def forward(self, x: Tensor, relations: Relations) -> Tensor:
        B, L, D = x.shape
        query, key, value = self._heads(x)
        position_key, position_query = self._positions(relations)
        mask = None
        if relations.mask is not None:
            mask = torch.zeros_like(relations.mask, dtype=query.dtype)
            # The lowest finite number, not -inf, so that a sequence of padding only does not become NaN.
            mask = mask.masked_fill_(~relations.mask, torch.finfo(query.dtype).min).transpose(0, 1)
        step = self.num_heads
        if x.device.type == "cpu" and self.mix_scores is None and not torch.compiler.is_compiling():
            step = max(1, CHUNK // max(1, B * L * L))
        parts = [slice(first, first + step) for first in range(0, self.num_heads, step)]
        attended = []
        for part in parts:
            distances = (None if x is None else x[part] for x in (position_key, position_query))
            bias = position_scores(query[part], key[part], *distances)
            attended.append(self._attend(query[part], key[part], value[part], bias, mask))
        together = torch.cat([part.permute(1, 2, 0, 3) for part in attended], 2)  # (B, L, H, d)
        mixed: Tensor = self.out(together.reshape(B, L, D))
        return mixed

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, (H, B, L, d) each."""
        B, L, _ = x.shape
        if self.q_bias is None or self.v_bias is None:
            qkv = self.qkv(x)
        else:
            biases = torch.stack([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])  # (3, D)
            if self.qkv_by_head:
                biases = biases.view(3, self.num_heads, -1).transpose(0, 1)  # (H, 3, d)
            qkv = linear(x, weight_of(self.qkv), biases.flatten())
        if self.qkv_by_head:
            qkv = qkv.view(B, L, self.num_heads, 3, self.head_size).permute(3, 2, 0, 1, 4)
        else:
            qkv = qkv.view(B, L, 3, self.num_heads, self.head_size).permute(2, 3, 0, 1, 4)
        query, key, value = qkv.unbind()
        return query, key, value

    def _positions(self, relations: Relations) -> tuple[Tensor | None, Tensor | None]:
        """Return scaled keys of the distances L - 1 … -L and queries of 1 - L … L, (H, d, 2L) each."""
        if relations.embeddings is None or relations.rows is None:
            return None, None
        embeddings = self.position_dropout(relations.embeddings)
        D = embeddings.shape[1]
        key = query = None
        if self.by_query:
            if self.position_key is None:
                key = linear(embeddings, weight_of(self.qkv)[D : 2 * D], self.qkv.bias[D : 2 * D])
            else:
                key = self.position_key(embeddings)
            key = self._by_distance(key, relations.rows[1:])
        if self.by_key:
            if self.position_query is None:
                query = linear(embeddings, weight_of(self.qkv)[:D], self.qkv.bias[:D])
            else:
                query = self.position_query(embeddings)
            query = self._by_distance(query, relations.rows.flip(0)[1:])
        return key, query

    def _by_distance(self, projected: Tensor, rows: Tensor) -> Tensor:
        by_distance: Tensor = (projected * self.scale)[rows].view(-1, self.num_heads, self.head_size)
        return by_distance.permute(1, 2, 0)

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        """Attend from (h, B, L, d) queries; ``bias``, (h, B, L, L), and ``mask``, (1, B, 1, L), are added."""
        probability = self.attention_dropout if self.training else 0.0
        fused = not (bias is not None and bias.requires_grad) and probability == 0.0
        if self.mix_scores is None and (fused or query.device.type != "cpu"):
            if bias is not None and mask is not None:
                bias = bias + mask if bias.requires_grad else bias.add_(mask)
            return F.scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=mask if bias is None else bias,
                dropout_p=probability,
                scale=self.scale,
            )
        shape = (*query.shape[:3], key.shape[2])  # (h, B, L, L)
        bias = query.new_zeros(1, 1, 1) if bias is None else bias.flatten(0, 1)
        query, key = query.flatten(0, 1), key.flatten(0, 1)
        scores = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=self.scale).view(shape)
        if self.mix_scores is not None:
            scores = mix_heads(self.mix_scores.weight, scores)
        if mask is not None:
            scores = scores.add_(mask)
        weights = dropout(scores.softmax(-1), probability)
        if self.mix_weights is not None:
            weights = mix_heads(self.mix_weights.weight, weights)
        return weights @ value


def mix_heads(weight: Tensor, x: Tensor) -> Tensor:
    """Mix the heads of (H, B, L, L) linearly (Shazeer et al., 2020, "Talking-Heads Attention")."""
    return (weight @ x.flatten(1)).view_as(x)


def log_buckets(buckets: int, max_distance: int, longest: int) -> tuple[int, ...]:
    """Return the bucket of each distance 0 … ``longest``: one each up to ``buckets`` / 2, then wider ones.

    He et al. (2023). Computed in float32, as in ``transformers``, so that distances at a border agree.
    """
    middle = buckets // 2
    distance = torch.arange(longest + 1, device="cpu")
    widest = torch.tensor((max_distance - 1) / middle, device="cpu")
    ratio = torch.log(distance.clamp(min=middle) / middle) / torch.log(widest)
    wide = torch.ceil(ratio * (middle - 1)).to(torch.int64) + middle
    return tuple(torch.where(distance <= middle, distance, wide).tolist())
