"""ModernBERT (Warner et al., 2024) and mmBERT (Marone et al., 2025): rotary positions and local attention.

The configuration has two forms: numbers (``global_attn_every_n_layers``, ``global_rope_theta`` …), which are
read by every version of ``transformers`` and written here, and since its version 5 a list of the layers'
kinds and the options of their rotary positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybert_crf.encoders.families.bert import BODY_HEADS, CONFIG_KEYS, SUPPORTED
from pybert_crf.encoders.families.family import HEADS, Family, MlmHead, Rename
from pybert_crf.reading import quoted

_PERIOD = "global_attn_every_n_layers"
_KINDS = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}


def _in_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of either form in that of numbers."""
    numbers = dict(values)
    kinds, ropes = numbers.pop("layer_types", None), numbers.pop("rope_parameters", None)
    if kinds is not None:
        numbers[_PERIOD] = _period(kinds, values.get(_PERIOD, 3), values.get("num_hidden_layers"))
    if ropes is not None:
        if not isinstance(ropes, dict) or not ropes.keys() <= _KINDS.keys():
            raise ValueError(f"rope_parameters must have the keys {', '.join(_KINDS)}, got {quoted(ropes)}")
        for kind, options in ropes.items():
            numbers |= _theta(kind, options)
    return numbers


def _theta(kind: str, options: Any) -> dict[str, Any]:
    """Return the key and theta of a kind's rotary positions; refuse those that are scaled."""
    if options is None:
        return {}
    known = {"rope_type": "default", "type": "default"}
    if not isinstance(options, dict) or any(
        options[key] != known.get(key) for key in options.keys() - {"rope_theta"}
    ):
        raise ValueError(
            f"rope_parameters of {kind} = {quoted(options)} are not supported, only the rope_type 'default'"
        )
    return {_KINDS[kind]: options["rope_theta"]} if "rope_theta" in options else {}


def _period(kinds: Any, said: Any, layers: Any) -> int:
    """Return n of layers of which the first and every n-th after it see the whole sequence."""
    if not isinstance(kinds, list | tuple) or any(kind not in _KINDS for kind in kinds):
        raise ValueError(f"layer_types must be a list of {' and '.join(_KINDS)}, got {quoted(kinds)}")
    if len(kinds) != layers:
        raise ValueError(f"layer_types has {len(kinds)} entries, but num_hidden_layers is {quoted(layers)}")
    whole = [number for number, kind in enumerate(kinds) if kind == "full_attention"]
    if len(whole) > 1:
        period = whole[1]
    else:  # any that reaches the last layer
        period = said if isinstance(said, int) and said >= len(kinds) else max(len(kinds), 1)
    if whole != list(range(0, len(kinds), period)):
        raise ValueError(
            f"layer_types = {quoted(kinds)} is not supported, only full_attention in the first layer and "
            "every n-th after it"
        )
    return period


MODERNBERT = Family(
    model_type="modernbert",
    architecture="ModernBertModel",
    prefix="model.",
    config_keys={
        **{name: key for name, key in CONFIG_KEYS.items() if name != "embeddings.num_segments"},
        "activation": "hidden_activation",
        "norms.eps": "norm_eps",
        "norms.bias": "norm_bias",
        "embeddings.dropout": "embedding_dropout",
        "hidden_dropout": "mlp_dropout",
        "attention.dropout": "attention_dropout",
        "attention.query_bias": "attention_bias",
        "feed_forward.bias": "mlp_bias",
        "rotary.theta": "global_rope_theta",
        "rotary.local_theta": "local_rope_theta",
        "rotary.global_every": _PERIOD,
        "rotary.window": "local_attention",
    },
    constants={
        "embeddings.num_segments": 0,
        "embeddings.positions": "none",
        "attention.kind": "rotary",
        "attention.output_dropout": "attention",
        "feed_forward.gated": True,
        "feed_forward.drop_inside": True,
        "feed_forward.drop_output": False,
        "norms.first": True,
        "norms.skip_first": True,
    },
    derived={"attention.output_bias": lambda fields: fields["attention.query_bias"]},
    defaults={
        "max_positions": 8192,
        "norms.eps": 1e-5,
        "norms.bias": False,
        "embeddings.dropout": 0.0,
        "hidden_dropout": 0.0,
        "attention.dropout": 0.0,
        "attention.query_bias": False,
        "feed_forward.bias": False,
        "pad_id": 50283,
        "rotary.theta": 160000.0,
        "rotary.global_every": 3,
    },
    current_form=_in_numbers,
    supported={**SUPPORTED, "rope_scaling": (None,)},
    renames=(
        Rename("embeddings.word", ("embeddings.tok_embeddings",)),
        Rename("embeddings.norm", ("embeddings.norm",)),
        Rename("layers.{}.attention.qkv", ("layers.{}.attn.Wqkv",)),
        Rename("layers.{}.attention.out", ("layers.{}.attn.Wo",)),
        Rename("layers.{}.attention_norm", ("layers.{}.attn_norm",)),
        Rename("layers.{}.feed_forward.gated_up", ("layers.{}.mlp.Wi",)),
        Rename("layers.{}.feed_forward.down", ("layers.{}.mlp.Wo",)),
        Rename("layers.{}.feed_forward_norm", ("layers.{}.mlp_norm",)),
        Rename("norm", ("final_norm",)),
    ),
    heads=(*HEADS, *BODY_HEADS, "head.*", "decoder.*"),
    tied={"embeddings.tok_embeddings.weight": "decoder.weight"},
    mlm_head=MlmHead(
        architecture="ModernBertForMaskedLM",
        dense="head.dense",
        norm="head.norm",
        decoder="decoder.weight",
        bias=("decoder.bias",),
        activation="gelu",
        dense_bias=False,
        supported={
            "classifier_bias": (False,),
            "classifier_activation": ("gelu",),
            "decoder_bias": (True,),
        },
    ),
)
