"""The shape of an encoder: one flat record of checked values, the same for every family."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pybert_crf.encoders.activations import ACTIVATIONS

# Bidirectional encoders of three sizes, to train from scratch: layers, width, heads.
SIZES = {"tiny": (2, 128, 2), "small": (4, 256, 4), "base": (12, 768, 12)}


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes and options of an encoder; the defaults are those of the original BERT (Devlin et al., 2019).

    Raises ``ValueError`` or ``TypeError`` naming the field, where a value cannot be.
    """

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int = 512  # the longest sequence, in pieces
    num_segments: int = 2  # how many values token_type_ids can take
    activation: str = "gelu"  # of the feed-forward layers; a key of ACTIVATIONS
    norm_eps: float = 1e-12
    hidden_dropout: float = 0.1  # after the embeddings and after each half of a layer
    attention_dropout: float = 0.1  # on the attention weights
    init_std: float = 0.02
    pad_id: int | None = 0  # this row of the word embeddings starts at 0 and gets no gradient
    model_type: str = "bert"  # the family whose names and files the encoder reads and writes

    def __post_init__(self) -> None:
        for name in ("vocab_size", "hidden_size", "num_heads", "intermediate_size"):
            self._check_integer(name, at_least=1)
        for name in ("max_positions", "num_segments"):
            self._check_integer(name, at_least=1)
        self._check_integer("num_layers", at_least=0)
        self._check_number("norm_eps", 0.0, math.inf)
        self._check_number("init_std", 0.0, math.inf)
        self._check_number("hidden_dropout", 0.0, 1.0)
        self._check_number("attention_dropout", 0.0, 1.0)
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not divisible by num_heads {self.num_heads}")
        if self.activation not in ACTIVATIONS:
            known = ", ".join(sorted(ACTIVATIONS))
            raise ValueError(f"unknown activation {self.activation!r}; known: {known}")
        if self.pad_id is not None:
            self._check_integer("pad_id", at_least=0)
            if self.pad_id >= self.vocab_size:
                raise ValueError(f"pad_id {self.pad_id} is outside a vocabulary of {self.vocab_size} pieces")

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads

    @classmethod
    def from_size(cls, size: str, *, vocab_size: int, pad_id: int | None = 0) -> EncoderConfig:
        """Return the shape called ``size``: "tiny", "small" or "base", feed-forward four times as wide.

        Raises ``ValueError`` for another size.
        """
        if size not in SIZES:
            raise ValueError(f"unknown encoder size {size!r}; known: {', '.join(SIZES)}")
        layers, width, heads = SIZES[size]
        return cls(vocab_size, width, layers, heads, intermediate_size=4 * width, pad_id=pad_id)

    def _check_integer(self, name: str, *, at_least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an integer, got {value!r}")
        if value < at_least:
            raise ValueError(f"{name} must be at least {at_least}, got {value}")

    def _check_number(self, name: str, low: float, below: float) -> None:
        value = getattr(self, name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(f"{name} must be a number, got {value!r}")
        if not low <= value < below:
            raise ValueError(f"{name} must be in [{low}, {below}), got {value}")
