"""DistilBERT (Sanh et al., 2019): BERT with fewer layers and without segments."""

from __future__ import annotations

from pybert_crf.encoders.families.bert import BODY_HEADS, EMBEDDING_RENAMES, SUPPORTED
from pybert_crf.encoders.families.family import HEADS, Family, Key, MlmHead, Rename

_LAYER = "transformer.layer.{}"

DISTILBERT = Family(
    model_type="distilbert",
    architecture="DistilBertModel",
    prefix="distilbert.",
    config_keys={
        "vocab_size": "vocab_size",
        "hidden_size": "dim",
        "num_layers": "n_layers",
        "num_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "max_positions": "max_position_embeddings",
        "embeddings.positions": Key("sinusoidal_pos_embds", {False: "learned", True: "sinusoidal"}),
        "activation": "activation",
        "hidden_dropout": "dropout",
        "attention.dropout": "attention_dropout",
        "init_std": "initializer_range",
        "pad_id": "pad_token_id",
    },
    constants={"embeddings.num_segments": 0, "attention.output_dropout": "none"},
    old_keys={"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"},
    supported=SUPPORTED,
    renames=(
        *EMBEDDING_RENAMES,
        Rename(
            "layers.{}.attention.qkv",
            (f"{_LAYER}.attention.q_lin", f"{_LAYER}.attention.k_lin", f"{_LAYER}.attention.v_lin"),
        ),
        Rename("layers.{}.attention.out", (f"{_LAYER}.attention.out_lin",)),
        Rename("layers.{}.attention_norm", (f"{_LAYER}.sa_layer_norm",)),
        Rename("layers.{}.feed_forward.up", (f"{_LAYER}.ffn.lin1",)),
        Rename("layers.{}.feed_forward.down", (f"{_LAYER}.ffn.lin2",)),
        Rename("layers.{}.feed_forward_norm", (f"{_LAYER}.output_layer_norm",)),
    ),
    heads=(*HEADS, *BODY_HEADS, "pre_classifier.*", "vocab_*"),
    tied={"embeddings.word_embeddings.weight": "vocab_projector.weight"},
    mlm_head=MlmHead(
        architecture="DistilBertForMaskedLM",
        dense="vocab_transform",
        norm="vocab_layer_norm",
        decoder="vocab_projector.weight",
        bias=("vocab_projector.bias",),
    ),
)
