"""Tiny models of transformers for every family, with unusual settings: the cases of the encoders' tests.

A family that is registered and not in `CASES` fails `test_every_family_is_tested`.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from pybert_crf.encoders import Encoder, EncoderConfig, config_from_json
from pybert_crf.encoders.families import FAMILIES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # raised by this import
    import transformers

Batch = dict[str, torch.Tensor]

PAD, VOCAB, SEGMENTS, LANGUAGES = 7, 61, 5, 4


@dataclass(frozen=True)
class Case:
    """The settings of a family's tiny model, and variants of them."""

    settings: dict[str, Any]
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)


# All sizes differ and are odd or prime, so that exchanged axes are noticed.
_BERT = {
    "vocab_size": VOCAB,
    "hidden_size": 33,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 47,
    "max_position_embeddings": 29,
    "type_vocab_size": SEGMENTS,
    "pad_token_id": PAD,
}
_BERT_VARIANTS: dict[str, dict[str, Any]] = {
    "one head": {"num_attention_heads": 1},
    "as many heads as units": {"num_attention_heads": 33},
    "large eps": {"layer_norm_eps": 0.1},
    "no layer": {"num_hidden_layers": 0},
    "untied": {"tie_word_embeddings": False},
}
_NO_PAD: dict[str, dict[str, Any]] = {"no pad": {"pad_token_id": None}}
_ROBERTA = {**_BERT, "max_position_embeddings": 37}  # 8 of them are not after the padding's
_ROBERTA_VARIANTS = {**_BERT_VARIANTS, "pad 0": {"pad_token_id": 0}}

_RELATIVE: dict[str, Any] = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "max_relative_positions": 7,
}
_RELATIVE_VARIANTS: dict[str, dict[str, Any]] = {
    "c2p": {"pos_att_type": ["c2p"]},
    "p2c": {"pos_att_type": ["p2c"]},
    "contents only": {"pos_att_type": None},
    "no distances": {"relative_attention": False},
    "distances as far as positions": {"max_relative_positions": -1},
    "no positions": {"position_biased_input": False},
    "no segments": {"type_vocab_size": 0},
    "other width": {"embedding_size": 21},
}

# 30 buckets: 15 in each direction, of which 7 have one distance each and the last all from 15 on.
_T5: dict[str, Any] = {
    "vocab_size": VOCAB,
    "d_model": 33,
    "d_kv": 5,
    "d_ff": 47,
    "num_layers": 3,
    "num_heads": 4,
    "n_positions": 29,
    "relative_attention_num_buckets": 30,
    "relative_attention_max_distance": 17,
    "pad_token_id": PAD,
}
_T5_VARIANTS: dict[str, dict[str, Any]] = {
    "one head": {"num_heads": 1},
    "large eps": {"layer_norm_epsilon": 0.1},
    "no layer": {"num_layers": 0},
    "few buckets": {"relative_attention_num_buckets": 5, "relative_attention_max_distance": 2},
    "as published": {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128},
    "gated": {"feed_forward_proj": "gated-gelu"},
    "gated, another activation": {"feed_forward_proj": "gated-silu"},
    "not gated": {"feed_forward_proj": "relu"},
    **_NO_PAD,
}

