"""RoBERTa (Liu et al., 2019), XLM-RoBERTa (Conneau et al., 2020) and its XL sizes (Goyal et al., 2021).

Positions count the pieces other than padding, starting at the padding's id + 1. The XL sizes have LayerNorm
before attention and feed-forward instead of after them, and none after the embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from pybert_crf.encoders.families.bert import (
    ATTENTION_RENAMES,
    BODY_HEADS,
    CONFIG_KEYS,
    EMBEDDING_RENAMES,
    FEED_FORWARD_RENAMES,
    LAYER_RENAMES,
    SUPPORTED,
)
from pybert_crf.encoders.families.family import HEADS, Family, MlmHead, Rename

_MLM_HEAD = MlmHead(
    architecture="RobertaForMaskedLM",
    dense="lm_head.dense",
    norm="lm_head.layer_norm",
    decoder="lm_head.decoder.weight",
    bias=("lm_head.decoder.bias", "lm_head.bias"),
    activation="gelu",
)

ROBERTA = Family(
    model_type="roberta",
    architecture="RobertaModel",
    prefix="roberta.",
    config_keys=CONFIG_KEYS,
    constants={"embeddings.positions": "after_padding"},
    defaults={"pad_id": 1},
    supported=SUPPORTED,
    renames=EMBEDDING_RENAMES + LAYER_RENAMES,
    heads=(*HEADS, *BODY_HEADS, "lm_head.*"),
    tied={"embeddings.word_embeddings.weight": "lm_head.decoder.weight"},
    mlm_head=_MLM_HEAD,
)

XLM_ROBERTA = replace(
    ROBERTA,
    model_type="xlm-roberta",
    architecture="XLMRobertaModel",
    mlm_head=replace(_MLM_HEAD, architecture="XLMRobertaForMaskedLM"),
)

XLM_ROBERTA_XL = replace(
    ROBERTA,
    model_type="xlm-roberta-xl",
    architecture="XLMRobertaXLModel",
    constants={"embeddings.positions": "after_padding", "embeddings.norm": False, "norms.first": True},
    defaults={"pad_id": 1, "max_positions": 514, "embeddings.num_segments": 1, "norms.eps": 1e-5},
    renames=EMBEDDING_RENAMES
    + ATTENTION_RENAMES
    + FEED_FORWARD_RENAMES
    + (
        Rename("layers.{}.attention_norm", ("encoder.layer.{}.attention.self_attn_layer_norm",)),
        Rename("layers.{}.feed_forward_norm", ("encoder.layer.{}.LayerNorm",)),
        Rename("norm", ("encoder.LayerNorm",)),
    ),
    mlm_head=replace(_MLM_HEAD, architecture="XLMRobertaXLForMaskedLM"),
)
