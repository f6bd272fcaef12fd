"""The embeddings of every family: words, positions, segments, tasks, languages, as configured."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.dropout import Dropout
from pybert_crf.encoders.linear import Linear
from pybert_crf.encoders.norms import norm


class Embedding(nn.Embedding):
    """``nn.Embedding`` that draws nothing on the meta device, where torch imports its compiler for that."""

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:
            super().reset_parameters()


class Embeddings(nn.Module):
    """The sum of all embeddings, normalised, and projected if the layers have another width.

    Shapes: B sequences of L pieces, E = ``embedding_size``, D = ``hidden_size``.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        options, width = config.embeddings, config.embeddings.size
        self.positions = options.positions
        self.segments_are_words = options.segments_are_words
        self.pad_id = -1 if config.pad_id is None else config.pad_id  # no id is -1
        fixed = None if options.train_padding else config.pad_id
        self.word = Embedding(config.vocab_size, width, padding_idx=fixed)
        if options.positions != "none":
            skipped = config.pad_id if options.positions == "after_padding" else None
            self.position = Embedding(config.max_positions, width, padding_idx=skipped)
            self.position.weight.requires_grad_(options.positions != "sinusoidal")
        self.task = Embedding(options.num_tasks, width) if options.tasks else None
        self.segment = Embedding(options.num_segments, width) if options.num_segments else None
        self.language = Embedding(options.num_languages, width) if options.has_languages else None
        self.project_first = options.project_first
        self.drop_first = options.drop_first
        self.scale = width**0.5 if options.scale_words else 1.0
        self.projection = (
            Linear(width, config.hidden_size, bias=not options.project_first)
            if config.has_projection
            else nn.Identity()
        )
        normed = config.hidden_size if options.project_first else width
        self.norm = norm(config, normed) if options.norm else nn.Identity()
        self.dropout = Dropout(config.hidden_dropout if options.dropout is None else options.dropout)

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor | None = None, language_ids: Tensor | None = None
    ) -> Tensor:
        """Return the embeddings, (B, L, D), of (B, L) int64 ids each."""
        x = self.word(input_ids)  # (B, L, E)
        if self.scale != 1.0:
            x = x * self.scale
        if self.segments_are_words:
            x = x if token_type_ids is None else x + self.word(token_type_ids)
        elif self.segment is not None:
            x = x + (self.segment.weight[0] if token_type_ids is None else self.segment(token_type_ids))
        if self.task is not None:
            x = x + self.task.weight[0]
        if self.positions == "after_padding":
            x = x + self.position(positions_after_padding(input_ids, self.pad_id))
        elif self.positions != "none":
            x = x + self.position.weight[: input_ids.shape[1]]  # (L, E)
        if self.language is not None and language_ids is not None:
            x = x + self.language(language_ids)
        if self.project_first:
            x = self.projection(x)
        x = self.norm(self.dropout(x)) if self.drop_first else self.dropout(self.norm(x))
        embedded: Tensor = x if self.project_first else self.projection(x)
        return embedded


def positions_after_padding(input_ids: Tensor, pad_id: int) -> Tensor:
    """Return positions, (B, L): ``pad_id`` at padding, ``pad_id`` + 1, + 2 … at the other pieces in order."""
    kept = input_ids != pad_id
    return kept.cumsum(1) * kept + pad_id


def sinusoids(rows: int, width: int) -> Tensor:
    """Return sines (even columns j) and cosines (odd j) of row / 10000^(2⌊j/2⌋ / width), (rows, width).

    Vaswani et al. (2017), section 3.5. Computed in float64, returned in float32.
    """
    columns = torch.arange(width, dtype=torch.float64) // 2 * 2 / width
    angles = torch.arange(rows, dtype=torch.float64)[:, None] / 10000.0**columns
    return torch.where(torch.arange(width) % 2 == 0, angles.sin(), angles.cos()).float()
