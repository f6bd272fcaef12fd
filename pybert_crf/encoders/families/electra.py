"""ELECTRA (Clark et al., 2020), discriminators and generators: BERT with embeddings of their own width."""

from __future__ import annotations

from pybert_crf.encoders.families.bert import (
    BODY_HEADS,
    CONFIG_KEYS,
    EMBEDDING_RENAMES,
    LAYER_RENAMES,
    SUPPORTED,
)
from pybert_crf.encoders.families.family import HEADS, Family, MlmHead, Rename

ELECTRA = Family(
    model_type="electra",
    architecture="ElectraModel",
    prefix="electra.",
    config_keys={**CONFIG_KEYS, "embeddings.size": "embedding_size"},
    defaults={"embeddings.size": 128},
    supported=SUPPORTED,
    renames=(*EMBEDDING_RENAMES, Rename("embeddings.projection", ("embeddings_project",)), *LAYER_RENAMES),
    heads=(
        *HEADS,
        *BODY_HEADS,
        "discriminator_predictions.*",
        "generator_predictions.*",
        "generator_lm_head.*",
        "sequence_summary.*",
    ),
    tied={"embeddings.word_embeddings.weight": "generator_lm_head.weight"},
    mlm_head=MlmHead(  # of generators
        architecture="ElectraForMaskedLM",
        dense="generator_predictions.dense",
        norm="generator_predictions.LayerNorm",
        decoder="generator_lm_head.weight",
        bias=("generator_lm_head.bias",),
        activation="gelu",
    ),
)