CASES = {
    "bert": Case(_BERT, {**_BERT_VARIANTS, **_NO_PAD}),
    "ernie": Case(
        {**_BERT, "use_task_id": True, "task_type_vocab_size": 4},
        {**_BERT_VARIANTS, **_NO_PAD, "without tasks": {"use_task_id": False}},
    ),
    "roberta": Case(_ROBERTA, _ROBERTA_VARIANTS),
    "xlm-roberta": Case(_ROBERTA, _ROBERTA_VARIANTS),
    "xlm-roberta-xl": Case(_ROBERTA, _ROBERTA_VARIANTS),
    "electra": Case(
        {**_BERT, "embedding_size": 21},
        {**_BERT_VARIANTS, **_NO_PAD, "of the hidden width": {"embedding_size": 33}},
    ),
    "albert": Case(
        {**_BERT, "embedding_size": 21, "num_hidden_layers": 5, "num_hidden_groups": 2, "inner_group_num": 2},
        {
            **{name: change for name, change in _BERT_VARIANTS.items() if name != "no layer"},
            **_NO_PAD,
            "of the hidden width": {"embedding_size": 33},
            "one group": {"num_hidden_groups": 1, "inner_group_num": 1},
            "three groups in seven layers": {"num_hidden_layers": 7, "num_hidden_groups": 3},
            "a group each": {"num_hidden_groups": 5, "inner_group_num": 1},
        },
    ),
    "distilbert": Case(
        {
            "vocab_size": VOCAB,
            "dim": 33,
            "n_layers": 3,
            "n_heads": 3,
            "hidden_dim": 47,
            "max_position_embeddings": 29,
            "pad_token_id": PAD,
        },
        {
            "one head": {"n_heads": 1},
            "sinusoidal": {"sinusoidal_pos_embds": True},
            "untied": {"tie_word_embeddings": False},
            **_NO_PAD,
        },
    ),
    "xlm": Case(
        {
            "vocab_size": VOCAB,
            "emb_dim": 33,
            "n_layers": 3,
            "n_heads": 3,
            "max_position_embeddings": 29,
            "n_langs": LANGUAGES,
            "pad_token_id": PAD,
        },
        {
            "one head": {"n_heads": 1},
            "sinusoidal": {"sinusoidal_embeddings": True},
            "relu": {"gelu_activation": False},
            "one language": {"n_langs": 1},
            "no language embeddings": {"use_lang_emb": False},
            "untied": {"tie_word_embeddings": False},
        },
    ),
    "deberta": Case(
        {**_BERT, **_RELATIVE},
        {
            **_BERT_VARIANTS,
            **_RELATIVE_VARIANTS,
            "talking heads": {"talking_head": True},
            "talking heads without distances": {"talking_head": True, "relative_attention": False},
        },
    ),
    "deberta-v2": Case(
        # Eight buckets: one for each distance up to 4, log buckets up to 17, one for all longer distances.
        {**_BERT, **_RELATIVE, "position_buckets": 8, "max_relative_positions": 18},
        {
            **{name: change for name, change in _BERT_VARIANTS.items() if name != "no layer"},
            **_RELATIVE_VARIANTS,
            "no buckets": {"position_buckets": -1},
            "odd buckets": {"position_buckets": 7, "max_relative_positions": 9},
            "buckets as far as positions": {"max_relative_positions": -1},
            "steep buckets": {"position_buckets": 30, "max_relative_positions": 18},
            "normalised distances": {"norm_rel_ebd": "layer_norm"},
            "shared projections": {"share_att_key": True},
            "shared projections, c2p": {"share_att_key": True, "pos_att_type": ["c2p"]},
            "convolution": {"conv_kernel_size": 3},
            "wide convolution": {"conv_kernel_size": 5, "conv_groups": 3, "conv_act": "gelu"},
            "as version 3": {
                "norm_rel_ebd": "layer_norm",
                "share_att_key": True,
                "position_biased_input": False,
                "type_vocab_size": 0,
                "max_relative_positions": -1,
            },
        },
    ),
    "big_bird": Case(
        # 23 pieces are 12 blocks, the last one half full; attention is dense up to 14 pieces.
        {**_BERT, "block_size": 2, "num_random_blocks": 1, "max_position_embeddings": 31},
        {
            # With one head transformers differs from its own float64 by 2e-5, we by half of that.
            **{name: change for name, change in _BERT_VARIANTS.items() if name != "one head"},
            "eleven heads": {"num_attention_heads": 11},
            **_NO_PAD,
            "full": {"attention_type": "original_full"},
            "full because short": {"block_size": 4},
            "blocks of three": {"block_size": 3},
            "three random blocks": {"block_size": 1, "num_random_blocks": 3},
            "no bias": {"use_bias": False},
            "scaled": {"rescale_embeddings": True},
        },
    ),
    "t5": Case(_T5, _T5_VARIANTS),
    "mt5": Case(_T5, _T5_VARIANTS),
    "umt5": Case(_T5, _T5_VARIANTS),
    "gpt2": Case(
        {
            "vocab_size": VOCAB,
            "n_embd": 33,
            "n_layer": 3,
            "n_head": 3,
            "n_inner": 47,
            "n_positions": 29,
            "pad_token_id": PAD,
        },
        {
            "one head": {"n_head": 1},
            "large eps": {"layer_norm_epsilon": 0.1},
            "no layer": {"n_layer": 0},
            "four times as wide": {"n_inner": None},
            "causal": {"bidirectional": False},
            "not scaled": {"scale_attn_weights": False},
            "scaled by layer": {"scale_attn_by_inverse_layer_idx": True},
            "causal and scaled by layer": {"bidirectional": False, "scale_attn_by_inverse_layer_idx": True},
            "upcast": {"reorder_and_upcast_attn": True},
            "pad outside the vocabulary": {"pad_token_id": VOCAB},
            **_NO_PAD,
        },
    ),
}

_MODERN = {
    # An even width of heads, and weights of the tests' size make few of them: scores of wide ones saturate.
    **{name: value for name, value in _BERT.items() if name != "type_vocab_size"},
    "hidden_size": 18,
    "num_hidden_layers": 4,
    "intermediate_size": 13,
    "global_attn_every_n_layers": 3,
    "local_attention": 6,
    "global_rope_theta": 900.0,
    "local_rope_theta": 70.0,
}
CASES["modernbert"] = Case(
    _MODERN,
    {
        "one head": {"num_attention_heads": 1},
        "heads of two units": {"num_attention_heads": 9},
        "large eps": {"norm_eps": 0.1},
        "untied": {"tie_word_embeddings": False},
        **_NO_PAD,
        "an odd window": {"local_attention": 9},
        "a window of one piece": {"local_attention": 1},
        "a window beyond the sequence": {"local_attention": 64},
        "a window of all but one": {"local_attention": 42},
        "every second layer": {"global_attn_every_n_layers": 2},
        "only the first layer": {"global_attn_every_n_layers": 7},
        "every layer": {"global_attn_every_n_layers": 1},
        "one theta": {"local_rope_theta": 900.0},
        "all biases": {"norm_bias": True, "attention_bias": True, "mlp_bias": True},
        "biases of norms": {"norm_bias": True},
        "biases of attention": {"attention_bias": True},
        "biases of feed-forward": {"mlp_bias": True},
    },
)

