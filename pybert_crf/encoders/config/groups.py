"""The groups of an encoder's options: each validates itself, and its defaults are those of BERT.

Checks that concern several groups, or a group and a size, are those of `EncoderConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.encoders.config.checks import (
    MAX_LAYERS,
    MAX_POSITIONS,
    MAX_STD,
    MAX_THETA,
    Checked,
)
from pybert_crf.reading import quoted

# Position embeddings. "learned": one vector for each position in the sequence. "after_padding": the same, but
# padding is not counted and the count starts at pad_id + 1 (RoBERTa). "sinusoidal": fixed sines and cosines
# (Vaswani et al., 2017), stored with the weights. "none": no position embeddings.
POSITIONS = ("learned", "after_padding", "sinusoidal", "none")

# Kinds of attention; their modules are listed in encoders/attention/__init__.py.
ATTENTION_KINDS = ("dense", "biased", "disentangled", "block_sparse", "rotary")

# Dropout after attention: `hidden_dropout`, that of the attention weights, or none.
OUTPUT_DROPOUTS = ("hidden", "attention", "none")

# Normalisations. "layer": to mean 0 and variance 1 (Ba et al., 2016). "rms": to a mean square of 1, without
# bias (Zhang and Sennrich, 2019).
NORM_KINDS = ("layer", "rms")

# Position terms of the attention scores (He et al., 2021): content to position ("c2p", the query's content
# and the key's distance) and position to content ("p2c", the key's content and the query's distance).
POSITION_TERMS = ("c2p", "p2c")


@dataclass(frozen=True)
class EmbeddingsConfig(Checked):
    """What is added to the word embeddings, and how the sum becomes the first layer's input."""

    group = "embeddings."

    size: int = 0  # width of the embeddings; 0: hidden_size
    init_std: float | None = None  # None: that of all weights
    train_padding: bool = False  # the padding's row of the word embeddings is like any other
    positions: str = "learned"  # one of POSITIONS
    num_segments: int = 2  # number of values of token_type_ids; 0: no segment embeddings
    segments_are_words: bool = False  # look token_type_ids up in the word embeddings (XLM)
    num_tasks: int = 1
    tasks: bool = False  # add the embedding of the first pretraining task (ERNIE)
    num_languages: int = 1
    languages: bool = False  # add the embedding of the language if num_languages > 1
    scale_words: bool = False  # multiply the word embeddings by the square root of their width
    norm: bool = True  # LayerNorm after the sum
    dropout: float | None = None  # None: hidden_dropout
    drop_first: bool = False  # dropout before the LayerNorm, not after it
    always_project: bool = False  # project from `size` to hidden_size even if they are equal
    project_first: bool = False  # project to hidden_size before the LayerNorm, without bias

    def __post_init__(self) -> None:
        self.check_switches()
        self.check_integers("size", "num_segments", at_least=0)
        self.check_integers("num_tasks", "num_languages", at_least=1)
        self.check_choice("positions", POSITIONS)
        if self.init_std is not None:
            self.check_number("init_std", 0.0, MAX_STD)
        if self.dropout is not None:
            self.check_number("dropout", 0.0, 1.0)

    @property
    def has_languages(self) -> bool:
        """Whether there are language embeddings."""
        return self.languages and self.num_languages > 1


@dataclass(frozen=True)
class AttentionConfig(Checked):
    """The attention of every layer; some kinds have a group of their own as well."""

    group = "attention."

    kind: str = "dense"  # one of ATTENTION_KINDS
    dropout: float = 0.1  # on the attention weights
    output_dropout: str = "hidden"  # one of OUTPUT_DROPOUTS
    key_bias: bool = True  # false: no bias in the projection of the keys
    query_bias: bool = True  # false: no bias in the projections of queries, keys and values
    output_bias: bool = True  # of the projection of the attended values
    qkv_by_head: bool = False  # order of the projection's rows: query, key, value of the first head, …
    head_size: int = 0  # width of one head; 0: hidden_size / num_heads
    scaled: bool = True  # divide the scores by the square root of the heads' width
    scale_by_layer: bool = False  # divide the scores of layer i by i, from 1
    causal: bool = False  # each piece attends only to itself and those before it

    def __post_init__(self) -> None:
        self.check_switches()
        self.check_choice("kind", ATTENTION_KINDS)
        self.check_choice("output_dropout", OUTPUT_DROPOUTS)
        self.check_number("dropout", 0.0, 1.0)
        self.check_integers("head_size", at_least=0)


