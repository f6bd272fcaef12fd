"""XLM (Lample and Conneau, 2019): sinusoidal positions, language embeddings, segments among the words."""

from __future__ import annotations

from collections.abc import Mapping

from pybert_crf.encoders.families.family import HEADS, Family, Key, MlmHead, Rename


def _four_times_hidden(fields: Mapping[str, object]) -> object:
    hidden = fields["hidden_size"]
    return 4 * hidden if isinstance(hidden, int) else hidden


XLM = Family(
    model_type="xlm",
    architecture="XLMModel",
    prefix="transformer.",
    config_keys={
        "vocab_size": "vocab_size",
        "hidden_size": "emb_dim",
        "num_layers": "n_layers",
        "num_heads": "n_heads",
        "max_positions": "max_position_embeddings",
        "embeddings.positions": Key("sinusoidal_embeddings", {False: "learned", True: "sinusoidal"}),
        "activation": Key("gelu_activation", {True: "gelu", False: "relu"}),
        "norms.eps": "layer_norm_eps",
        "hidden_dropout": "dropout",
        "attention.dropout": "attention_dropout",
        "init_std": "init_std",
        "embeddings.init_std": "embed_init_std",
        "embeddings.num_languages": "n_langs",
        "embeddings.languages": "use_lang_emb",
        "pad_id": "pad_token_id",
    },
    constants={"embeddings.num_segments": 0, "embeddings.segments_are_words": True},
    derived={"intermediate_size": _four_times_hidden},
    defaults={"embeddings.init_std": 2048**-0.5, "embeddings.languages": True, "pad_id": 2},
    old_keys={
        "hidden_size": "emb_dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
        "n_words": "vocab_size",
        "pad_index": "pad_token_id",
    },
    supported={
        "causal": (False, None),
        "is_encoder": (True, None),
        "pruned_heads": ({}, None),
        "quantization_config": (None,),
    },
    renames=(
        Rename("embeddings.word", ("embeddings",)),
        Rename("embeddings.position", ("position_embeddings",)),
        Rename("embeddings.language", ("lang_embeddings",)),
        Rename("embeddings.norm", ("layer_norm_emb",)),
        Rename(
            "layers.{}.attention.qkv", ("attentions.{}.q_lin", "attentions.{}.k_lin", "attentions.{}.v_lin")
        ),
        Rename("layers.{}.attention.out", ("attentions.{}.out_lin",)),
        Rename("layers.{}.attention_norm", ("layer_norm1.{}",)),
        Rename("layers.{}.feed_forward.up", ("ffns.{}.lin1",)),
        Rename("layers.{}.feed_forward.down", ("ffns.{}.lin2",)),
        Rename("layers.{}.feed_forward_norm", ("layer_norm2.{}",)),
    ),
    heads=(*HEADS, "position_ids", "pred_layer.*", "sequence_summary.*", "logits_proj.*"),
    tied={"embeddings.weight": "pred_layer.proj.weight"},
    mlm_head=MlmHead(
        architecture="XLMWithLMHeadModel",
        dense=None,
        norm=None,
        decoder="pred_layer.proj.weight",
        bias=("pred_layer.proj.bias",),
    ),
)
