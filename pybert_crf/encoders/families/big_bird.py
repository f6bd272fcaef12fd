"""BigBird (Zaheer et al., 2020): BERT with block-sparse attention, for long texts."""

from __future__ import annotations

from dataclasses import replace

from pybert_crf.encoders.families.bert import (
    BERT,
    CONFIG_KEYS,
    EMBEDDING_RENAMES,
    LAYER_RENAMES,
    MLM_HEAD,
    SUPPORTED,
)
from pybert_crf.encoders.families.family import Family, Key

BIG_BIRD = Family(
    model_type="big_bird",
    architecture="BigBirdModel",
    prefix="bert.",
    config_keys={
        **CONFIG_KEYS,
        "attention.kind": Key("attention_type", {"block_sparse": "block_sparse", "original_full": "dense"}),
        "block_sparse.block_size": "block_size",
        "block_sparse.num_random_blocks": "num_random_blocks",
        "attention.query_bias": "use_bias",
        "embeddings.scale_words": "rescale_embeddings",
    },
    constants={"embeddings.drop_first": True},
    defaults={
        "attention.kind": "block_sparse",
        "activation": "gelu_new",
        "max_positions": 4096,
    },
    supported=SUPPORTED,
    renames=EMBEDDING_RENAMES + LAYER_RENAMES,
    heads=(*BERT.heads, "qa_classifier.*"),
    tied=BERT.tied,
    mlm_head=replace(MLM_HEAD, architecture="BigBirdForMaskedLM"),
)
