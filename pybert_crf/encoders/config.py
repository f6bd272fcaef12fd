"""The configuration of an encoder: one flat record of validated values for all families."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.reading import quoted

# Position embeddings. "learned": one vector for each position in the sequence. "after_padding": the same, but
# padding is not counted and the count starts at pad_id + 1 (RoBERTa). "sinusoidal": fixed sines and cosines
# (Vaswani et al., 2017), stored with the weights. "none": no position embeddings.
POSITIONS = ("learned", "after_padding", "sinusoidal", "none")

# Kinds of attention; their modules are listed in encoders/attention/__init__.py.
ATTENTION_KINDS = ("dense", "disentangled", "block_sparse")

# Position terms of the attention scores (He et al., 2021): content to position ("c2p", the query's content
# and the key's distance) and position to content ("p2c", the key's content and the query's distance).
POSITION_TERMS = ("c2p", "p2c")

# Bounds, far above every published encoder, so that a hostile configuration allocates and counts little.
MAX_SIZE = 1 << 24  # pieces of a vocabulary, widths
MAX_POSITIONS = 1 << 20
MAX_LAYERS = 1000
MAX_STD = 1e4  # of initial weights

# Sizes of encoders to train from scratch: layers, width, heads.
ENCODER_SIZES = {"tiny": (2, 128, 2), "small": (4, 256, 4), "base": (12, 768, 12)}


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes and options of an encoder; the defaults are those of the original BERT (Devlin et al., 2019).

    Families (``encoders/families``) differ in these values only. Raises ``ValueError`` for a value out of
    range and ``TypeError`` for a value of the wrong type, naming the field.
    """

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int = 512  # rows of the position embeddings; the longest sequence is `max_length`
    num_segments: int = 2  # number of values of token_type_ids; 0: no segment embeddings
    activation: str = "gelu"  # of the feed-forward layers, a key of ACTIVATIONS
    norm_eps: float = 1e-12
    hidden_dropout: float = 0.1  # after the embeddings, after attention and after feed-forward
    attention_dropout: float = 0.1  # on the attention weights
    init_std: float = 0.02
    pad_id: int | None = 0  # this row of the word embeddings starts at 0 and gets no gradient
    model_type: str = "bert"  # the family whose checkpoints the encoder reads and writes
    embedding_size: int = 0  # width of the embeddings; 0: hidden_size
    always_project: bool = False  # project from embedding_size to hidden_size even if they are equal
    embedding_norm: bool = True  # LayerNorm after the sum of the embeddings
    embedding_init_std: float | None = None  # None: init_std
    positions: str = "learned"  # one of POSITIONS
    segments_are_words: bool = False  # look token_type_ids up in the word embeddings (XLM)
    num_tasks: int = 1
    task_embeddings: bool = False  # add the embedding of the first pretraining task (ERNIE)
    num_languages: int = 1
    language_embeddings: bool = False  # add the embedding of the language if num_languages > 1
    num_groups: int = 0  # of layers with shared weights, applied num_layers / num_groups times; 0: none
    layers_per_group: int = 1
    norm_first: bool = False  # LayerNorm before attention and feed-forward, not after them
    drop_attention_output: bool = True  # hidden_dropout after attention
    attention: str = "dense"  # one of ATTENTION_KINDS
    project_first: bool = False  # project to hidden_size before the embeddings' LayerNorm, without bias
    drop_first: bool = False  # dropout before the embeddings' LayerNorm, not after it
    scale_words: bool = False  # multiply the word embeddings by the square root of their width
    key_bias: bool = True  # false: no bias in the projection of the keys
    query_bias: bool = True  # false: no bias in the projections of queries, keys and values
    qkv_by_head: bool = False  # order of the projection's rows: query, key, value of the first head, …
    # Disentangled attention (encoders/attention/disentangled.py).
    relative_positions: bool = False  # embed the distances between pieces
    position_terms: tuple[str, ...] = ()  # of POSITION_TERMS
    max_distance: int = -1  # longer distances count as this one; below 1: max_positions
    position_buckets: int = -1  # buckets: one distance each up to half of them, then wider; below 1: none
    relative_norm: bool = False  # LayerNorm of the distances' embeddings
    share_position_projections: bool = False  # project distances with the projections of the contents
    talking_heads: bool = False  # mix the heads' scores and weights linearly
    conv_kernel_size: int = 0  # of a convolution beside the first layer; 0: no convolution
    conv_groups: int = 1
    conv_activation: str = "tanh"
    # Block-sparse attention (encoders/attention/block_sparse.py).
    block_size: int = 64
    num_random_blocks: int = 3

    def __post_init__(self) -> None:
        for name in ("vocab_size", "hidden_size", "num_heads", "intermediate_size"):
            self._check_integer(name, at_least=1)
        self._check_integer("max_positions", at_least=1, at_most=MAX_POSITIONS)
        self._check_integer("layers_per_group", at_least=1, at_most=MAX_LAYERS)
        for name in ("num_layers", "num_groups"):
            self._check_integer(name, at_least=0, at_most=MAX_LAYERS)
        for name in ("num_tasks", "num_languages", "conv_groups", "block_size"):
            self._check_integer(name, at_least=1)
        for name in ("num_segments", "embedding_size", "conv_kernel_size", "num_random_blocks"):
            self._check_integer(name, at_least=0)
        self._check_number("norm_eps", 1e-30, MAX_STD)  # of equal numbers the variance is 0
        self._check_number("init_std", 0.0, MAX_STD)
        if self.embedding_init_std is not None:
            self._check_number("embedding_init_std", 0.0, MAX_STD)
        self._check_number("hidden_dropout", 0.0, 1.0)
        self._check_number("attention_dropout", 0.0, 1.0)
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be true or false, got {quoted(getattr(self, name))}")
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not divisible by num_heads {self.num_heads}")
        for name, known in (
            ("activation", ACTIVATIONS),
            ("conv_activation", ACTIVATIONS),
            ("positions", POSITIONS),
            ("attention", ATTENTION_KINDS),
        ):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                raise ValueError(f"unknown {name} {quoted(value)}; known: {', '.join(sorted(known))}")
        self._check_padding()
        self._check_distances()
        if self.embedding_size == 0:
            object.__setattr__(self, "embedding_size", self.hidden_size)

    def _check_padding(self) -> None:
        if self.pad_id is not None:
            self._check_integer("pad_id", at_least=0)
            if self.pad_id >= self.vocab_size:
                raise ValueError(f"pad_id {self.pad_id} is outside a vocabulary of {self.vocab_size} pieces")
        if self.positions == "after_padding":
            if self.pad_id is None:
                raise ValueError('positions "after_padding" need a pad_id')
            if self.max_length < 1:
                raise ValueError(f"max_positions {self.max_positions} leaves none after pad_id {self.pad_id}")

    def _check_distances(self) -> None:
        terms = self.position_terms
        if any(term not in POSITION_TERMS for term in terms) or len(set(terms)) < len(terms):
            raise ValueError(
                f"position_terms must be some of {POSITION_TERMS}, each once, got {quoted(terms)}"
            )
        for name in ("max_distance", "position_buckets"):
            self._check_integer(name, at_least=-1, at_most=MAX_POSITIONS)
        span = self.max_distance if self.max_distance > 0 else self.max_positions
        if self.position_buckets > 0 and not 1 <= self.position_buckets // 2 <= span - 2:
            raise ValueError(f"position_buckets must be 2 to {2 * span - 3}, got {self.position_buckets}")
        if self.conv_kernel_size and self.attention != "disentangled":
            raise ValueError(f"a convolution needs disentangled attention, not {self.attention}")
        if self.conv_kernel_size and not self.conv_kernel_size % 2:
            raise ValueError(f"conv_kernel_size must be odd (or 0), got {self.conv_kernel_size}")
        if self.hidden_size % self.conv_groups:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not divisible by {self.conv_groups} conv_groups"
            )

    @property
    def max_length(self) -> int:
        """The longest sequence, in pieces."""
        if self.positions == "after_padding" and self.pad_id is not None:
            return self.max_positions - self.pad_id - 1
        return self.max_positions

    @property
    def has_projection(self) -> bool:
        """Whether a linear map projects the embeddings from embedding_size to hidden_size."""
        return self.always_project or self.embedding_size != self.hidden_size

    @property
    def has_languages(self) -> bool:
        """Whether there are language embeddings."""
        return self.language_embeddings and self.num_languages > 1

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads

    @classmethod
    def from_size(cls, size: str, *, vocab_size: int, pad_id: int | None = 0) -> EncoderConfig:
        """Return the configuration of a size, "tiny", "small" or "base"; feed-forward is four times as wide.

        Raises ``ValueError`` for any other size.
        """
        if size not in ENCODER_SIZES:
            raise ValueError(f"unknown encoder size {quoted(size)}; known: {', '.join(ENCODER_SIZES)}")
        layers, width, heads = ENCODER_SIZES[size]
        return cls(vocab_size, width, layers, heads, intermediate_size=4 * width, pad_id=pad_id)

    def _check_integer(self, name: str, *, at_least: int, at_most: int = MAX_SIZE) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an integer, got {quoted(value)}")
        if value < at_least:
            raise ValueError(f"{name} must be at least {at_least}, got {quoted(value)}")
        if value > at_most:
            raise ValueError(f"{name} must be at most {at_most}, got {quoted(value)}")

    def _check_number(self, name: str, low: float, below: float) -> None:
        value = getattr(self, name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(f"{name} must be a number, got {quoted(value)}")
        if not low <= value < below:
            raise ValueError(f"{name} must be in [{low}, {below}), got {quoted(value)}")


_SWITCHES = [field.name for field in fields(EncoderConfig) if field.type == "bool"]