@dataclass(frozen=True)
class RelativeBiasConfig(Checked):
    """Options of biased attention (encoders/attention/biased.py)."""

    group = "relative_bias."

    buckets: int = 32  # of distances: half of them for each direction
    max_distance: int = 128  # longer distances are in the bucket of this one
    shared: bool = True  # all layers have the same biases

    def __post_init__(self) -> None:
        self.check_switches()
        self.check_integers("buckets", at_least=4, at_most=MAX_POSITIONS)
        self.check_integers("max_distance", at_least=self.buckets // 4 + 1)


@dataclass(frozen=True)
class DisentangledConfig(Checked):
    """Options of disentangled attention (encoders/attention/disentangled.py)."""

    group = "disentangled."

    relative_positions: bool = False  # embed the distances between pieces
    position_terms: tuple[str, ...] = ()  # of POSITION_TERMS
    max_distance: int = -1  # longer distances count as this one; below 1: max_positions
    position_buckets: int = -1  # buckets: one distance each up to half of them, then wider; below 1: none
    relative_norm: bool = False  # LayerNorm of the distances' embeddings
    share_projections: bool = False  # project distances with the projections of the contents
    talking_heads: bool = False  # mix the heads' scores and weights linearly

    def __post_init__(self) -> None:
        self.check_switches()
        terms = self.position_terms
        if any(term not in POSITION_TERMS for term in terms) or len(set(terms)) < len(terms):
            raise ValueError(
                f"{self.group}position_terms must be some of {POSITION_TERMS}, each once, got {quoted(terms)}"
            )
        self.check_integers("max_distance", "position_buckets", at_least=-1, at_most=MAX_POSITIONS)


@dataclass(frozen=True)
class BlockSparseConfig(Checked):
    """Options of block-sparse attention (encoders/attention/block_sparse.py)."""

    group = "block_sparse."

    block_size: int = 64
    num_random_blocks: int = 3

    def __post_init__(self) -> None:
        self.check_integers("block_size", at_least=1)
        self.check_integers("num_random_blocks", at_least=0)


@dataclass(frozen=True)
class RotaryConfig(Checked):
    """Options of attention with rotary positions (encoders/attention/rotary.py)."""

    group = "rotary."

    theta: float = 10000.0  # base of the frequencies in layers that see the whole sequence
    local_theta: float = 10000.0  # in the others
    global_every: int = 1  # layers 0, n, 2n … see the whole sequence
    window: int = 128  # the other layers see half of it to each side, rounded down

    def __post_init__(self) -> None:
        self.check_number("theta", 1.0, MAX_THETA)
        self.check_number("local_theta", 1.0, MAX_THETA)
        self.check_integers("global_every", at_least=1)
        self.check_integers("window", at_least=0)


@dataclass(frozen=True)
class FeedForwardConfig(Checked):
    """The feed-forward part of every layer; its width and activation are sizes of the encoder."""

    group = "feed_forward."

    gated: bool = False  # multiply the activation by a second projection (Shazeer, 2020, "GLU variants")
    bias: bool = True
    drop_inside: bool = False  # hidden_dropout before the second linear map
    drop_output: bool = True  # hidden_dropout after it

    def __post_init__(self) -> None:
        self.check_switches()


@dataclass(frozen=True)
class NormsConfig(Checked):
    """The normalisations of embeddings and layers."""

    group = "norms."

    kind: str = "layer"  # one of NORM_KINDS
    eps: float = 1e-12
    first: bool = False  # before attention and feed-forward, not after them
    bias: bool = True  # of "layer"
    skip_first: bool = False  # no normalisation before the first attention, as the embeddings have one
    drop_last: bool = False  # hidden_dropout after the last one, if `first`

    def __post_init__(self) -> None:
        self.check_switches()
        self.check_choice("kind", NORM_KINDS)
        self.check_number("eps", 1e-30, MAX_STD)  # of equal numbers the variance is 0


@dataclass(frozen=True)
class SharingConfig(Checked):
    """Layers that share weights (Lan et al., 2020)."""

    group = "sharing."

    num_groups: int = 0  # of layers with shared weights, applied num_layers / num_groups times; 0: none
    layers_per_group: int = 1

    def __post_init__(self) -> None:
        self.check_integers("num_groups", at_least=0, at_most=MAX_LAYERS)
        self.check_integers("layers_per_group", at_least=1, at_most=MAX_LAYERS)


@dataclass(frozen=True)
class ConvolutionConfig(Checked):
    """A convolution beside the first layer (encoders/convolution.py)."""

    group = "convolution."

    kernel_size: int = 0  # 0: no convolution
    groups: int = 1
    activation: str = "tanh"  # a key of ACTIVATIONS

    def __post_init__(self) -> None:
        self.check_integers("kernel_size", at_least=0)
        self.check_integers("groups", at_least=1)
        self.check_choice("activation", ACTIVATIONS)
        if self.kernel_size and not self.kernel_size % 2:
            raise ValueError(f"{self.group}kernel_size must be odd (or 0), got {self.kernel_size}")
