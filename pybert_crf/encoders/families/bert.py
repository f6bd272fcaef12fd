"""BERT (Devlin et al., 2019) and ERNIE (Sun et al., 2019), in the checkpoints of ``transformers``.

Chinese RoBERTa-wwm, MacBERT, PERT and exports of ERNIE 1.0 have model_type "bert". ERNIE itself adds the
embedding of a pretraining task; downstream tasks use that of the first.
"""

from __future__ import annotations

from dataclasses import replace

from pybert_crf.encoders.families.family import HEADS, Family, MlmHead, Rename

# Rows shared by BERT-like families, which add their own for what they name differently.
ATTENTION_RENAMES = (
    Rename(
        "layers.{}.attention.qkv",
        (
            "encoder.layer.{}.attention.self.query",
            "encoder.layer.{}.attention.self.key",
            "encoder.layer.{}.attention.self.value",
        ),
    ),
    Rename("layers.{}.attention.out", ("encoder.layer.{}.attention.output.dense",)),
)

FEED_FORWARD_RENAMES = (
    Rename("layers.{}.feed_forward.up", ("encoder.layer.{}.intermediate.dense",)),
    Rename("layers.{}.feed_forward.down", ("encoder.layer.{}.output.dense",)),
)

NORM_RENAMES = (
    Rename("layers.{}.attention_norm", ("encoder.layer.{}.attention.output.LayerNorm",)),
    Rename("layers.{}.feed_forward_norm", ("encoder.layer.{}.output.LayerNorm",)),
)

LAYER_RENAMES = ATTENTION_RENAMES + FEED_FORWARD_RENAMES + NORM_RENAMES

EMBEDDING_RENAMES = (
    Rename("embeddings.word", ("embeddings.word_embeddings",)),
    Rename("embeddings.position", ("embeddings.position_embeddings",)),
    Rename("embeddings.segment", ("embeddings.token_type_embeddings",)),
    Rename("embeddings.norm", ("embeddings.LayerNorm",)),
)

CONFIG_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "max_positions": "max_position_embeddings",
    "embeddings.num_segments": "type_vocab_size",
    "activation": "hidden_act",
    "norms.eps": "layer_norm_eps",
    "hidden_dropout": "hidden_dropout_prob",
    "attention.dropout": "attention_probs_dropout_prob",
    "init_std": "initializer_range",
    "pad_id": "pad_token_id",
}

# Encoders only, with absolute position embeddings, neither pruned nor quantised.
SUPPORTED: dict[str, tuple[object, ...]] = {
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
}

# Other tensors in many checkpoints: the pooler, and a buffer of the positions 0, 1, 2 ….
BODY_HEADS = ("pooler.*", "embeddings.position_ids")

MLM_HEAD = MlmHead(
    architecture="BertForMaskedLM",
    dense="cls.predictions.transform.dense",
    norm="cls.predictions.transform.LayerNorm",
    decoder="cls.predictions.decoder.weight",
    bias=("cls.predictions.decoder.bias", "cls.predictions.bias"),
)

BERT = Family(
    model_type="bert",
    architecture="BertModel",
    prefix="bert.",
    config_keys=CONFIG_KEYS,
    supported=SUPPORTED,
    renames=EMBEDDING_RENAMES + LAYER_RENAMES,
    heads=(*HEADS, *BODY_HEADS, "cls.*"),  # cls: masked words, next sentence
    tied={"embeddings.word_embeddings.weight": "cls.predictions.decoder.weight"},
    mlm_head=MLM_HEAD,
)

ERNIE = replace(
    BERT,
    model_type="ernie",
    architecture="ErnieModel",
    prefix="ernie.",
    config_keys={
        **CONFIG_KEYS,
        "embeddings.num_tasks": "task_type_vocab_size",
        "embeddings.tasks": "use_task_id",
    },
    defaults={"embeddings.num_tasks": 3},
    renames=(*BERT.renames, Rename("embeddings.task", ("embeddings.task_type_embeddings",))),
    mlm_head=replace(MLM_HEAD, architecture="ErnieForMaskedLM"),
)
