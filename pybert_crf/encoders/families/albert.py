"""ALBERT (Lan et al., 2020): groups of layers that share weights, and embeddings of their own width.

Hidden dropout follows both attention and feed-forward, as in the authors' code (``transformers`` leaves out
the second).
"""

from __future__ import annotations

from pybert_crf.encoders.families.bert import BODY_HEADS, CONFIG_KEYS, EMBEDDING_RENAMES, SUPPORTED
from pybert_crf.encoders.families.family import HEADS, Family, MlmHead, Rename

_LAYER = "encoder.albert_layer_groups.{}.albert_layers.{}"

ALBERT = Family(
    model_type="albert",
    architecture="AlbertModel",
    prefix="albert.",
    config_keys={
        **CONFIG_KEYS,
        "embeddings.size": "embedding_size",
        "sharing.num_groups": "num_hidden_groups",
        "sharing.layers_per_group": "inner_group_num",
    },
    constants={"embeddings.always_project": True},
    defaults={
        "embeddings.size": 128,
        "sharing.num_groups": 1,
        "activation": "gelu_new",
        "hidden_dropout": 0.0,
        "attention.dropout": 0.0,
    },
    supported=SUPPORTED,
    renames=(
        *EMBEDDING_RENAMES,
        Rename("embeddings.projection", ("encoder.embedding_hidden_mapping_in",)),
        Rename(
            "layers.{}.{}.attention.qkv",
            (f"{_LAYER}.attention.query", f"{_LAYER}.attention.key", f"{_LAYER}.attention.value"),
        ),
        Rename("layers.{}.{}.attention.out", (f"{_LAYER}.attention.dense",)),
        Rename("layers.{}.{}.attention_norm", (f"{_LAYER}.attention.LayerNorm",)),
        Rename("layers.{}.{}.feed_forward.up", (f"{_LAYER}.ffn",)),
        Rename("layers.{}.{}.feed_forward.down", (f"{_LAYER}.ffn_output",)),
        Rename("layers.{}.{}.feed_forward_norm", (f"{_LAYER}.full_layer_layer_norm",)),
    ),
    heads=(*HEADS, *BODY_HEADS, "predictions.*", "sop_classifier.*"),
    tied={"embeddings.word_embeddings.weight": "predictions.decoder.weight"},
    mlm_head=MlmHead(
        architecture="AlbertForMaskedLM",
        dense="predictions.dense",
        norm="predictions.LayerNorm",
        decoder="predictions.decoder.weight",
        bias=("predictions.decoder.bias", "predictions.bias"),
    ),
)