each_family = pytest.mark.parametrize("family", FAMILIES)


def their_class(family: str, name: str = "") -> Any:
    """The family's class of transformers whose name ends in `name`, by default that of the encoder."""
    body = FAMILIES[family].architecture
    return getattr(transformers, _stem(family) + name if name else body)


def _stem(family: str) -> str:
    """What the names of all the family's classes begin with."""
    return FAMILIES[family].architecture.removesuffix("Model").removesuffix("Encoder")


def task_classes(family: str) -> list[str]:
    """The name endings of all classes of transformers for the family, with and without heads."""
    body = their_class(family)
    stem = _stem(family)
    module = importlib.import_module(body.__module__)
    return [
        name.removeprefix(stem)
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and name in module.__all__
        and issubclass(value, transformers.PreTrainedModel)
        and not name.endswith("PreTrainedModel")
    ]


def their_config(family: str, **settings: Any) -> Any:
    """A tiny configuration of transformers."""
    return their_class(family, "Config")(**{**CASES[family].settings, **settings})


def their_model(family: str, name: str = "", **settings: Any) -> Any:
    """A random tiny model of transformers, without a pooler if that is an option."""
    torch.manual_seed(11)
    kind = their_class(family, name)
    poolerless = name in ("", "Model") and "add_pooling_layer" in inspect.signature(kind).parameters
    arguments = {"add_pooling_layer": False} if poolerless else {}
    model = kind(their_config(family, **settings), **arguments).eval()
    with torch.no_grad():
        # Biases and norms are initialised to 0 and 1, which would hide one in the place of another.
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def our_config(family: str, **settings: Any) -> EncoderConfig:
    """The same configuration as an `EncoderConfig`."""
    return config_from_json(their_config(family, **settings).to_dict())


def our_encoder(family: str, **settings: Any) -> Encoder:
    """A random tiny encoder of ours, in training mode."""
    torch.manual_seed(3)
    return Encoder(our_config(family, **settings))


def as_ours(theirs: Any) -> Encoder:
    """Our encoder with the weights of a model of transformers, in inference mode."""
    config = config_from_json(theirs.config.to_dict())
    return Encoder.from_checkpoint(config, theirs.state_dict()).eval()


def batch_for(config: EncoderConfig) -> Batch:
    """All inputs of the encoder: four sequences of up to 23 pieces, with padding right, left and in between.

    Some unpadded pieces are the padding's id too, which RoBERTa's positions must pass over.
    """
    generator = torch.Generator().manual_seed(5)
    mask = torch.ones(4, 23, dtype=torch.int64)
    mask[1, 9:] = 0
    mask[2, :6] = 0
    mask[3, 4:8] = 0
    input_ids = torch.randint(0, VOCAB, (4, 23), generator=generator)
    input_ids[1, 9:] = PAD
    input_ids[0, 11] = PAD
    batch = {"input_ids": input_ids, "attention_mask": mask}
    segments = torch.randint(0, SEGMENTS, (4, 23), generator=generator)
    languages = torch.randint(0, LANGUAGES, (4, 23), generator=generator)
    if config.embeddings.num_segments or config.embeddings.segments_are_words:
        batch["token_type_ids"] = segments
    if config.embeddings.has_languages:
        batch["language_ids"] = languages
    return batch


def kept(batch: Batch) -> torch.Tensor:
    """Mask of the unpadded positions, (B, L) bool."""
    return batch.get("attention_mask", torch.ones_like(batch["input_ids"])).bool()


def their_arguments(batch: Batch, theirs: Any) -> Batch:
    """The batch under the argument names of transformers.

    A decoder that is to attend both ways is given a mask for each pair of pieces, added to the scores.
    """
    arguments = {{"language_ids": "langs"}.get(name, name): value for name, value in batch.items()}
    if theirs.config.model_type == "gpt2" and getattr(theirs.config, "bidirectional", True):
        seen = kept(batch)[:, None, None, :].expand(-1, 1, batch["input_ids"].shape[1], -1)
        lowest = torch.finfo(theirs.dtype).min
        arguments["attention_mask"] = torch.zeros(seen.shape, dtype=theirs.dtype).masked_fill(~seen, lowest)
    return arguments


def drop(config: EncoderConfig, probability: float) -> EncoderConfig:
    """The configuration with this probability of all dropout."""
    own = {} if config.embeddings.dropout is None else {"embeddings.dropout": probability}
    both = {"hidden_dropout": probability, "attention.dropout": probability}
    return config.with_fields(both | own)
