"""The configuration of an encoder: its sizes, and the groups of its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.encoders.config.checks import MAX_LAYERS, MAX_POSITIONS, MAX_SIZE, MAX_STD, Checked
from pybert_crf.encoders.config.groups import (
    AttentionConfig,
    BlockSparseConfig,
    ConvolutionConfig,
    DisentangledConfig,
    EmbeddingsConfig,
    FeedForwardConfig,
    NormsConfig,
    RelativeBiasConfig,
    RotaryConfig,
    SharingConfig,
)
from pybert_crf.reading import quoted

# The fields without a default.
SIZES = ("vocab_size", "hidden_size", "num_layers", "num_heads", "intermediate_size")

# Sizes of encoders to train from scratch: layers, width, heads.
ENCODER_SIZES = {"tiny": (2, 128, 2), "small": (4, 256, 4), "base": (12, 768, 12)}


@dataclass(frozen=True)
class EncoderConfig(Checked):
    """Sizes and options of an encoder; the defaults are those of the original BERT (Devlin et al., 2019).

    Families (``encoders/families``) differ in these values only. Raises ``ValueError`` for a value out of
    range and ``TypeError`` for a value of the wrong type, naming the field (``attention.dropout``).
    """

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int = 512  # rows of the position embeddings; the longest sequence is `max_length`
    activation: str = "gelu"  # of the feed-forward layers, a key of ACTIVATIONS
    hidden_dropout: float = 0.1  # after the embeddings, after attention and after feed-forward
    init_std: float = 0.02
    pad_id: int | None = 0  # this row of the word embeddings starts at 0 and gets no gradient
    model_type: str = "bert"  # the family whose checkpoints the encoder reads and writes
    embeddings: EmbeddingsConfig = field(default_factory=EmbeddingsConfig)
    norms: NormsConfig = field(default_factory=NormsConfig)
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    relative_bias: RelativeBiasConfig = field(default_factory=RelativeBiasConfig)
    disentangled: DisentangledConfig = field(default_factory=DisentangledConfig)
    block_sparse: BlockSparseConfig = field(default_factory=BlockSparseConfig)
    rotary: RotaryConfig = field(default_factory=RotaryConfig)
    feed_forward: FeedForwardConfig = field(default_factory=FeedForwardConfig)
    sharing: SharingConfig = field(default_factory=SharingConfig)
    convolution: ConvolutionConfig = field(default_factory=ConvolutionConfig)

    def __post_init__(self) -> None:
        self.check_integers("vocab_size", "hidden_size", "num_heads", "intermediate_size", at_least=1)
        self.check_integers("max_positions", at_least=1, at_most=MAX_POSITIONS)
        self.check_integers("num_layers", at_least=0, at_most=MAX_LAYERS)
        self.check_number("hidden_dropout", 0.0, 1.0)
        self.check_number("init_std", 0.0, MAX_STD)
        self.check_choice("activation", ACTIVATIONS)
        for name, kind in GROUPS.items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} must be {kind.__name__}, got {quoted(getattr(self, name))}")
        self._check_heads()
        self._check_padding()
        self._check_distances()
        self._check_convolution()
        if self.embeddings.size == 0:
            object.__setattr__(self, "embeddings", replace(self.embeddings, size=self.hidden_size))

    def _check_heads(self) -> None:
        if not self.attention.head_size and self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not divisible by num_heads {self.num_heads}")
        if self.num_heads * self.head_size > MAX_SIZE:
            raise ValueError(f"num_heads times attention.head_size must be at most {MAX_SIZE}")
        if self.attention.kind == "rotary" and self.head_size % 2:
            raise ValueError(f"rotary attention needs an even width of heads, not {self.head_size}")
        own, usual = self.attention, AttentionConfig()
        for name in ("head_size", "scaled", "scale_by_layer", "causal"):
            if own.kind not in ("dense", "biased") and getattr(own, name) != getattr(usual, name):
                raise ValueError(f"attention.{name} needs dense or biased attention, not {own.kind}")

    def _check_padding(self) -> None:
        if self.embeddings.train_padding and self.pad_id is not None:  # no use is made of it
            self.check_integers("pad_id", at_least=-MAX_SIZE)
        elif self.pad_id is not None:
            self.check_integers("pad_id", at_least=0)
            if self.pad_id >= self.vocab_size:
                raise ValueError(f"pad_id {self.pad_id} is outside a vocabulary of {self.vocab_size} pieces")
        if self.embeddings.positions == "after_padding":
            if self.pad_id is None:
                raise ValueError('embeddings.positions "after_padding" need a pad_id')
            if self.max_length < 1:
                raise ValueError(f"max_positions {self.max_positions} leaves none after pad_id {self.pad_id}")

    def _check_distances(self) -> None:
        buckets, distance = self.disentangled.position_buckets, self.disentangled.max_distance
        span = distance if distance > 0 else self.max_positions
        if buckets > 0 and not 1 <= buckets // 2 <= span - 2:
            raise ValueError(
                f"disentangled.position_buckets must be 2 to {2 * span - 3}, got {quoted(buckets)}"
            )

    def _check_convolution(self) -> None:
        if self.convolution.kernel_size and self.attention.kind != "disentangled":
            raise ValueError(f"a convolution needs disentangled attention, not {self.attention.kind}")
        if self.hidden_size % self.convolution.groups:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not divisible by convolution.groups "
                f"{self.convolution.groups}"
            )

    @property
    def max_length(self) -> int:
        """The longest sequence, in pieces."""
        if self.embeddings.positions == "after_padding" and self.pad_id is not None:
            return self.max_positions - self.pad_id - 1
        return self.max_positions

    @property
    def has_projection(self) -> bool:
        """Whether a linear map projects the embeddings from their own width to hidden_size."""
        return self.embeddings.always_project or self.embeddings.size != self.hidden_size

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.attention.head_size or self.hidden_size // self.num_heads

    @property
    def bidirectional(self) -> bool:
        """Whether every piece sees the whole text."""
        return not self.attention.causal

    @classmethod
    def from_size(cls, size: str, *, vocab_size: int, pad_id: int | None = 0) -> EncoderConfig:
        """Return the configuration of a size, "tiny", "small" or "base"; feed-forward is four times as wide.

        Raises ``ValueError`` for any other size.
        """
        if size not in ENCODER_SIZES:
            raise ValueError(f"unknown encoder size {quoted(size)}; known: {', '.join(ENCODER_SIZES)}")
        layers, width, heads = ENCODER_SIZES[size]
        return cls(vocab_size, width, layers, heads, intermediate_size=4 * width, pad_id=pad_id)

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """Return the configuration with these values of `FIELDS`, and the defaults for all others."""
        groups: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            group, _, own = name.rpartition(".")
            groups.setdefault(group, {})[own] = value
        top = groups.pop("", {})
        return cls(**top, **{name: GROUPS[name](**given) for name, given in groups.items()})

    def to_fields(self) -> dict[str, Any]:
        """Return the value of each of `FIELDS`."""
        return {name: _at(self, name) for name in FIELDS}

    def with_fields(self, values: Mapping[str, Any]) -> EncoderConfig:
        """Return the same configuration but for these values of some of `FIELDS`."""
        return self.from_fields(self.to_fields() | dict(values))


# The groups by the name of the field that contains each.
GROUPS: dict[str, type[Any]] = {
    kind.group.removesuffix("."): kind
    for kind in (
        EmbeddingsConfig,
        NormsConfig,
        AttentionConfig,
        RelativeBiasConfig,
        DisentangledConfig,
        BlockSparseConfig,
        RotaryConfig,
        FeedForwardConfig,
        SharingConfig,
        ConvolutionConfig,
    )
}

_KINDS: tuple[type[Any], ...] = (EncoderConfig, *GROUPS.values())

FIELDS: tuple[str, ...] = tuple(
    name
    for kind in _KINDS
    for name in (kind.group + known.name for known in fields(kind))
    if name not in GROUPS
)
"""The names of all fields, those of groups with the group's: ``hidden_size``, ``attention.dropout`` …"""


def _at(config: EncoderConfig, name: str) -> Any:
    group, _, own = name.rpartition(".")
    return getattr(getattr(config, group) if group else config, own)
