"""BERT (Devlin et al., 2019), as its checkpoints are spelt by ``transformers``."""

from __future__ import annotations

from pybert_crf.encoders.families.family import Family, Rename

# What BERT-like families share, to be concatenated with what they spell otherwise.
LAYER_RENAMES = (
    Rename(
        "layers.{}.attention.qkv",
        (
            "encoder.layer.{}.attention.self.query",
            "encoder.layer.{}.attention.self.key",
            "encoder.layer.{}.attention.self.value",
        ),
    ),
    Rename("layers.{}.attention.out", ("encoder.layer.{}.attention.output.dense",)),
    Rename("layers.{}.attention_norm", ("encoder.layer.{}.attention.output.LayerNorm",)),
    Rename("layers.{}.feed_forward.up", ("encoder.layer.{}.intermediate.dense",)),
    Rename("layers.{}.feed_forward.down", ("encoder.layer.{}.output.dense",)),
    Rename("layers.{}.feed_forward_norm", ("encoder.layer.{}.output.LayerNorm",)),
)

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
    "num_segments": "type_vocab_size",
    "activation": "hidden_act",
    "norm_eps": "layer_norm_eps",
    "hidden_dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "init_std": "initializer_range",
    "pad_id": "pad_token_id",
}

BERT = Family(
    model_type="bert",
    architecture="BertModel",
    prefix="bert.",
    config_keys=CONFIG_KEYS,
    supported={
        "position_embedding_type": ("absolute", None),
        "is_decoder": (False, None),
        "add_cross_attention": (False, None),
        "pruned_heads": ({}, None),
        "quantization_config": (None,),
    },
    renames=EMBEDDING_RENAMES + LAYER_RENAMES,
    old_suffixes={".gamma": ".weight", ".beta": ".bias"},
    heads=(
        "pooler.*",
        "cls.*",  # masked words, next sentence
        "classifier.*",
        "qa_outputs.*",
        "linear.*",  # taggers: linear and CRF layers
        "crf.*",
        "embeddings.position_ids",  # 0, 1, 2 …: once saved as if it were a weight
    ),
)
