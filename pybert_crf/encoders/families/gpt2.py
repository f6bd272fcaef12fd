"""GPT-2 (Radford et al., 2019), a decoder, here read both ways unless ``bidirectional`` is false.

The key is ours; transformers ignores it and stays causal. ``reorder_and_upcast_attn``, which changes only
rounding in half precision, is not read.
"""

from __future__ import annotations

from collections.abc import Mapping

from pybert_crf.encoders.families.family import HEADS, Family, Key, Rename, Transposed


def _four_times_hidden(fields: Mapping[str, object]) -> object:
    hidden = fields["hidden_size"]
    return 4 * hidden if isinstance(hidden, int) else hidden


GPT2 = Family(
    model_type="gpt2",
    architecture="GPT2Model",
    prefix="transformer.",
    config_keys={
        "vocab_size": "vocab_size",
        "hidden_size": "n_embd",
        "num_layers": "n_layer",
        "num_heads": "n_head",
        "intermediate_size": "n_inner",
        "max_positions": "n_positions",
        "activation": "activation_function",
        "norms.eps": "layer_norm_epsilon",
        "hidden_dropout": "resid_pdrop",
        "embeddings.dropout": "embd_pdrop",
        "attention.dropout": "attn_pdrop",
        "attention.scaled": "scale_attn_weights",
        "attention.scale_by_layer": "scale_attn_by_inverse_layer_idx",
        "attention.causal": Key("bidirectional", {True: False, False: True}),
        "init_std": "initializer_range",
        "pad_id": "pad_token_id",
    },
    constants={
        "embeddings.num_segments": 0,
        "embeddings.segments_are_words": True,
        "embeddings.norm": False,
        "embeddings.train_padding": True,
        "norms.first": True,
    },
    derived={"intermediate_size": _four_times_hidden},
    defaults={
        "max_positions": 1024,
        "activation": "gelu_new",
        "norms.eps": 1e-5,
        "embeddings.dropout": 0.1,
        "pad_id": None,
    },
    old_keys={
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "max_position_embeddings": "n_positions",
    },
    supported={
        "add_cross_attention": (False, None),
        "pruned_heads": ({}, None),
        "quantization_config": (None,),
    },
    renames=(
        Rename("embeddings.word", ("wte",)),
        Rename("embeddings.position", ("wpe",)),
        Transposed("layers.{}.attention.qkv", ("h.{}.attn.c_attn",)),
        Transposed("layers.{}.attention.out", ("h.{}.attn.c_proj",)),
        Rename("layers.{}.attention_norm", ("h.{}.ln_1",)),
        Transposed("layers.{}.feed_forward.up", ("h.{}.mlp.c_fc",)),
        Transposed("layers.{}.feed_forward.down", ("h.{}.mlp.c_proj",)),
        Rename("layers.{}.feed_forward_norm", ("h.{}.ln_2",)),
        Rename("norm", ("ln_f",)),
    ),
    # The last two are tables of older files: what each position may see, and the score of what it may not.
    heads=(*HEADS, "lm_head.*", "score.*", "multiple_choice_head.*", "h.*.attn.bias", "h.*.attn.masked_bias"),
    tied={"wte.weight": "lm_head.weight"},
)
