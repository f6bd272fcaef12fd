"""The encoders of T5 (Raffel et al., 2020), mT5 (Xue et al., 2021) and UMT5 (Chung et al., 2023).

The scores of attention are not scaled, and have biases by distance instead of position embeddings: the same
in all layers, or in UMT5 others in each. Any length could be read; the longest that is read is
``n_positions``, which T5's own config.json has. Of an encoder-decoder only the encoder is read;
``T5EncoderModel`` opens what is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pybert_crf.encoders.families.family import HEADS, Family, Rename, SplitKey
from pybert_crf.reading import quoted

_GATED = "gated-"


def _read_activation(theirs: object) -> dict[str, object]:
    """Read "relu", or "gated-gelu", which means GELU's approximation by tanh."""
    if not isinstance(theirs, str):
        raise ValueError(f"feed_forward_proj must be an activation or gated-…, got {quoted(theirs)}")
    gated, name = theirs.startswith(_GATED), theirs.removeprefix(_GATED)
    return {
        "feed_forward.gated": gated,
        "activation": "gelu_new" if gated and name == "gelu" else name,
    }


def _write_activation(ours: Mapping[str, object]) -> object:
    name, gated = ours["activation"], ours["feed_forward.gated"]
    return f"{_GATED}{'gelu' if name == 'gelu_new' else name}" if gated else name


_LAYER = "encoder.block.{}.layer"
_ATTENTION = f"{_LAYER}.0.SelfAttention"
_FORWARD = f"{_LAYER}.1.DenseReluDense"

_RENAMES = (
    Rename("embeddings.word", ("shared",)),
    Rename("layers.{}.attention.qkv", (f"{_ATTENTION}.q", f"{_ATTENTION}.k", f"{_ATTENTION}.v")),
    Rename("layers.{}.attention.out", (f"{_ATTENTION}.o",)),
    Rename("layers.{}.attention_norm", (f"{_LAYER}.0.layer_norm",)),
    Rename("layers.{}.feed_forward.up", (f"{_FORWARD}.wi",)),
    Rename("layers.{}.feed_forward.gated_up", (f"{_FORWARD}.wi_0", f"{_FORWARD}.wi_1")),
    Rename("layers.{}.feed_forward.down", (f"{_FORWARD}.wo",)),
    Rename("layers.{}.feed_forward_norm", (f"{_LAYER}.1.layer_norm",)),
    Rename("norm", ("encoder.final_layer_norm",)),
)

_CONSTANTS: dict[str, object] = {
    "embeddings.positions": "none",
    "embeddings.num_segments": 0,
    "embeddings.norm": False,
    "embeddings.train_padding": True,
    "norms.kind": "rms",
    "norms.first": True,
    "norms.drop_last": True,
    "attention.kind": "biased",
    "attention.scaled": False,
    "attention.query_bias": False,
    "attention.output_bias": False,
    "feed_forward.bias": False,
    "feed_forward.drop_inside": True,
}

T5 = Family(
    model_type="t5",
    architecture="T5EncoderModel",
    prefix="transformer.",
    config_keys={
        "vocab_size": "vocab_size",
        "hidden_size": "d_model",
        "num_layers": "num_layers",
        "num_heads": "num_heads",
        "attention.head_size": "d_kv",
        "intermediate_size": "d_ff",
        "max_positions": "n_positions",
        "relative_bias.buckets": "relative_attention_num_buckets",
        "relative_bias.max_distance": "relative_attention_max_distance",
        "norms.eps": "layer_norm_epsilon",
        "hidden_dropout": "dropout_rate",
        "pad_id": "pad_token_id",
    },
    split_keys=(
        SplitKey(
            "feed_forward_proj", ("activation", "feed_forward.gated"), _read_activation, _write_activation
        ),
    ),
    constants=_CONSTANTS,
    derived={"attention.dropout": lambda fields: fields["hidden_dropout"]},
    defaults={
        "attention.head_size": 64,
        "norms.eps": 1e-6,
        "hidden_dropout": 0.1,
        "activation": "relu",
        "feed_forward.gated": False,
    },
    old_keys={
        "hidden_size": "d_model",
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "head_dim": "d_kv",
    },
    supported={"is_decoder": (False, None), "pruned_heads": ({}, None), "quantization_config": (None,)},
    written={"is_encoder_decoder": False, "use_cache": False},
    renames=(*_RENAMES, Rename("context.embedding", (f"{_ATTENTION.format(0)}.relative_attention_bias",))),
    heads=(*HEADS, "decoder.*", "lm_head.*", "classification_head.*"),
    copies={"encoder.embed_tokens.weight": "shared.weight"},
)

MT5 = replace(
    T5,
    model_type="mt5",
    architecture="MT5EncoderModel",
    defaults={**T5.defaults, "activation": "gelu_new", "feed_forward.gated": True},
)

UMT5 = replace(
    MT5,
    model_type="umt5",
    architecture="UMT5EncoderModel",
    constants={**_CONSTANTS, "relative_bias.shared": False},
    written={},
    renames=(*_RENAMES, Rename("layers.{}.attention.biases", (f"{_ATTENTION}.relative_attention_bias",))),
)
